"""Pairs of titles and items that a catalogue itself says are true or false.

    fit, measure = pairs(store.items, left_out=["1082185", ...], count=600)

A label is the name of a category that holds items: one of the last two levels of "Department >
Category > Type". As a title it is true of an item of its own, and false of an item elsewhere: half of
the false labels are types of the same category, a quarter categories of the same department, the rest
from anywhere. One whose words the item's text or category path has all the same is not used, so that no
label of the item's own counts as false where its text does not name its category. Half of the titles join
the label with another false one ("Tea & Soap"), in either order, as titles of mixed modules do. Half
of the texts lack their category or their type: a title rarely has the catalogue's own words.

The catalogue's two halves, by the category above the type, share no label but by chance of names: one
is for fitting, the other for measuring. What is judged later is in neither: items of the types of the
items left out, and their labels.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from merchgraph.evals.metrics.title_judge import Pair
from merchgraph.tools.data.tables import Items
from merchgraph.tools.text import stems

HIDDEN = (0.5, 0.25, 0.25)
"""Shares of pairs whose text is whole, lacks its category, lacks its type."""
TRIES = 20
"""Draws of a false label before an item is passed over."""


class Shelved(NamedTuple):
    """An item's text and where it stands."""

    text: str
    path: str
    department: str
    category: str
    type: str


def pairs(
    items: Items, left_out: Collection[str], *, count: int, seed: int = 0
) -> tuple[list[Pair], list[Pair]]:
    """True and false pairs in turn, for fitting and for measuring.

    Args:
        items: the catalogue; items of a category path with fewer than two levels make no pair.
        left_out: ids of items that will be judged.
        count: pairs of each of the two, at most.
        seed: which items, labels and joins.
    """
    frame = items.frame.filter("sellable") if "sellable" in items.frame.columns else items.frame
    frame = frame.select("item", "text", "category")
    judged = frame.filter(frame["item"].is_in(list(left_out)))["category"]
    hidden = {label for path in judged for label in _levels(path)[-2:]}
    types = {_levels(path)[-1] for path in judged}
    once = frame.unique("text", maintain_order=True)
    every = [
        Shelved(text, path, levels[0], levels[-2], levels[-1])
        for _, text, path in once.iter_rows()
        if len(levels := _levels(path)) > 1 and levels[-1] not in types
    ]
    halves: tuple[list[Shelved], list[Shelved]] = [], []
    for one in every:
        halves[_byte(one.category, seed) % 2].append(one)
    return _Half(halves[0], hidden).pairs(count, seed), _Half(halves[1], hidden).pairs(count, seed)


@dataclass
class _Half:
    """One half of the catalogue; no label that is hidden becomes a title."""

    every: Sequence[Shelved]
    hidden: Collection[str]

    def pairs(self, count: int, seed: int) -> list[Pair]:
        drawn = random.Random(seed)
        mixed = list(self.every)
        drawn.shuffle(mixed)
        found: list[Pair] = []
        for one in mixed:
            if len(found) == count:
                break
            if pair := self._pair(one, true=len(found) % 2 == 0, drawn=drawn):
                found.append(pair)
        return found

    def _pair(self, one: Shelved, *, true: bool, drawn: random.Random) -> Pair | None:
        own = [label for label in (one.type, one.category) if label not in self.hidden]
        wrong = [self._false(one, drawn) for _ in range(2)]
        if not own or None in wrong:
            return None
        name = drawn.choice(own)
        said = [name if true else str(wrong[0])]
        if drawn.random() < 0.5:
            said.append(str(wrong[1]))
            drawn.shuffle(said)
        taken = drawn.choices(("", one.category, one.type), HIDDEN)[0]
        text = one.text.replace(taken, "").strip(" ,") if taken else one.text
        return Pair(" & ".join(said), text, true)

    def _false(self, one: Shelved, drawn: random.Random) -> str | None:
        """A label that is not true of the item as far as text and path tell; None where none is drawn."""
        there = {*stems(one.text), *stems(one.path)}
        for _ in range(TRIES):
            places = [self._types(one), self._types(one), self._categories(one), self.labels]
            label = drawn.choice(drawn.choice(places) or self.labels or [""])
            if label and not set(stems(label)) <= there:
                return label
        return None

    @cached_property
    def labels(self) -> list[str]:
        return self._shown({label for one in self.every for label in (one.type, one.category)})

    def _types(self, one: Shelved) -> list[str]:
        return self._inside[one.department, one.category]

    def _categories(self, one: Shelved) -> list[str]:
        return self._inside[one.department, ""]

    @cached_property
    def _inside(self) -> dict[tuple[str, str], list[str]]:
        found: dict[tuple[str, str], set[str]] = {}
        for one in self.every:
            found.setdefault((one.department, one.category), set()).add(one.type)
            found.setdefault((one.department, ""), set()).add(one.category)
        return {place: self._shown(labels) for place, labels in found.items()}

    def _shown(self, labels: Collection[str]) -> list[str]:
        return sorted(label for label in labels if label not in self.hidden)


def _levels(path: str) -> list[str]:
    return [level.strip() for level in path.split(">")]


def _byte(text: str, seed: int) -> int:
    return hashlib.sha256(f"{seed}/{text}".encode()).digest()[0]
