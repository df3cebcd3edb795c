"""Shops read as their mapping files say."""

import gzip
import os
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
import yaml

from merchgraph.runtime.settings import settings
from merchgraph.tools.data import tabular
from merchgraph.tools.data.tables import Shop
from tests.tools.data.shop_files import EVENTS, ITEMS, fault, mapping, write


def test_a_shop_is_read_as_its_mapping_says(tmp_path: Path) -> None:
    shop = tabular.load(write(tmp_path, mapping()))
    assert shop.name == "mine"
    milk = shop.items.row("007")
    assert (milk.title, milk.category, milk.price) == ("Oat milk", "Dairy > Milk", 1.5)
    assert (shop.items.row("8").category, shop.items.row("8").price) == ("", None)
    assert shop.events.frame.drop("session", "quantity").rows() == [
        ("1", datetime(2017, 1, 2, 10), "purchase", "007", 1.5),
        ("2", datetime(2017, 1, 2), "view", "8", None),
    ]


def test_without_sessions_the_events_of_a_day_are_one(tmp_path: Path) -> None:
    rows = EVENTS + "1;2017-01-02 23:00:00;8;buy;\n1;2017-01-03;8;buy;\n"
    history = tabular.load(write(tmp_path, mapping(), events=rows)).history("1")
    assert [(basket.session, len(basket.items)) for basket in history] == [
        ("1/2017-01-02", 2),
        ("1/2017-01-03", 1),
    ]


def test_rows_of_a_behaviour_without_a_new_name_are_left_out(tmp_path: Path) -> None:
    shop = tabular.load(write(tmp_path, mapping(behaviours={"buy": "buy", "look": None})))
    assert shop.events.frame["behaviour"].to_list() == ["buy"]


def test_without_a_price_column_an_item_costs_the_median_of_its_events(tmp_path: Path) -> None:
    form = mapping()
    form["items"]["columns"] = {"item": "sku", "title": "name"}
    rows = EVENTS + "3;2017-01-05;007;buy;2,50\n"
    shop = tabular.load(write(tmp_path, form, events=rows))
    assert [item.price for item in shop.items.get(["007", "8"])] == [2.0, None]


def test_a_category_may_have_several_columns(tmp_path: Path) -> None:
    form = mapping()
    form["items"]["columns"] = {"item": "sku", "title": "name"}
    form["items"]["categories"] = ["path", "name"]
    shop = tabular.load(write(tmp_path, form))
    assert [item.category for item in shop.items.get(["007", "8"])] == [
        "Dairy > Milk > Oat milk",
        "Soap",
    ]


def test_parquet_keeps_its_types_and_extra_columns(tmp_path: Path) -> None:
    pl.DataFrame({"id": [1], "name": ["Soap"], "grams": [90]}).write_parquet(tmp_path / "i.parquet")
    times = pl.Series([datetime(2017, 1, 2, 12)]).dt.replace_time_zone("Europe/Paris")
    log = pl.DataFrame({"u": [5], "t": times, "id": [1], "paid": [3]})
    log.write_parquet(tmp_path / "log-1.parquet")
    log.with_columns(u=pl.lit(6)).write_parquet(tmp_path / "log-2.parquet")
    form = {
        "name": "soaps",
        "items": {
            "file": "i.parquet",
            "columns": {"item": "id", "title": "name"},
            "extras": ["grams"],
        },
        "events": {
            "file": str(tmp_path / "log-*.parquet"),
            "columns": {"user": "u", "time": "t", "item": "id", "price": "paid"},
            "constants": {"behaviour": "purchase", "quantity": 1, "session": "s"},
        },
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(form))
    shop = tabular.load(tmp_path / "mine.yaml")
    assert (shop.name, shop.events.users) == ("soaps", ("5", "6"))
    assert shop.items.frame["grams"].to_list() == [90]
    assert shop.events.frame["time"][0] == datetime(2017, 1, 2, 11)
    assert shop.events.frame["quantity"].to_list() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("form", "cell", "expected"),
    [
        ("iso", "2017-03-01T12:30:15.250", datetime(2017, 3, 1, 12, 30, 15, 250_000)),
        ("iso", "2017-03-01 12:30", datetime(2017, 3, 1, 12, 30)),
        ("iso", "2017-03-01T12:30:15Z", datetime(2017, 3, 1, 12, 30, 15)),
        ("iso", "2017-03-01 12:30:15 UTC", datetime(2017, 3, 1, 12, 30, 15)),
        ("iso", "2017-03-01 12:30:15+02:00", datetime(2017, 3, 1, 10, 30, 15)),
        ("seconds", "1488371415", datetime(2017, 3, 1, 12, 30, 15)),
        ("milliseconds", "1488371415250", datetime(2017, 3, 1, 12, 30, 15, 250_000)),
        ("%d/%m/%Y %H:%M", " 01/03/2017 12:30 ", datetime(2017, 3, 1, 12, 30)),
        ("%d.%m.%Y %H:%M %z", "01.03.2017 12:30 +0100", datetime(2017, 3, 1, 11, 30)),
    ],
)
def test_times_are_read_in_the_given_form(
    tmp_path: Path, form: str, cell: str, expected: datetime
) -> None:
    rows = f"who;when;what;did;paid\n1;{cell};007;buy;\n"
    shop = tabular.load(write(tmp_path, mapping(time_format=form), events=rows))
    assert shop.events.frame["time"][0] == expected


def test_keep_leaves_rows_out_and_messages_still_name_rows_of_the_file(tmp_path: Path) -> None:
    keep = {
        "paid": {"above": 1},
        "who": {"present": True, "not_pattern": "^bot"},
        "what": {"pattern": "^0"},
    }
    rows = EVENTS + ";2017-01-02;007;buy;2\nbot;2017-01-02;007;buy;2\n3;2017-01-02;007;buy;2\n"
    shop = tabular.load(write(tmp_path, mapping(keep=keep), events=rows))
    assert shop.events.users == ("1", "3")
    faulty = rows + "4;yesterday;007;buy;2\n"
    message = fault(write(tmp_path, mapping(keep=keep), events=faulty))
    assert message.startswith("events.csv: column 'when' has 'yesterday' in row 6, but a time ")


def test_gzip_and_tabs_are_read(tmp_path: Path) -> None:
    tabs = EVENTS.replace(";", "\t").encode()
    (tmp_path / "e.tsv.gz").write_bytes(gzip.compress(tabs))
    shop = tabular.load(write(tmp_path, mapping(file="e.tsv.gz", separator=",")))
    assert len(shop.events) == 2


def test_ids_that_do_not_meet_are_noticed(tmp_path: Path) -> None:
    rows = EVENTS.replace(";007;", ";7.0;").replace(";8;", ";8.0;")
    assert "No event of mine has an item of its catalogue" in fault(
        write(tmp_path, mapping(), events=rows)
    )


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    first = tabular.load(write(tmp_path, mapping()))
    second = tabular.load(write(tmp_path, mapping(), items=ITEMS.replace("Soap", "Shampoo")))
    assert (first.items.row("8").title, second.items.row("8").title) == ("Soap", "Shampoo")
    assert first.fingerprint != second.fingerprint


def test_an_unchanged_shop_comes_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tabular.load(write(tmp_path, mapping()))
    monkeypatch.setattr(tabular, "_read", None)
    again = tabular.load(tmp_path / "mine.yaml")
    assert again.events.frame.equals(first.events.frame)


def test_the_example_of_the_docstring_reads_online_retail(tmp_path: Path) -> None:
    folder = settings().data / "uci_online_retail"
    if not folder.is_dir():
        pytest.skip("MERCHGRAPH_DATA has no folder uci_online_retail")
    example = (tabular.__doc__ or "").split("\n\n")[1]
    file = os.path.abspath(folder / "online_retail.csv.gz")
    (tmp_path / "gifts.yaml").write_text(example.replace("online_retail.csv.gz", file))
    shop: Shop = tabular.load(tmp_path / "gifts.yaml")
    assert shop.name == "gifts"
    assert (len(shop.events), len(shop.events.users), len(shop.items)) == (396_337, 4_334, 3_931)
    assert shop.unknown_items == 0
    assert shop.items.row("85123A").title == "WHITE HANGING HEART T-LIGHT HOLDER"
    assert shop.history("17850")[0].items[0] == "85123A"
