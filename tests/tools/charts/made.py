"""Histories for the tests of renderings: the hard cases of length, names and days."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import strategies as st

from merchgraph.tools.histories import History, Purchase

DEPARTMENTS = ("Grocery", "Produce", "Drugstore and general merchandise", "Meat", "Deli", "Floral")
LONG = (
    "Frozen single serve premium entrees/dinners",
    "Individually wrapped single cheese slices",
    "Non-carbonated drinking/mineral water",
    "Drugstore and general merchandise: candy bars",
)


def made(events: int, items: int, *, long: bool = False) -> History:
    """Every item at least once, then in a mixed order; two purchases every third day."""
    names = [f"{LONG[n % len(LONG)][:44]} {n}" if long else f"Item {n}" for n in range(items)]
    order = [n if n < items else (7 * n + n // 5) % items for n in range(events)]
    first = date(2025, 12, 1)
    return History(
        user="7",
        events=tuple(
            Purchase(item=names[item], when=first + timedelta(days=n // 2 * 3),
                     category=DEPARTMENTS[item % len(DEPARTMENTS)])
            for n, item in enumerate(order)
        ),
    )  # fmt: skip


CASES = {
    "one event": made(1, 1),
    "20 of 8": made(20, 8),
    "40 of 15": made(40, 15),
    "40 of 15, long names": made(40, 15, long=True),
    "40 of 8, long names": made(40, 8, long=True),
}


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Any history that may be rendered, its names in letters that the charts' own font has."""
    letters = st.characters(min_codepoint=32, max_codepoint=0x17F, exclude_categories=["C"])
    names = draw(st.lists(st.text(letters, max_size=70), min_size=1, max_size=8, unique=True))
    picked = draw(st.lists(st.sampled_from(names), min_size=1, max_size=30))
    waits = draw(st.lists(st.integers(0, 90), min_size=len(picked) - 1, max_size=len(picked) - 1))
    day, events = date(2026, 1, 1), []
    for item, wait in zip(picked, [0, *waits], strict=True):
        day += timedelta(days=wait)
        events.append(Purchase(item=item, when=day))
    return History(user="7", events=tuple(events))
