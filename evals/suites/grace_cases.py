"""Cases of the GRACE suite: the first visit of each household after a cut, and how a list meets it.

What came before the cut is all that is known. A list of 10 is made per household and judged for each row
of the visit (a row is an item and the behaviour it was bought by), as in "leave the last basket out" with
a strict time cut.

    HR@k      1 if the row's item is among the first k
    NDCG@k    1 / log2(place + 1) if it is, else 0

A long visit cannot be met whole: the best list of 10 is a note of the report. Ties do not occur.

Sizes: N households, M rows, K places of a list.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.tables import Events
from merchgraph.tools.grace.config import Config
from merchgraph.tools.grace.data import History, Ints, Log, told

K = 10
CUTS = (5, 10)
METRICS = tuple(f"{name}@{k}" for name in ("HR", "NDCG") for k in CUTS)
LENGTHS = {"up to 200 purchases": (0, 200), "201 to 600": (201, 600), "more": (601, 10**9)}
"""Segments by the purchases of a household before the cut."""
Floats = NDArray[np.float64]
Columns = dict[str, Floats]


@dataclass(frozen=True, eq=False)
class Cases:
    """Households and what they took next.

    Attributes:
        log: of what was known.
        household: (N,) int64 codes of the log's users.
        row: (M,) int64 — whose row, 0 to N - 1.
        item, behaviour: (M,) int64 codes.
    """

    log: Log
    household: Ints
    row: Ints
    item: Ints
    behaviour: Ints

    @classmethod
    def of(cls, log: Log, known: Events, later: Events) -> Self:
        """The first session of each known household in `later`, with the items of the log.

        Args:
            log: read from `known`.
            known: the log before the cut.
            later: the log from the cut on.

        Raises:
            SetupError: nobody came back for a known item.
        """
        goods = log.goods
        codes = pl.DataFrame({"item": pl.Series(goods.items, dtype=pl.String)}).with_row_index(
            "code"
        )
        names = pl.DataFrame({"behaviour": goods.behaviours, "done": range(len(goods.behaviours))})
        users = told(known.frame).join(codes, on="item", how="semi")["user"].unique().sort()
        numbers = pl.DataFrame({"user": users}).with_row_index("household")
        rows = told(later.frame).join(codes, on="item", maintain_order="left")
        rows = rows.join(numbers, on="user", maintain_order="left")
        first = pl.col("session").sort_by("time", maintain_order=True).first().over("user")
        rows = rows.filter(pl.col("session") == first).unique(
            ["household", "code", "behaviour"], keep="first", maintain_order=True
        )
        if len(goods.behaviours) == 1:
            rows = rows.with_columns(pl.lit(goods.behaviours[0]).alias("behaviour"))
        rows = rows.join(names, on="behaviour", maintain_order="left").sort(
            "household", maintain_order=True
        )
        if not rows.height:
            raise SetupError(
                "Nobody who is known comes back after the cut for a known item; cut earlier "
                "(--before), or set a lower least."
            )
        household, row = np.unique(rows["household"].to_numpy(), return_inverse=True)
        return cls(
            log=log,
            household=household.astype(np.int64),
            row=row.astype(np.int64),
            item=rows["code"].to_numpy().astype(np.int64),
            behaviour=rows["done"].to_numpy().astype(np.int64),
        )

    def some(self, limit: int | None, seed: int) -> Cases:
        """At most so many households, drawn by the seed."""
        if limit is None or limit >= len(self):
            return self
        kept = np.sort(np.random.default_rng(seed).permutation(len(self))[:limit])
        place = np.full(len(self), -1)
        place[kept] = np.arange(limit)
        rows = place[self.row] >= 0
        return Cases(
            self.log, self.household[kept], place[self.row][rows], self.item[rows],
            self.behaviour[rows],
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.household)

    def history(self, case: int) -> History:
        """All that a household did before the cut."""
        log, user = self.log, self.household[case]
        first, end = (int(np.searchsorted(log.user, user, side)) for side in ("left", "right"))
        begin, last = log.starts[first], log.starts[end]
        number = np.repeat(np.arange(end - first), np.diff(log.starts[first : end + 1]))
        return History(log.item[begin:last], log.behaviour[begin:last], number)

    def judge(self, lists: Ints, rows: NDArray[np.bool_] | None = None) -> Columns:
        """One value per row and metric.

        Args:
            lists: (N, K) item codes, best first, -1 where a list is shorter; or (N, B, K), a list per
                behaviour, of which a row takes its own.
            rows: (M,) those that count; None is all.
        """
        kept = np.ones(len(self.row), bool) if rows is None else rows
        mine = lists[self.row[kept]]
        if lists.ndim == 3:
            mine = mine[np.arange(len(mine)), np.minimum(self.behaviour[kept], lists.shape[1] - 1)]
        same = mine == self.item[kept][:, None]
        place = np.where(same.any(1), same.argmax(1), 10**6)
        hits = {f"HR@{k}": (place < k).astype(np.float64) for k in CUTS}
        gains = {f"NDCG@{k}": np.where(place < k, 1 / np.log2(place + 2), 0.0) for k in CUTS}
        return hits | gains

    @cached_property
    def repeats(self) -> NDArray[np.bool_]:
        """(M,) whether the household had bought the item before."""
        known = [set(self.history(case).item.tolist()) for case in range(len(self))]
        pairs = zip(self.row.tolist(), self.item.tolist(), strict=True)
        return np.array([item in known[row] for row, item in pairs], np.bool_)

    @cached_property
    def segments(self) -> dict[str, NDArray[np.bool_]]:
        """Kinds of rows: what is new, each behaviour, the length of the history."""
        repeats = self.repeats
        found = {"repeats": repeats, "new items": ~repeats}
        names = self.log.goods.behaviours
        if len(names) > 1:
            found |= {name: self.behaviour == code for code, name in enumerate(names)}
        length = np.array([len(self.history(case).item) for case in range(len(self))])[self.row]
        for name, (low, high) in LENGTHS.items():
            found[name] = (length >= low) & (length <= high)
        return {name: rows for name, rows in found.items() if rows.any()}

    @property
    def ceiling(self) -> float:
        """HR@10 of a list that holds the visit's own items."""
        distinct = np.unique(np.stack([self.row, self.item]), axis=1)[0]
        sizes, rows = np.bincount(distinct), np.bincount(self.row)
        return float((rows * np.minimum(1, K / sizes)).sum() / rows.sum())


def read_config(config: Config) -> Config:
    """The settings by which the cases are read: the same for all systems that are compared."""
    return config.with_(behaviours=True)
