"""Baskets of a later time with one item taken out: what the blend is weighed on and tested on.

early, later = split_at(events, time)
found = cases(read(items, early, config), early, later, seed=0, most=5_000)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.complement.data import Log, purchases
from merchgraph.tools.data.tables import Events

LEAST = 3
"""Kept items of a basket that is asked about: two stay, so that the history is more than one item."""
TOP = 10
"""Ranks that count in `Placed.ndcg` and `Placed.hit`."""


class Case(NamedTuple):
    """A basket, mostly with one item taken out; numbers are columns of a log.

    Attributes:
        session: the items in it.
        own: column -> earlier purchases of the shopper, by baskets.
        target: the one taken out; -1 if none was.
        user: number of the shopper in the log, 0 if unknown to it.
    """

    session: Sequence[int]
    own: Mapping[int, int]
    target: int = -1
    user: int = 0


def cases(
    log: Log, early: Events, later: Events, *, seed: int = 0, most: int | None = None
) -> list[Case]:
    """One case per later basket that holds 3 kept items or more, in the log's order.

    Args:
        log: of the early events; only its items count.
        early: what `own` is counted in.
        later: nothing of it is learned from.
        seed: which items are taken out, and which baskets are drawn.
        most: draw so many; None takes all.
    """
    column = pl.DataFrame(
        {"item": log.items, "column": np.arange(len(log.items))},
        schema={"item": pl.String, "column": pl.Int64},
    )
    kept = _kept(later, column).group_by("user", "session", maintain_order=True).agg("column")
    kept = kept.filter(pl.col("column").list.len() >= LEAST)
    rng = np.random.default_rng(seed)
    if most is not None and kept.height > most:
        kept = kept[np.sort(rng.permutation(kept.height)[:most]).tolist()]
    number = {user: n for n, user in enumerate(log.users)}
    own: dict[str, dict[int, int]] = {}
    asked = _kept(early, column).join(kept.select("user").unique(), on="user", how="semi")
    for user, item, times in asked.group_by("user", "column").len().sort("column").iter_rows():
        own.setdefault(user, {})[item] = times
    found = []
    for user, _, items in kept.iter_rows():
        place = int(rng.integers(len(items)))
        rest = items[:place] + items[place + 1 :]
        found.append(Case(rest, own.get(user, {}), items[place], number.get(user, 0)))
    return found


def _kept(events: Events, column: pl.DataFrame) -> pl.DataFrame:
    return (
        purchases(events.frame)
        .unique(["user", "session", "item"], maintain_order=True)
        .join(column, on="item", how="inner", maintain_order="left")
    )


class Placed(NamedTuple):
    """Where targets stand in the whole catalogue without the items of their sessions.

    Attributes:
        rank: (C,) float64 from 1; equal scores share their mean rank.
        auc: (C,) share of the other items that stand below, ties as one half.
    """

    rank: NDArray[np.float64]
    auc: NDArray[np.float64]

    @property
    def ndcg(self) -> NDArray[np.float64]:
        """(C,) NDCG@10: with one relevant item 1 / log2(1 + rank), 0 beyond rank 10."""
        return np.where(self.rank <= TOP, 1 / np.log2(1 + self.rank), 0)

    @property
    def hit(self) -> NDArray[np.float64]:
        """(C,) Hit@10: 1 up to rank 10, else 0."""
        return (self.rank <= TOP).astype(np.float64)


def placed(scores: NDArray[np.floating], asked: Sequence[Case]) -> Placed:
    """Rank each case's target.

    Args:
        scores: (C, I).
        asked: C cases with a target.

    Raises:
        SetupError: a score is NaN or infinite.
    """
    assert len(scores) == len(asked), (scores.shape, len(asked))
    if not np.isfinite(scores).all():
        raise SetupError(
            "Scores are NaN or infinite where numbers are expected, so the training diverged; train "
            "again at a lower rate."
        )
    rank, auc = np.empty(len(asked)), np.empty(len(asked))
    for n, (row, case) in enumerate(zip(scores, asked, strict=True)):
        own, near = row[case.target], row[list(case.session)]
        above = int((row > own).sum() - (near > own).sum())
        equal = int((row == own).sum() - (near == own).sum()) - 1
        others = len(row) - len(near) - 1
        rank[n] = 1 + above + equal / 2
        auc[n] = 1 - (above + equal / 2) / max(others, 1)
    return Placed(rank, auc)
