"""The contract of every recommender here: fit / scores / recommend.

    model = Popularity().fit(store.items, train)
    model.scores([Past(long_term=["1"], session=["2"])])    # (U, I), larger is better
    model.recommend(pasts, k=10)                            # the k best per shopper, nothing they have

A recommender is told of a shopper only by a `Past`: it answers shoppers that it has never seen. Sizes:
U pasts, I items of the catalogue that `fit` kept, in the order of `items`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.tables import Events, Items

Scores = NDArray[np.float64]


class Past(NamedTuple):
    """What a recommender may know of a shopper: item ids, oldest first.

    Attributes:
        long_term: earlier purchases, repeats included.
        session: the basket of now.
    """

    long_term: Sequence[str] = ()
    session: Sequence[str] = ()


class Ranking(NamedTuple):
    """Items, best first, and their scores."""

    items: list[str]
    scores: list[float]


class Recommender(ABC):
    """A recommender over the items that `fit` has seen.

    Attributes:
        items: (I,) item ids, the columns of `scores`.
    """

    items: tuple[str, ...] = ()

    @abstractmethod
    def fit(self, items: Items, events: Events) -> Self:
        """Learn from a log; `items` says which items there are, in the order of the columns."""

    @abstractmethod
    def scores(self, pasts: Sequence[Past]) -> Scores:
        """(U, I) float64, finite — how well each item suits each shopper; items unknown to `fit` in
        a past are left out of account."""

    def recommend(
        self, pasts: Sequence[Past], k: int, *, exclude_seen: bool = True
    ) -> list[Ranking]:
        """The k best items per shopper; equal scores in the order of `items`.

        Args:
            pasts: U shoppers.
            k: how many; fewer come back where fewer are left.
            exclude_seen: leave out what stands in the shopper's past.

        Raises:
            SetupError: k is below 1, or nothing was fitted.
        """
        if k < 1:
            raise SetupError(f"k is {k}, but at least 1 item must be asked for.")
        if not self.items:
            raise SetupError(
                f"{type(self).__name__} was not fitted; call fit(items, events) first."
            )
        column = {item: number for number, item in enumerate(self.items)}
        rankings = []
        for past, row in zip(pasts, self.scores(pasts), strict=True):
            seen = {column[i] for i in (*past.long_term, *past.session) if i in column}
            left_out = seen if exclude_seen else set()
            order = [c for c in np.argsort(-row, kind="stable").tolist() if c not in left_out][:k]
            rankings.append(Ranking([self.items[c] for c in order], row[order].tolist()))
        return rankings
