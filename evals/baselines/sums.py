"""Sums of two signals: STAR-like (texts and co-purchase), and own frequency with co-purchase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Self

import numpy as np

from merchgraph.evals.baselines.texts import MaxSimilarity
from merchgraph.tools.contract import Past, Recommender, Scores
from merchgraph.tools.copurchase import CoPurchase
from merchgraph.tools.data.tables import Events, Items
from merchgraph.tools.embedding import Embedder


class StarLike(Recommender):
    """Semantic plus co-purchase scores, in equal parts: like the retrieval of STAR, not the same.

    STAR (arXiv 2410.16458) adds the cosine of texts to a normalised co-occurrence, averaged over the
    history with a decay. Here the text part is `MaxSimilarity`, the other `CoPurchase`, both with the
    session; each is brought to 0 to 1 over the catalogue per shopper, since their scales differ by a
    factor of ten. Of three text parts (this, `VanillaRag`, the mean over the session) and four scalings
    (this, none, deviations from the mean, these after a square root of the co-purchase) the pair had
    the best NDCG@5, as a mean over the validation weeks of both shops and both target sets. STAR's
    pairwise ranking by a language model is left out.

    Args:
        embedder: gives the texts' vectors; None is `Embedder()`.
    """

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._parts: tuple[Recommender, ...] = (MaxSimilarity(embedder), CoPurchase())

    def fit(self, items: Items, events: Events) -> Self:
        """Fit both parts."""
        self.items = tuple(items.frame["item"])
        for part in self._parts:
            part.fit(items, events)
        return self

    def scores(self, pasts: Sequence[Past]) -> Scores:
        """(U, I) float64 — the sum of both parts, 0 to 2; a part that is constant adds 0."""
        table = np.zeros((len(pasts), len(self.column)))
        for part in self._parts:
            scores = part.scores(pasts)
            least, span = scores.min(axis=1, keepdims=True), np.ptp(scores, axis=1, keepdims=True)
            table += (scores - least) / np.maximum(span, 1e-9)
        return table


class FrequencyAndCopurchase(Recommender):
    """Co-purchase + 0.5 log(1 + own frequency): the best of the independent reference runs on The
    Complete Journey, where a household's habits and its basket of now each know what the other does not.

    Args:
        own: weight of the own frequency.
    """

    def __init__(self, *, own: float = 0.5) -> None:
        self.own = own
        self.copurchase = CoPurchase()

    def fit(self, items: Items, events: Events) -> Self:
        """Fit the co-purchase; the own purchases come with each `Past`."""
        self.items = self.copurchase.fit(items, events).items
        return self

    def scores(self, pasts: Sequence[Past]) -> Scores:
        """(U, I) float64 — sum of cosines + own * log1p(count)."""
        column, table = self.column, self.copurchase.scores(pasts)
        for row, past in zip(table, pasts, strict=True):
            for item, times in Counter(past.long_term).items():
                if item in column:
                    row[column[item]] += self.own * np.log1p(times)
        return table

    def of(self, past: Past, items: Sequence[str]) -> list[float]:
        """As `scores`, for some items."""
        self.columns_of(items)
        together, bought = self.copurchase.of(past, items), Counter(past.long_term)
        return [
            score + self.own * float(np.log1p(bought[item]))
            for score, item in zip(together, items, strict=True)
        ]
