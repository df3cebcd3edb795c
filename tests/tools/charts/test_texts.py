"""From each rendering as text the events can be read again: items, order, and days where it has them."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.charts.events import LONGEST, EventTable, event_table, names
from merchgraph.tools.charts.texts import grid, paragraph, ranks
from merchgraph.tools.histories import History, Purchase
from tests.tools.charts.made import histories, made

TWO = History(
    user="7",
    events=(
        Purchase(item="Oat milk", when=date(2026, 1, 2)),
        Purchase(item="Plum jam", when=date(2026, 1, 2)),
        Purchase(item="Oat milk", when=date(2026, 1, 9)),
    ),
)


def test_the_texts_are_as_they_are_described() -> None:
    table = event_table(TWO)
    assert paragraph(table) == (
        'item "Oat milk" was purchased at 2026-01-02. item "Plum jam" was purchased at 2026-01-02. '
        'item "Oat milk" was purchased at 2026-01-09.'
    )
    assert ranks(table) == "1. Oat milk\n2. Plum jam\n3. Oat milk"
    assert grid(table) == "item | 1 | 2 | 3\nOat milk | x | . | x\nPlum jam | . | x | ."


@given(histories())
def test_a_paragraph_holds_every_event_with_its_day(history: History) -> None:
    table = event_table(history)
    found = re.findall(r'item "([^"]*)" was purchased at (\d{4}-\d\d-\d\d)\.', paragraph(table))
    assert found == [(row.item, str(row.when)) for row in table.rows]


@given(histories())
def test_ranks_hold_every_event(history: History) -> None:
    table = event_table(history)
    found = [line.split(". ", 1) for line in ranks(table).split("\n")]
    assert found == [[str(row.step), row.item] for row in table.rows]


@given(histories())
def test_a_table_holds_every_event_and_its_items_by_first_purchase(history: History) -> None:
    table = event_table(history)
    assert read_grid(grid(table)) == [row.item.replace("|", "/") for row in table.rows]
    rows = [line.split(" | ")[0] for line in grid(table).split("\n")[1:]]
    assert rows == [item.replace("|", "/") for item in table.items]


def read_grid(text: str) -> list[str]:
    """The item of each column."""
    lines = [line.split(" | ") for line in text.split("\n")]
    heads, body = lines[0][1:], lines[1:]
    assert heads == [str(n) for n in range(1, len(heads) + 1)]
    marked = [[line[0] for line in body if line[n] == "x"] for n in range(1, len(heads) + 1)]
    assert all(len(column) == 1 for column in marked)
    return [column[0] for column in marked]


@given(st.lists(st.text(max_size=90), max_size=20))
def test_names_stay_apart_are_short_and_fit_on_a_line(items: list[str]) -> None:
    found = names(items)
    assert set(found) == set(items)
    assert len(set(found.values())) == len(found)
    for name in found.values():
        assert name
        assert not set(name) & set('"\n\r\t\u2028')
        assert len(name.encode("utf-8", "replace")) < 40 * LONGEST


def test_an_item_has_the_same_name_as_a_candidate_and_in_the_history() -> None:
    history = made(3, 3, long=True)
    candidates = [history.items[0], "another " * 12, "another " * 13]
    named = names([*history.items, *candidates])
    assert event_table(history, *candidates).items == tuple(named[item] for item in history.items)
    assert named["another " * 12] != named["another " * 13]


@pytest.mark.parametrize(
    ("history", "told"),
    [
        (History(user="7", events=()), "The history of user '7' has no event"),
        (made(61, 8), "has 61 events of 8 items, but a picture shows 60 of 20 at most"),
        (made(40, 21), "has 40 events of 21 items"),
    ],
)
def test_a_history_that_cannot_be_shown_is_refused(history: History, told: str) -> None:
    with pytest.raises(SetupError, match=re.escape(told)):
        event_table(history)


def test_a_name_cannot_make_up_an_event() -> None:
    evil = 'Tea" was purchased at 2026-01-01. item "Gold'
    history = History(user="7", events=(Purchase(item=evil, when=date(2026, 1, 2)),))
    table: EventTable = event_table(history)
    assert re.findall(r'item "([^"]*)" was purchased', paragraph(table)) == [table.rows[0].item]
