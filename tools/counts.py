"""Recommenders that only count: what all shoppers bought most, and what this one did.

Counts are of events; a log that mixes views and purchases is filtered before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Self

import numpy as np
import polars as pl

from merchgraph.tools.contract import Past, Recommender, Scores
from merchgraph.tools.data.tables import Events, Items


class Popularity(Recommender):
    """How often each item was bought, the same for all shoppers.

    Attributes:
        counts: (I,) float64 — whole numbers.
    """

    counts: Scores = np.zeros(0)

    def fit(self, items: Items, events: Events) -> Self:
        """Count the events of each item."""
        bought = events.frame.group_by("item").len("bought")
        table = items.frame.select("item").join(
            bought, on="item", how="left", maintain_order="left"
        )
        self.items = tuple(table["item"])
        self.counts = table["bought"].fill_null(0).cast(pl.Float64).to_numpy()
        return self

    def scores(self, pasts: Sequence[Past]) -> Scores:
        """(U, I) float64 — the counts, once per shopper."""
        return np.broadcast_to(self.counts, (len(pasts), len(self.column))).copy()

    def of(self, past: Past, items: Sequence[str]) -> list[float]:
        """The counts of some items."""
        counts: list[float] = self.counts[self.columns_of(items)].tolist()
        return counts


class OwnFrequency(Recommender):
    """How often this shopper bought each item before, the basket of now left out of account.

    Between equal counts popularity decides: it adds less than 1, and more for what all bought more.
    """

    def __init__(self) -> None:
        self.popularity = Popularity()

    def fit(self, items: Items, events: Events) -> Self:
        """Learn the popularity; the own purchases come with each `Past`."""
        self.popularity.fit(items, events)
        self.items = self.popularity.items
        return self

    def scores(self, pasts: Sequence[Past]) -> Scores:
        """(U, I) float64 — the shopper's own count + count of all / (1 + greatest count of all)."""
        column = self.column
        counts = self.popularity.counts
        rows = np.tile(counts / (1 + counts.max()), (len(pasts), 1))
        for row, past in zip(rows, pasts, strict=True):
            for item, times in Counter(past.long_term).items():
                if item in column:
                    row[column[item]] += times
        return rows

    def of(self, past: Past, items: Sequence[str]) -> list[float]:
        """As `scores`, for some items."""
        counts, own = self.popularity.counts, Counter(past.long_term)
        shares = (counts[self.columns_of(items)] / (1 + counts.max())).tolist()
        return [own[item] + share for item, share in zip(items, shares, strict=True)]
