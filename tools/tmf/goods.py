"""The items that questions are about, their labels, and who stands beside whom on a slate.

A label is what a prompt shows of an item: the first words of its title, without the brand. Many items of
The Complete Journey share one, since its products have no names; no slate has the same label twice.

Sizes: I goods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from merchgraph.tools.data.tables import Events, Items

NEAR = 3
"""Times the candidates of a slate: so many goods nearest in price are drawn from."""
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Goods:
    """Items that were bought often enough before a moment.

    Attributes:
        items, labels, texts: (I,).
        types: (I,) names of the last level of the category.
        images: (I,) path of a picture, or "".
        groups: (I,) int64 — category without its last level; `departments` its first level.
        price: (I,) float64 — 0 where unknown.
        counts: (I,) int64 — rows of the log before that moment.
    """

    items: tuple[str, ...]
    labels: tuple[str, ...]
    texts: tuple[str, ...]
    types: tuple[str, ...]
    images: tuple[str, ...]
    groups: Ints
    departments: Ints
    price: NDArray[np.float64]
    counts: Ints

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def label_codes(self) -> Ints:
        """(I,) equal for equal labels."""
        return np.unique(np.array(self.labels, dtype=object).astype(str), return_inverse=True)[1]

    @cached_property
    def _members(self) -> tuple[dict[int, Ints], dict[int, Ints]]:
        return _grouped(self.groups), _grouped(self.departments)

    def distinct(self, items: Ints, most: int, taken: Sequence[int] = ()) -> Ints:
        """The first `most` of some items whose labels differ from each other and from those taken."""
        seen = set(self.label_codes[np.asarray(taken, np.int64)].tolist())
        found: list[int] = []
        for item in items.tolist():
            label = int(self.label_codes[item])
            if len(found) < most and label not in seen:
                seen.add(label)
                found.append(item)
        return np.array(found, dtype=np.int64)

    def others(
        self, right: Ints, basket: set[int], count: int, kind: str, rng: np.random.Generator
    ) -> Ints:
        """Wrong candidates, other labels than those of the basket; fewer where there are fewer.

        Args:
            right: right candidates, at least one.
            basket: all items that would be right.
            count: how many.
            kind: "random" or "hard".
            rng: of the draw.
        """
        taken = sorted({*basket, *right.tolist()})
        if kind == "random":
            drawn = rng.integers(len(self), size=4 * count)
            found = self.distinct(drawn, count, taken)
        else:
            near = [rng.permutation(self.near(int(item), NEAR * count)) for item in right]
            turns = [pool[n] for n in range(NEAR * count) for pool in near if n < len(pool)]
            found = self.distinct(np.array(turns, dtype=np.int64), count, taken)
        if len(found) < count:
            rest = self.distinct(
                rng.permutation(len(self)), count - len(found), [*taken, *found.tolist()]
            )
            found = np.concatenate([found, rest])
        return found

    def near(self, item: int, count: int) -> Ints:
        """Goods of the category nearest in price, other labels; of the department, if it is small."""
        in_group, in_department = self._members
        members = in_group[int(self.groups[item])]
        if len(np.unique(self.label_codes[members])) <= count // NEAR:
            members = in_department[int(self.departments[item])]
        members = members[self.label_codes[members] != self.label_codes[item]]
        gap = np.abs(np.log1p(self.price[members]) - np.log1p(self.price[item]))
        return np.asarray(members[np.argsort(gap, kind="stable")[:count]], np.int64)


def goods(items: Items, events: Events, least: int, words: int) -> Goods:
    """Items with at least `least` rows in a log, in the order of the catalogue."""
    counts = events.frame.group_by("item").agg(pl.len().alias("rows"))
    frame = items.frame.join(counts, on="item", how="left", maintain_order="left").filter(
        pl.col("rows").fill_null(0) >= max(1, least)
    )
    paths = [path.split(" > ") if path else [""] for path in frame["category"]]
    brands = frame["brand"].fill_null("") if "brand" in frame.columns else [""] * len(frame)
    labels = [_label(t, b, words) for t, b in zip(frame["title"], brands, strict=True)]
    images = frame["image"].fill_null("") if "image" in frame.columns else [""] * len(frame)
    prices = frame["price"].fill_null(0.0) if "price" in frame.columns else np.zeros(len(frame))
    return Goods(
        items=tuple(frame["item"]),
        labels=tuple(labels),
        texts=tuple(frame["text"]),
        types=tuple(path[-1] for path in paths),
        images=tuple(images),
        groups=_codes([" > ".join(path[:-1]) or path[0] for path in paths]),
        departments=_codes([path[0] for path in paths]),
        price=np.asarray(prices, np.float64),
        counts=np.asarray(frame["rows"].fill_null(0), np.int64),
    )


def _label(title: str, brand: str, words: int) -> str:
    """The first words of a title without its brand; never blank."""
    short = title.removesuffix(f", {brand}") if brand else title
    return " ".join(short.split()[:words]).rstrip(",;:- ") or title


def _codes(texts: Sequence[str]) -> Ints:
    codes = {text: n for n, text in enumerate(dict.fromkeys(texts))}
    return np.array([codes[text] for text in texts], dtype=np.int64)


def _grouped(codes: Ints) -> dict[int, Ints]:
    order = np.argsort(codes, kind="stable")
    values, starts = np.unique(codes[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, starts[1:]), strict=True))
