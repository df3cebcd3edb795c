"""The one table of events that every rendering of a history is made of.

    table = event_table(history)
    table.rows[0]     # Event(step=1, item='Potato chips', when=date(2017, 11, 9), category='Grocery')

All renderings show the same names, so that none tells more of an item than another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import regex

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.histories import History
from merchgraph.tools.text import graphemes

MOST_EVENTS = 60
MOST_ITEMS = 20
LONGEST = 48
"""Characters of a name: two lines beside a chart. Longer ones are cut, in every rendering alike."""
_BROKEN = regex.compile(r"[\p{Z}\p{C}--[\u200c\u200d]]+", regex.VERSION1)


class Event(NamedTuple):
    """One purchase: its place from 1, the item's name, the day, the item's department."""

    step: int
    item: str
    when: date
    category: str


@dataclass(frozen=True)
class EventTable:
    """A history as it is rendered: events oldest first, at least one."""

    rows: tuple[Event, ...]

    @property
    def items(self) -> tuple[str, ...]:
        """Every name once, in the order of first purchase."""
        return tuple(dict.fromkeys(row.item for row in self.rows))

    @property
    def categories(self) -> tuple[str, ...]:
        """Every department once, in the order of first purchase; "other" stands for unknown ones."""
        return tuple(dict.fromkeys(row.category for row in self.rows))


def event_table(history: History, *also: str) -> EventTable:
    """The table of a history.

    Args:
        history: at most 60 events of at most 20 items, of which every picture stays legible.
        also: items that are named beside it, see `names`.

    Raises:
        SetupError: no event, or more than a picture can show.
    """
    events, items = history.events, history.items
    if not events:
        raise SetupError(f"The history of user {history.user!r} has no event; give at least one.")
    if len(events) > MOST_EVENTS or len(items) > MOST_ITEMS:
        raise SetupError(
            f"The history of user {history.user!r} has {len(events)} events of {len(items)} items, "
            f"but a picture shows {MOST_EVENTS} of {MOST_ITEMS} at most; give its latest ones."
        )
    named = names([*items, *also])
    return EventTable(
        tuple(
            Event(step, named[event.item], event.when, _plain(event.category) or "other")
            for step, event in enumerate(events, start=1)
        )
    )


def names(items: Iterable[str]) -> dict[str, str]:
    """Item -> what it is called in every rendering: one line, without quotes, none like another."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for item in dict.fromkeys(items):
        whole = _plain(item) or "unnamed"
        name, number = _cut(whole), 2
        while name in taken:
            ending = f" ({number})"
            name, number = _cut(whole, LONGEST - len(ending)) + ending, number + 1
        taken.add(name)
        found[item] = name
    return found


def _plain(text: str) -> str:
    # a quote ends a name in the renderings as text
    return _BROKEN.sub(" ", text.replace('"', "'")).strip()


def _cut(text: str, longest: int = LONGEST) -> str:
    letters = graphemes(text)
    return text if len(letters) <= longest else "".join(letters[: longest - 1]).rstrip() + "…"
