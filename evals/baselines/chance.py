"""Random scores: what a ranking is worth that knows nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Self

import numpy as np

from merchgraph.tools.contract import Past, Recommender, Scores
from merchgraph.tools.data.tables import Events, Items


class Random(Recommender):
    """Uniform scores in [0, 1), drawn per shopper: the same past gets the same scores everywhere.

    Args:
        seed: other scores for all.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, items: Items, events: Events) -> Self:
        """Learn which items there are."""
        self.items = tuple(items.frame["item"])
        return self

    def scores(self, pasts: Sequence[Past]) -> Scores:
        """(U, I) float64 — drawn by a hash of the seed and the whole past, unknown items included."""
        table = np.zeros((len(pasts), len(self.column)))
        for row, past in zip(table, pasts, strict=True):
            np.random.default_rng(self._seed_of(past)).random(out=row)
        return table

    def _seed_of(self, past: Past) -> int:
        told = repr((self.seed, list(past.long_term), list(past.session)))
        return int.from_bytes(hashlib.blake2b(told.encode(), digest_size=8).digest())
