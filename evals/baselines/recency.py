"""Recency-based ranking: the baseline that ARAG's paper names and does not define.

Stated here as: candidates by closeness to the most recently used items. The newest interaction comes
first, the items of its leaf category follow by the cosine of their texts with it; then the interaction
before it and its category, and so on. Items of no category that was used come last, by their cosine
with the newest interaction. Within a basket the order is the log's, which means nothing where all rows
of a basket have one time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from merchgraph.evals.baselines.texts import TextRecommender
from merchgraph.tools.contract import Past, Scores
from merchgraph.tools.data.tables import Events, Items

# a similar item never passes the interaction itself, nor one of the next place
_SIMILAR = 0.9


class Recency(TextRecommender):
    """Minus the place of the newest interaction with the item or its category, plus closeness to it.

    Items without a category ("") share none.
    """

    def fit(self, items: Items, events: Events) -> Self:
        """Embed the texts and number the categories."""
        super().fit(items, events)
        numbers = items.frame["category"].rank("dense").to_numpy().astype(np.int64) - 1
        self._category: NDArray[np.int64] = numbers
        self._uncategorised = (items.frame["category"] == "").to_numpy()
        return self

    def similarity(self, past: Past, columns: Sequence[int] | slice) -> Scores:
        """(N,) float64 — in (-places - 1, 1], larger is more recent; 0 without a known item."""
        used = np.array(self.known([*past.long_term, *past.session])[::-1], dtype=np.int64)
        wanted = np.arange(len(self.items))[columns]
        if not len(used):
            return np.zeros(len(wanted))
        never = len(used)
        own = _newest(used, len(self.items), never)[wanted]
        alike = _newest(self._category[used], len(self.items), never)[self._category[wanted]]
        alike[self._uncategorised[wanted]] = never
        nearest = used[np.where(alike < never, alike, 0)]
        cosines = np.einsum("nd,nd->n", self.vectors[wanted], self.vectors[nearest])
        itself = (own < never) & (own <= alike)
        return np.where(itself, 1 - own, _SIMILAR * (1 + cosines) / 2 - alike)


def _newest(used: NDArray[np.int64], count: int, never: int) -> NDArray[np.int64]:
    """(count,) int64 — the first place of each number in `used`, or `never`."""
    places = np.full(count, never, dtype=np.int64)
    # of equal numbers the last one assigned stays: the newest, which comes first
    places[used[::-1]] = np.arange(len(used))[::-1]
    return places
