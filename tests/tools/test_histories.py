"""Histories by product type: their limits, what they may know, and the purchase that follows."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.tables import Events, Items, Shop
from merchgraph.tools.histories import (
    History,
    Purchase,
    histories,
    history,
    last_weeks,
    most_bought,
    offered,
)

START = datetime(2026, 1, 5, 9)  # a Monday
CUT = datetime(2026, 2, 23)
Row = tuple[str, str, datetime, str]


def shop(rows: list[Row], kinds: int = 20) -> Shop:
    """Two products of each type; types 0 and 1 have one name under two categories."""
    items = [
        (f"{kind}{size}", f"Type {kind}, {size}", f"Food > Aisle {kind // 5} > Type {kind}")
        for kind in range(kinds)
        for size in "ab"
    ]
    columns = ["item", "title", "category"]
    events = pl.DataFrame(rows, schema=["user", "session", "time", "item"], orient="row")
    return Shop(
        "toy",
        Items(pl.DataFrame(items, schema=columns, orient="row")),
        Events(events.with_columns(behaviour=pl.lit("purchase"))),
    )


def weekly(user: str, baskets: list[list[str]]) -> list[Row]:
    """One basket a week."""
    return [
        (user, f"{user}/{week}", START + timedelta(weeks=week), item)
        for week, basket in enumerate(baskets)
        for item in basket
    ]


def steady(user: str, *, after: list[str], weeks: int = 7) -> list[Row]:
    """Eight types in turn, four a week until the cut, and one basket after it."""
    baskets = [[f"{(4 * week + n) % 8}a" for n in range(4)] for week in range(weeks)]
    return weekly(user, [*baskets, after])


def test_a_history_ends_before_the_cut_and_the_next_basket_follows_it() -> None:
    rows = steady("ann", after=["3a", "9a", "9b"])
    (found,) = histories(shop(rows), before=CUT, types=20)
    assert found.history.user == "ann"
    assert len(found.history.events) == 28
    assert all(event.when < CUT.date() for event in found.history.events)
    assert found.history.events[0].when == date(2026, 1, 5)
    assert found.history.items == tuple(f"Type {n}" for n in range(8))
    assert {event.category for event in found.history.events} == {"Food"}
    assert {found.next.item, *found.also} == {"Type 3"}  # 9 was in no basket before the cut
    assert found.next.when == CUT.date()


def test_one_of_the_next_basket_is_drawn_and_the_others_are_told() -> None:
    after = [f"{n}a" for n in range(6)]
    rows = [row for n in range(60) for row in steady(f"u{n}", after=after)]
    found = histories(shop(rows), before=CUT, types=20)
    assert len(found) == 60
    for one in found:
        assert len(one.also) == 5
        assert {one.next.item, *one.also} == {f"Type {n}" for n in range(6)}
    drawn = [one.next.item for one in found]
    assert set(drawn) == {f"Type {n}" for n in range(6)}
    assert found == histories(shop(rows), before=CUT, types=20)


def test_a_type_counts_once_a_basket() -> None:
    rows = steady("ann", after=["1a"])
    twice = [(user, session, time, f"{item[:-1]}b") for user, session, time, item in rows]
    assert histories(shop(rows + twice), before=CUT) == histories(shop(rows), before=CUT)


def test_nothing_after_the_cut_changes_a_history_or_the_types_that_can_occur() -> None:
    rows = steady("ann", after=["1a"])
    later = [("bob", f"b{n}", CUT + timedelta(days=n), f"{n % 12 + 8}a") for n in range(200)]
    found = histories(shop(rows), before=CUT, types=8)
    assert histories(shop(rows + later), before=CUT, types=8) == found
    assert most_bought(shop(rows + later), CUT, 20) == most_bought(shop(rows), CUT, 20)


def test_a_history_is_as_long_as_both_limits_allow() -> None:
    wide = weekly("wide", [[f"{(3 * week + n) % 20}a" for n in range(6)] for week in range(7)])
    long = weekly("long", [[f"{n}a" for n in range(8)] for _ in range(7)])
    after = [("wide", "w", CUT, "1a"), ("long", "l", CUT, "1a")]
    episodes = histories(shop(wide + long + after), before=CUT)
    found = {one.history.user: one.history for one in episodes}
    assert len(found["long"].events) == 40
    assert len(found["wide"].items) == 15
    assert 20 <= len(found["wide"].events) < 40


def test_who_has_too_little_has_no_episode_but_a_history() -> None:
    rows = steady("ann", after=["1a"]) + weekly("new", [["1a"], ["2a"]])
    store = shop(rows)
    assert [one.history.user for one in histories(store, before=CUT)] == ["ann"]
    assert [event.item for event in history(store, "new").events] == ["Type 1", "Type 2"]
    until = START + timedelta(days=1)
    assert [event.item for event in history(store, "new", before=until).events] == ["Type 1"]


def test_a_vague_type_has_its_category_in_front_and_a_product_without_one_its_title() -> None:
    items = pl.DataFrame(
        {"item": ["1", "2"], "title": ["Lean beef, 1 lb", "Mug"], "category": ["Meat > Beef > Lean", ""]}
    )  # fmt: skip
    rows = pl.DataFrame(
        {"user": ["u", "u"], "session": ["s", "s"], "time": [START, START], "item": ["1", "2"]}
    )
    store = Shop("toy", Items(items), Events(rows.with_columns(behaviour=pl.lit("purchase"))))
    found = history(store, "u")
    told = [(event.item, event.category) for event in found.events]
    assert told == [("Beef: Lean", "Meat"), ("Mug", "")]


def test_by_default_the_last_four_weeks_are_what_follows() -> None:
    rows = steady("ann", after=["1a"])
    assert last_weeks(shop(rows)) == datetime(2026, 2, 2)
    (found,) = [*histories(shop(steady("ann", after=["1a"], weeks=9)))]
    assert found.next.when >= last_weeks(shop(steady("ann", after=["1a"], weeks=9))).date()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"types": 7}, "7 product types were asked for, but a history has at least 8"),
        (
            {"before": START},
            "No shopper of toy has 20 purchases of 8 product types before 2026-01-05",
        ),
        ({"before": START.replace(tzinfo=UTC)}, "has a time zone"),
    ],
)
def test_what_gives_no_history_is_said(given: dict[str, object], told: str) -> None:
    with pytest.raises(SetupError, match=re.escape(told)):
        histories(shop(steady("ann", after=["1a"])), **given)  # type: ignore[arg-type]


def test_an_unknown_shopper_is_said() -> None:
    store = shop(steady("ann", after=["1a"]))
    with pytest.raises(SetupError, match="The user 'bob' is not in toy"):
        history(store, "bob")
    rare = shop(steady("ann", after=["1a"]) + weekly("rare", [["19a"]]))
    with pytest.raises(SetupError, match="has bought none of the 8 most bought product types"):
        history(rare, "rare", types=8)


@given(
    own=st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=30),
    popular=st.lists(st.sampled_from("abcdefghijklmnopqrst"), max_size=20, unique=True),
    size=st.integers(2, 20),
)
def test_half_of_what_is_offered_is_the_shopper_s_own(
    own: list[str], popular: list[str], size: int
) -> None:
    past = History(user="7", events=tuple(Purchase(item=item, when=START.date()) for item in own))
    found = offered(past, popular, size)
    assert len(found) == len(set(found)) == min(size, len({*own, *popular}))
    mine = len({*own}.intersection(found))
    spare = len({*popular} - {*own})
    assert mine == min(len(set(own)), max(size - size // 2, size - spare))
