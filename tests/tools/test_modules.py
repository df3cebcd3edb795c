"""Modules to title: those of a shop, and those of a file."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.checkpoint import home
from merchgraph.tools.complement.train import train
from merchgraph.tools.data.tables import Events, Items, Shop
from merchgraph.tools.modules import (
    BAND,
    MOST_ITEMS,
    UNTRAINED,
    Kind,
    around,
    modules,
    read_modules,
)
from tests.tools.complement.planted import QUICK

KINDS_OF = {"Bread": "Bakery", "Cake": "Bakery", "Milk": "Dairy", "Soap": "Home", "Mop": "Home"}
EACH = 12


@pytest.fixture(scope="module")
def store() -> Shop:
    """Five categories of 12 items; items of one category are bought together; each text twice."""
    rows: list[dict[str, Any]] = [
        {
            "item": f"{name.lower()}{n}", "title": f"{name} no {n // 2}",
            "category": f"{department} > {name} > {name} {n}", "sellable": n != EACH - 1,
            "price": None, "text": None,
        }
        for name, department in KINDS_OF.items()
        for n in range(EACH)
    ]  # fmt: skip
    for row in rows:  # half of the texts are not distinct
        row["text"] = row["title"]
    start = datetime(2026, 1, 1)
    log = [
        {
            "user": "ann", "session": f"{name}{day}", "time": start + timedelta(days=day),
            "behaviour": "purchase", "item": f"{name.lower()}{n}", "price": 1.0 + 0.1 * n,
        }
        for name in KINDS_OF
        for day in range(30)
        for n in range(EACH)
        if (day + n) % 3
    ]  # fmt: skip
    return Shop("toy", Items(pl.DataFrame(rows)), Events(pl.DataFrame(log)))


@pytest.mark.parametrize("kind", UNTRAINED)
def test_modules_are_different_and_have_distinct_texts_of_things_for_sale(
    store: Shop, kind: Kind
) -> None:
    found = modules(store, kind, count=4, size=4, seed=3)
    assert [module.id for module in found] == [f"{kind} {n}" for n in range(1, 5)]
    assert len({frozenset(module.items) for module in found}) == 4
    for module in found:
        assert module.kind == kind
        assert len(module.items) == 4
        items = store.items.get(module.items)
        assert len({item.text for item in items}) == 4
        assert not {f"{name.lower()}{EACH - 1}" for name in KINDS_OF} & set(module.items)


@pytest.mark.parametrize("kind", UNTRAINED)
def test_the_seed_decides(store: Shop, kind: Kind) -> None:
    one, same, other = (modules(store, kind, count=3, size=3, seed=s) for s in (1, 1, 2))
    assert one == same != other


def test_neighbours_were_bought_together(store: Shop) -> None:
    for module in modules(store, "co-purchase", count=5, size=4):
        assert len({item.category.split(" > ")[1] for item in store.items.get(module.items)}) == 1


def test_a_price_band_is_one_category_and_nearly_one_price(store: Shop) -> None:
    paid = dict(store.events.frame.group_by("item").agg(pl.col("price").median()).iter_rows())
    for module in modules(store, "price band", count=5, size=3):
        assert len({item.category.split(" > ")[1] for item in store.items.get(module.items)}) == 1
        middle = paid[module.items[0]]
        assert all(middle / BAND <= paid[item] <= middle * BAND for item in module.items)


def test_mixed_modules_have_two_or_three_departments_each_in_one_piece(store: Shop) -> None:
    seen = set()
    for module in modules(store, "mixed", count=8, size=6):
        departments = [item.category.split(" > ")[0] for item in store.items.get(module.items)]
        runs = [d for n, d in enumerate(departments) if not n or departments[n - 1] != d]
        assert len(runs) == len(set(runs))
        seen.add(len(runs))
    assert seen == {2, 3}


def test_a_mixed_module_has_no_text_twice_though_departments_share_some() -> None:
    rows = [
        {"item": f"{name}{kind}{n}", "title": f"{kind} {n}", "text": f"{kind} {n}",
         "category": f"{name} > {name}"}
        for name in ("Gifts", "Toys") for kind in ("Ball", name) for n in range(3)
    ]  # fmt: skip
    log = pl.DataFrame({"item": [str(row["item"]) for row in rows]}).with_columns(
        user=pl.lit("ann"), session=pl.lit("1"), time=pl.lit(datetime(2026, 1, 1)),
        behaviour=pl.lit("purchase"), price=pl.lit(1.0),
    )  # fmt: skip
    shop = Shop("twins", Items(pl.DataFrame(rows)), Events(log))
    for module in modules(shop, "mixed", count=3, size=6):
        assert len({item.text for item in shop.items.get(module.items)}) == 6


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"kind": "random"}, "'random' is not known; there are 'co-purchase'"),
        ({"size": 1}, "3 modules of 1 items"),
        ({"size": 51}, "51 items"),
        ({"count": 0}, "0 modules"),
        ({"size": 40}, "has 0 modules of the kind 'co-purchase' with 40 items"),
        ({"count": 10_000}, "but 10000 were asked for"),
    ],
)
def test_what_cannot_be_made_is_refused(store: Shop, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(SetupError, match=told):
        modules(**{"store": store, "kind": "co-purchase", "count": 3, "size": 3, **arguments})


def test_a_module_around_an_item_begins_with_it(store: Shop) -> None:
    found = around(store, "milk3", 5)
    assert found.items[0] == "milk3"
    assert len(found.items) == 5
    assert len({item.text for item in store.items.get(found.items)}) == 5
    assert around(store, "milk3", 1).items == ("milk3",)


def test_a_trained_tool_says_what_is_near(store: Shop, tmp_path: Path) -> None:
    with use_settings(cache=tmp_path):
        with pytest.raises(SetupError, match="merchgraph train complement"):
            around(store, "bread0", 4, "complement")
        train(store, QUICK, home("complement", store.name))
        found = around(store, "bread0", 4, "complement")
        made = modules(store, "complement", count=2, size=4, seed=1)
    assert found.items[0] == "bread0"
    assert (found.kind, len(found.items)) == ("complement", 4)
    assert all(item.startswith("bread") for item in found.items)
    assert [(one.kind, len(set(one.items))) for one in made] == [("complement", 4)] * 2


def test_an_item_that_is_not_for_sale_can_have_a_module_too(store: Shop) -> None:
    assert around(store, f"milk{EACH - 1}", 4).items[0] == f"milk{EACH - 1}"


@pytest.mark.parametrize(("item", "size", "told"), [("gold", 3, "'gold'"), ("milk1", 0, "0 items")])
def test_around_refuses_what_it_does_not_know(store: Shop, item: str, size: int, told: str) -> None:
    with pytest.raises(SetupError, match=told):
        around(store, item, size)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    if name.endswith(".parquet"):
        pl.read_csv(text.encode(), infer_schema=False).write_parquet(path)
    else:
        path.write_text(text.replace(",", "\t") if name.endswith(".tsv") else text)
    return path


@pytest.mark.parametrize("name", ["m.csv", "m.tsv", "m.parquet"])
@pytest.mark.parametrize("header", ["set,item", "Set ID,item_id,more", "item id,set_id"])
def test_a_file_of_sets_is_read_in_its_order(tmp_path: Path, name: str, header: str) -> None:
    rows = ["b,007", "a,8", "b, 9"]
    if header.startswith("item"):
        rows = [",".join(row.split(",")[::-1]) for row in rows]
    elif "more" in header:
        rows = [f"{row},x" for row in rows]
    found = read_modules(written(tmp_path, name, "\n".join([header, *rows]) + "\n"))
    assert [(m.id, m.items, m.kind) for m in found] == [
        ("b", ("007", "9"), "file"), ("a", ("8",), "file"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("m.csv", "set,thing\na,1\n", "no column 'item' among 'set', 'thing'.*line 1"),
        ("m.csv", "set,item\na,1\n,2\n", "m.csv: column 'set' has None in row 2, but every row"),
        ("m.csv", "set,item\na,1\na,  \n", "column 'item' has '  ' in row 2"),
        (
            "m.csv",
            "set,item\na,1\nb,1\na,1\n",
            "column 'item' has '1' in row 3, but its set has it",
        ),
        ("m.csv", "set,item\n", "the file has no rows"),
        ("m.csv", "", "cannot be read as .csv"),
        ("m.xls", "set,item\na,1\n", "type of file is not known; give .csv"),
    ],
)
def test_a_fault_of_a_file_names_its_place_and_the_remedy(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    with pytest.raises(DataError, match=told):
        read_modules(written(tmp_path, name, text))


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("set,set_id,item", "the columns 'set', 'set_id' may each be 'set'; rename all but one"),
        ("set,Item,item id", "the columns 'Item', 'item id' may each be 'item'"),
        ("set, SET,item", "the columns 'set', ' SET' may each be 'set'"),
    ],
)
def test_a_file_in_which_two_columns_may_be_meant_names_them(
    tmp_path: Path, header: str, told: str
) -> None:
    with pytest.raises(DataError, match=told):
        read_modules(written(tmp_path, "m.csv", f"{header}\na,b,c\n"))


def test_a_set_has_fifty_items_at_most(tmp_path: Path) -> None:
    rows = "".join(f"a,{n}\n" for n in range(MOST_ITEMS + 1))
    with pytest.raises(DataError, match="in row 51, but a set has at most 50 items"):
        read_modules(written(tmp_path, "m.csv", "set,item\n" + rows))


def test_a_file_that_is_not_there_or_is_no_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"There is no file.*columns set and item"):
        read_modules(tmp_path / "none.csv")
    (tmp_path / "m.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"cannot be read as \.parquet"):
        read_modules(tmp_path / "m.parquet")
    (tmp_path / "m.csv").write_bytes(b"set,item\na,\xff\xfe\n")
    with pytest.raises(DataError, match=r"cannot be read as \.csv"):
        read_modules(tmp_path / "m.csv")
