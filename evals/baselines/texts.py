"""Rankings by the cosine of texts: vanilla RAG, and the greatest similarity to the session.

    VanillaRag().fit(setting.items, setting.train).of(past, slate)

Both read what ARAG's agents read, the items' texts, through the embedder of its retrieval; the events
are not looked at. Sizes: U pasts, I items, N items to score, D width of a vector.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

import numpy as np

from merchgraph.tools.contract import Past, Recommender, Scores
from merchgraph.tools.data.tables import Events, Items
from merchgraph.tools.embedding import USER_WEIGHTS, Embedder


class TextRecommender(Recommender):
    """A recommender that scores items by their vectors.

    Args:
        embedder: gives the vectors; None is `Embedder()`.
    """

    def __init__(self, embedder: Embedder | None = None) -> None:
        self.embedder = embedder or Embedder()

    def fit(self, items: Items, events: Events) -> Self:
        """Embed the items' texts; texts new to the embedder take a while."""
        self.items = tuple(items.frame["item"])
        self.vectors = self.embedder.embed(items.frame["text"].to_list()).astype(np.float64)
        return self

    @abstractmethod
    def similarity(self, past: Past, columns: Sequence[int] | slice) -> Scores:
        """(N,) float64 — how near some items are to a shopper; 0 for one without a known item."""

    def scores(self, pasts: Sequence[Past]) -> Scores:
        """(U, I) float64 — the similarities of all items."""
        table = np.zeros((len(pasts), len(self.column)))
        for row, past in zip(table, pasts, strict=True):
            row[:] = self.similarity(past, slice(None))
        return table

    def of(self, past: Past, items: Sequence[str]) -> list[float]:
        """As `scores`, comparing with these items only."""
        scores: list[float] = self.similarity(past, self.columns_of(items)).tolist()
        return scores

    def known(self, items: Sequence[str]) -> list[int]:
        """The columns of the items that `fit` has seen, in their order, repeats included."""
        return [self.column[item] for item in items if item in self.column]


class VanillaRag(TextRecommender):
    """Cosine with the shopper's mean vector, as ARAG's retrieval has it: half the mean of the last 50
    long-term texts, half the mean of the session; or the one there is."""

    def similarity(self, past: Past, columns: Sequence[int] | slice) -> Scores:
        """(N,) float64 — cosines in [-1, 1]."""
        latest = self.known(past.long_term)[-USER_WEIGHTS.last :]
        parts = [self.vectors[part] for part in (latest, self.known(past.session)) if part]
        vectors = self.vectors[columns]
        if not parts:
            return np.zeros(len(vectors))
        share = USER_WEIGHTS.session if len(parts) == 2 else 1.0
        user = share * parts[-1].mean(axis=0) + (1 - share) * parts[0].mean(axis=0)
        return np.asarray(vectors @ user / max(float(np.linalg.norm(user)), 1e-12))


class MaxSimilarity(TextRecommender):
    """Greatest cosine with an item of the session; of the long-term history if there is no session."""

    def similarity(self, past: Past, columns: Sequence[int] | slice) -> Scores:
        """(N,) float64 — cosines in [-1, 1]."""
        near = sorted(set(self.known(past.session) or self.known(past.long_term)))
        vectors = self.vectors[columns]
        if not near:
            return np.zeros(len(vectors))
        return np.asarray((vectors @ self.vectors[near].T).max(axis=1))
