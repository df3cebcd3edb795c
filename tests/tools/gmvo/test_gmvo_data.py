from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from merchgraph.tools.data.tables import Events, Items
from merchgraph.tools.gmvo.data import Goods, Moves, goods, log, moves
from tests.tools.gmvo.toy import GOODS, START, bought, events, ids, items


def told(log_of: Events) -> list[tuple[str, str]]:
    """Sources and targets of all moves, sorted."""
    kept = goods(items(), log_of, 1)
    found = moves(log(log_of, kept), kept)
    pairs = zip(found.source, found.target, strict=True)
    return sorted((kept.items[source], kept.items[target]) for source, target in pairs)


def test_what_only_the_first_trip_has_is_given_up_for_what_only_the_second_has() -> None:
    trips = bought(
        [("ann", 0, "tea 0"), ("ann", 0, "tea 1"), ("ann", 0, "soap 3"),
         ("ann", 7, "tea 1"), ("ann", 7, "tea 2"), ("ann", 7, "tea 5"),
         ("ann", 9, "soap 3"), ("bob", 8, "tea 9")]
    )  # fmt: skip
    assert told(trips) == [("tea 0", "tea 2"), ("tea 0", "tea 5")]


def test_trips_without_the_type_lie_between_no_switch() -> None:
    trips = bought([("ann", 0, "tea 0"), ("ann", 3, "soap 0"), ("ann", 7, "tea 1")])
    assert told(trips) == [("tea 0", "tea 1")]


def test_an_occasion_has_one_source_and_all_its_targets() -> None:
    trips = bought(
        [("ann", 0, "tea 0"), ("ann", 0, "tea 1"), ("ann", 7, "tea 2"), ("ann", 7, "tea 3")]
    )
    kept = goods(items(), trips, 1)
    found = moves(log(trips, kept), kept)
    assert len(found.occasion) == 4
    for occasion in np.unique(found.occasion):
        assert len(set(found.source[found.occasion == occasion])) == 1
    assert len(np.unique(found.occasion)) == 2


def test_a_log_with_views_tells_moves_inside_a_session() -> None:
    session = events(
        [("ann", 0.1, "tea 0", "view"), ("ann", 0.2, "tea 1", "view"), ("ann", 0.3, "tea 1", "purchase"),
         ("ann", 0.4, "tea 2", "view"), ("ann", 0.5, "soap 0", "purchase"),
         ("bob", 0.1, "tea 0", "view"), ("bob", 1.1, "tea 3", "purchase")]
    )  # fmt: skip
    # tea 1 was bought itself, tea 2 viewed afterwards, and bob's purchase is another session's
    kept = goods(items(), session, 1)
    assert set(kept.items) == {"tea 1", "tea 3", "soap 0"}
    every = events(
        [("eve", 9.0, item, "purchase") for item in ids()]
        + [("ann", 0.1, "tea 0", "view"), ("ann", 0.2, "tea 1", "view"),
           ("ann", 0.3, "tea 1", "purchase"), ("ann", 0.4, "tea 2", "view"),
           ("bob", 0.1, "tea 0", "view"), ("bob", 1.1, "tea 3", "purchase")]
    )  # fmt: skip
    assert told(every) == [("tea 0", "tea 1")]


def test_goods_are_bought_often_enough_and_have_a_type() -> None:
    trips = bought([("ann", day, "tea 0") for day in range(3)] + [("ann", 0, "tea 1")])
    assert goods(items(), trips, 3).items == ("tea 0",)
    assert goods(items(), trips, 1).items == ("tea 0", "tea 1")
    nameless = Items(pl.DataFrame({"item": ids(), "title": ids()}))
    assert goods(nameless, trips, 1).items == ()


def test_a_column_of_types_goes_before_the_category() -> None:
    frame = items().frame.with_columns(
        product_type=pl.when(pl.col("item") == "tea 1")
        .then(pl.lit("mate"))
        .otherwise(pl.lit("all"))
    )
    trips = bought([("ann", 0, "tea 0"), ("ann", 0, "tea 1"), ("ann", 0, "soap 0")])
    kept = goods(Items(frame), trips, 1)
    types = dict(zip(kept.items, kept.types.tolist(), strict=True))
    assert types["tea 0"] == types["soap 0"] != types["tea 1"]


def test_prices_are_medians_paid_else_the_catalogues() -> None:
    trips = bought(
        [("ann", 0, "tea 0"), ("ann", 1, "tea 0"), ("ann", 2, "tea 0"), ("ann", 0, "tea 4")]
    )
    paid = trips.frame.with_columns(
        price=pl.when(pl.col("item") == "tea 0").then(pl.Series([2.0, None, 9.0, 4.0]))
    )
    kept = goods(items(), Events(paid), 1)
    prices = dict(zip(kept.items, kept.prices.tolist(), strict=True))
    assert prices == {"tea 0": 4.0, "tea 4": 5.0}
    np.testing.assert_allclose(kept.relative, [4 / 4.5, 5 / 4.5])


def over_midnight(rows: list[tuple[float, str, str]]) -> Events:
    """One session of ann at some days, before all of which everybody bought everything."""
    told_of = [("eve", -9.0, item, "purchase") for item in ids()]
    frame = events([*told_of, *(("ann", *row) for row in rows)]).frame
    session = pl.when(pl.col("user") == "ann").then(pl.lit("one")).otherwise(pl.col("session"))
    return Events(frame.with_columns(session=session))


def test_a_trip_that_goes_on_after_the_cut_is_not_known_before() -> None:
    log_of = over_midnight([(6.9, "tea 1", "purchase"), (7.1, "tea 2", "purchase")])
    first = events([("ann", 0.0, "tea 0", "purchase")]).frame
    rows = Events(pl.concat([first, log_of.frame]))
    kept = goods(items(), rows, 1)
    found, cut = moves(log(rows, kept), kept), _day(7)
    assert len(found.target) == 2
    assert len(found.within(-np.inf, cut).target) == 0
    assert len(found.within(cut, np.inf).target) == 2


def test_a_session_that_goes_on_after_the_cut_is_not_known_before() -> None:
    viewed = [(6.8, "tea 0", "view")]
    log_of = over_midnight([*viewed, (6.9, "tea 1", "purchase"), (7.1, "tea 2", "purchase")])
    kept = goods(items(), log_of, 1)
    found, cut = moves(log(log_of, kept), kept), _day(7)
    assert len(found.target) == 2
    assert len(found.within(-np.inf, cut).target) == 0


def _day(days: float) -> float:
    return (START - datetime(1970, 1, 1)).days + days


def test_a_log_without_purchases_counts_with_all_its_events() -> None:
    looked = events([("ann", 0, "tea 0", "visit"), ("ann", 5, "tea 1", "visit")])
    assert told(looked) == [("tea 0", "tea 1")]


def test_an_empty_log_has_no_goods_and_no_moves() -> None:
    nothing = bought([])
    kept: Goods = goods(items(), nothing, 1)
    found: Moves = moves(log(nothing, kept), kept)
    assert kept.items == ()
    assert [len(column) for column in found] == [0] * 5


@pytest.mark.parametrize(("start", "end", "kept"), [(0, 1e9, 2), (0, 14, 0), (-1, 1e9, 2)])
def test_moves_are_cut_by_the_day_of_the_purchase(start: float, end: float, kept: int) -> None:
    trips = bought([("ann", day, f"tea {n}") for n, day in enumerate((0, 14, 20))])
    days = (trips.frame["time"].dt.epoch("us").to_numpy() / 86_400e6)[0]
    all_goods = goods(items(), trips, 1)
    found = moves(log(trips, all_goods), all_goods)
    assert len(found.within(days + start, days + end).day) == kept


def test_codes_of_attributes_tell_the_unknown_from_the_equal() -> None:
    trips = bought([("ann", 0, item) for item in ids()])
    kept = goods(items(), trips, 1)
    brand, seller, size = kept.alike
    assert brand[0] == brand[2] != brand[1]
    assert len(brand) == 2 * GOODS
    assert set(seller) == set(size) == {-1}
