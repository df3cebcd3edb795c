"""The contract of every recommender here: fit / scores / recommend.

    model = Popularity().fit(store.items, train)
    model.scores([Past(long_term=["1"], session=["2"])])    # (U, I), larger is better
    model.of(Past(session=["2"]), ["7", "8"])               # scores of named items for one shopper
    model.recommend(pasts, k=10)                            # the k best per shopper, nothing they have
    fitted(Popularity, store, before=cut)                   # fitted once, on what came before a time

A recommender is told of a shopper only by a `Past`: it answers shoppers that it has never seen. Sizes:
U pasts, I items of the catalogue that `fit` kept, in the order of `items`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from threading import Lock
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.checks import examples, instead
from merchgraph.tools.data.tables import Events, Items, Shop, local

Scores = NDArray[np.float64]
PURCHASE = "purchase"
_AT_ONCE = 64  # pasts scored together by `recommend`: 64 rows of a large catalogue are 50 MB


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

    `fit` sets `items`; `column` is there from then on.

    Attributes:
        items: (I,) item ids, the columns of `scores`.
    """

    items: tuple[str, ...] = ()
    _columns: tuple[tuple[str, ...], Mapping[str, int]] = ((), {})

    @abstractmethod
    def fit(self, items: Items, events: Events) -> Self:
        """Learn from a log; `items` says which items there are, in the order of the columns.

        Events of other items are left out of account; a log may be empty.
        """

    @abstractmethod
    def scores(self, pasts: Sequence[Past]) -> Scores:
        """(U, I) float64, finite — how well each item suits each shopper; items unknown to `fit` in
        a past are left out of account.

        Raises:
            SetupError: nothing was fitted.
        """

    def of(self, past: Past, items: Sequence[str]) -> list[float]:
        """The scores of some items for one shopper, in the order asked for.

        Raises:
            SetupError: an item that `fit` did not see, or nothing was fitted.
        """
        row = self.scores([past])[0]
        return [float(row[column]) for column in self.columns_of(items)]

    @property
    def column(self) -> Mapping[str, int]:
        """The column of each item.

        Raises:
            SetupError: nothing was fitted.
        """
        if not self.items:
            raise SetupError(
                f"{type(self).__name__} was not fitted; call fit(items, events) first."
            )
        if self._columns[0] is not self.items:
            self._columns = self.items, {item: number for number, item in enumerate(self.items)}
        return self._columns[1]

    def columns_of(self, items: Sequence[str]) -> list[int]:
        """The columns of some items.

        Raises:
            SetupError: an item that `fit` did not see, or nothing was fitted.
        """
        column = self.column
        for item in items:
            if item not in column:
                raise SetupError(
                    f"{type(self).__name__} was not fitted on the item {item!r} "
                    f"({examples(self.items, 'item')}); {instead(item, self.items)}"
                )
        return [column[item] for item in items]

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
        column, rankings = self.column, []
        for start in range(0, len(pasts), _AT_ONCE):
            some = pasts[start : start + _AT_ONCE]
            for past, row in zip(some, self.scores(some), strict=True):
                left = np.ones(len(row), dtype=np.bool_)
                if exclude_seen:
                    seen = (*past.long_term, *past.session)
                    left[[column[item] for item in seen if item in column]] = False
                best = _best(row, left, k)
                rankings.append(Ranking([self.items[c] for c in best], row[best].tolist()))
        return rankings


def _best(row: Scores, left: NDArray[np.bool_], k: int) -> list[int]:
    """The k best columns of those left, the first of equal ones first."""
    columns = np.flatnonzero(left)
    if k < len(columns):
        # sorting a catalogue of 90,000 items takes ten times as long as finding its k-th best
        least = np.partition(row[columns], len(columns) - k)[len(columns) - k]
        columns = columns[row[columns] >= least]
    best: list[int] = columns[np.argsort(-row[columns], kind="stable")][:k].tolist()
    return best


Kind = TypeVar("Kind", bound=Recommender)
_KEPT = 2  # of each kind: a co-purchase table may take 200 MB
_fitted: dict[Callable[[], Any], dict[tuple[Shop, datetime | None], Any]] = {}
_fitting = Lock()


def fitted(kind: Callable[[], Kind], store: Shop, before: datetime | None = None) -> Kind:
    """`kind()` fitted on a shop's purchases; of each kind the two latest used are kept.

    A log that has no event of the behaviour "purchase" counts with all its events.

    Args:
        kind: a recommender's class, or another maker that is the same object at every call.
        store: the shop.
        before: nothing of the log at or after this time is seen; None is the whole log.

    Raises:
        SetupError: the time has a time zone, or a package that `kind` needs is missing.
    """
    with _fitting:
        models = _fitted.setdefault(kind, {})
        key = store, before
        model: Kind = models.pop(key, None) or kind().fit(store.items, purchases(store, before))
        models[key] = model
        if len(models) > _KEPT:
            del models[next(iter(models))]
        return model


def purchases(store: Shop, before: datetime | None = None) -> Events:
    """A shop's log without other behaviours, if it has purchases at all; see `fitted`.

    Args:
        store: the shop.
        before: nothing at or after this time; None is the whole log.

    Raises:
        SetupError: the time has a time zone.
    """
    events = store.events.frame
    bought = pl.col("behaviour") == PURCHASE
    if events.select(bought.any()).item():
        events = events.filter(bought)
    if before is not None:
        events = events.filter(pl.col("time") < local(before))
    return Events(events)
