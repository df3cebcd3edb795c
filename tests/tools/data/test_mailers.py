"""Exposures and clicks: who shopped where something was on the mailer, and who bought it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.data.mailers import Mailers, mailers
from merchgraph.tools.data.tables import Events, Items, Shop

ITEMS = Items(
    pl.DataFrame(
        {
            "item": ["1", "2", "3", "4"],
            "title": ["a", "b", "c", "d"],
            "category": ["Grocery > Cheese > Feta", "Grocery > Cheese > Feta",
                         "Grocery > Soup > Broth", "Fuel"],
            "brand": ["store brand", "national brand", None, None],
            "sellable": [True, True, True, False],
        }
    )
)  # fmt: skip
FETA, BROTH = "Feta", "Broth"


def events(*rows: tuple[str, str, int, str, float]) -> Events:
    frame = pl.DataFrame(
        [
            {"user": user, "session": f"{user}{week}", "behaviour": "purchase", "item": item,
             "time": datetime(2016, 12, 26) + timedelta(weeks=week - 1), "price": price,
             "quantity": 2.0, "store": store, "week": week, "discounted": False, "coupon": False}
            for user, store, week, item, price in rows
        ],
        schema_overrides={"week": pl.Int8},
    )  # fmt: skip
    return Events(frame)


PROMOTIONS = pl.DataFrame(
    [
        {"item": item, "store": store, "week": week, "mailer_location": place}
        for item, store, week, place in [
            ("1", "s", 3, "A"), ("1", "s", 3, "H"), ("3", "s", 3, "0"), ("3", "t", 3, "D"),
            ("1", "t", 4, "A"), ("4", "t", 4, "A"), ("9", "t", 4, "A"),
        ]
    ]
)  # fmt: skip
ROWS = (
    ("u", "s", 3, "2", 4.0),
    ("u", "t", 3, "1", 1.0),
    ("v", "t", 4, "1", 2.0),
    ("v", "t", 5, "1", 3.0),
    ("w", "s", 3, "3", 9.0),
    ("w", "s", 40, "2", 1.0),
)


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Mailers]:
    with use_settings(cache=tmp_path):
        shop = Shop("toy", ITEMS, events(*ROWS), {"promotions": PROMOTIONS}, "x")
        yield mailers(shop)


def table(found: Mailers, name: str) -> dict[tuple[str, str, int], dict[str, bool]]:
    types = found.types["name"].to_list()
    visits = np.arange(found.visits.height)
    cells = getattr(found, name)(visits, np.arange(len(types)))
    keys = found.visits.select("user", "store", "week").rows()
    return {key: dict(zip(types, row.tolist(), strict=True))
            for key, row in zip(keys, cells, strict=True)}  # fmt: skip


def test_whoever_shops_where_a_type_is_on_the_mailer_is_exposed(found: Mailers) -> None:
    assert table(found, "shown") == {
        ("u", "s", 3): {FETA: True, BROTH: False},
        ("u", "t", 3): {FETA: False, BROTH: True},
        ("v", "t", 4): {FETA: True, BROTH: False},
        ("w", "s", 3): {FETA: True, BROTH: False},
    }


def test_any_product_of_the_type_counts_as_a_click_where_it_was_shown(found: Mailers) -> None:
    clicked = table(found, "clicked")
    assert clicked["u", "s", 3] == {FETA: True, BROTH: False}, "another product of the type"
    assert clicked["u", "t", 3] == {FETA: False, BROTH: False}, "bought, but not on that mailer"
    assert clicked["v", "t", 4] == {FETA: True, BROTH: False}
    assert clicked["w", "s", 3] == {FETA: False, BROTH: False}
    assert found.clicks(np.array([0, 2])).tolist() == [2, 0], "of feta, and of broth"


def test_types_say_whether_they_ever_were_on_a_mailer(found: Mailers) -> None:
    assert dict(found.types.select("name", "advertised").iter_rows()) == {FETA: True, BROTH: True}
    assert found.types["type"].to_list() == [0, 1]
    assert set(found.types["department"]) == {"Grocery"}


def test_a_line_knows_dollars_brand_and_whether_its_very_product_was_on_the_mailer(
    found: Mailers,
) -> None:
    lines = found.lines.select("user", "week", "dollars", "private", "mailed").rows()
    assert lines[0] == ("u", 3, 8.0, False, False), "the type was on the mailer, not the product"
    assert ("u", 3, 2.0, True, False) in lines
    assert ("v", 4, 4.0, True, True) in lines
    assert len(lines) == len(ROWS)


def test_price_ranks_know_no_prices_of_the_test_weeks(found: Mailers) -> None:
    tiers = found.lines.filter(pl.col("user") == "w").sort("week")["tier"].to_list()
    assert tiers == [None, 1.0], "broth has no rival; 4.0 is more than the other feta's median 2.0"


def test_a_second_look_reads_the_cache(found: Mailers, tmp_path: Path) -> None:
    with use_settings(cache=tmp_path):
        broken = {"promotions": pl.DataFrame({"no": ["columns"]})}
        again = mailers(Shop("toy", ITEMS, events(*ROWS), broken, "x"))
    assert all(again.tables[name].equals(found.tables[name]) for name in found.tables)


def test_a_shop_without_a_record_of_mailers_is_refused() -> None:
    shop = Shop("mine", ITEMS, events(*ROWS), {}, "x")
    with pytest.raises(SetupError, match="'mine' has no record of what was advertised"):
        mailers(shop)
