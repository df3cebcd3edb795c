"""Item-kNN over baskets: what is bought together with what the shopper has in the basket now.

    model = CoPurchase().fit(store.items, train)
    model.neighbours("1082185", k=5)              # the nearest items by the cosine of their baskets
    model.pair("1082185", "995242").lift          # together how many times as often as by chance

The similarity of two items is the cosine of their columns in the table of baskets x items, where a
basket of n items weighs 1/n: a wholesaler's basket of 500 says little of any two of them. A score is
the sum of similarities to the distinct items of the session. Amazon's item-to-item method (Linden,
Smith, York 2003, doi:10.1109/MIC.2003.1167344) with the sum of Deshpande and Karypis (2004,
doi:10.1145/963770.963776).

It takes memory in proportion to the pairs that were ever bought together: 22 M pairs of 128,000
baskets are 170 MB. Needs SciPy. Sizes: U pasts, I items, A and B items asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import numpy as np
import polars as pl

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.contract import Past, Ranking, Recommender, Scores
from merchgraph.tools.data.tables import Events, Items
from merchgraph.tools.neighbours import sparse

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Weighting = Literal["size", "equal"]
LATEST = 50  # of a shopper without a session, how many of the latest long-term items count


class Pair(NamedTuple):
    """In how many baskets two items are.

    Attributes:
        together: baskets with both.
        first, second: baskets with each.
        baskets: all baskets.
    """

    together: int
    first: int
    second: int
    baskets: int

    @property
    def lift(self) -> float:
        """How many times as often together as if they were independent; 0 if one was never bought."""
        by_chance = self.first * self.second
        return self.together * self.baskets / by_chance if by_chance else 0.0


class CoPurchase(Recommender):
    """Sums of basket cosines with the session's items.

    Without a session the latest distinct long-term items stand in for it.

    Args:
        weighting: "size": a basket of n items weighs 1/n; "equal": each weighs the same.
        least: pairs that are together in fewer baskets than this are no neighbours. To order few
            items 1 is best; to find the best of a whole catalogue, where items of one basket would
            come first, 2.
    """

    def __init__(self, *, weighting: Weighting = "size", least: int = 1) -> None:
        if weighting not in ("size", "equal"):
            raise SetupError(f"weighting is {weighting!r}, but 'size' or 'equal' is expected.")
        if least < 1:
            raise SetupError(f"least is {least}, but at least 1 basket is needed.")
        self.weighting, self.least = weighting, least

    def fit(self, items: Items, events: Events) -> Self:
        """Count pairs in the sessions of each user; an item counts once per session.

        Raises:
            SetupError: SciPy is not installed.
        """
        self.items = tuple(items.frame["item"])
        self._baskets = _baskets(items, events)
        self._similar = _cosines(self._baskets, self.weighting, self.least)
        return self

    def scores(self, pasts: Sequence[Past]) -> Scores:
        """(U, I) float64 — sums of cosines, 0 or more; an item adds nothing to itself."""
        table = np.zeros((len(pasts), len(self.column)))
        for row, past in zip(table, pasts, strict=True):
            for start, end in self._rows(past):
                row[self._similar.indices[start:end]] += self._similar.data[start:end]
        return table

    def of(self, past: Past, items: Sequence[str]) -> list[float]:
        """As `scores`, for some items, in microseconds."""
        wanted = np.array(self.columns_of(items), dtype=np.int64)
        sums = np.zeros(len(wanted))
        for start, end in self._rows(past):
            near = self._similar.indices[start:end]
            place = np.minimum(np.searchsorted(near, wanted), max(end - start - 1, 0))
            if end > start:
                sums += np.where(near[place] == wanted, self._similar.data[start + place], 0)
        scores: list[float] = sums.tolist()
        return scores

    def context(self, past: Past) -> list[str]:
        """The distinct known items that a shopper's scores are sums over."""
        known = [item for item in past.session or past.long_term if item in self.column]
        distinct = list(dict.fromkeys(reversed(known)))[::-1]
        return distinct if past.session else distinct[-LATEST:]

    def neighbours(self, item: str, k: int) -> Ranking:
        """The k items of the greatest cosine with one item, fewer if it has fewer.

        Raises:
            SetupError: k is below 1, an item that `fit` did not see, or nothing was fitted.
        """
        self.columns_of([item])
        (ranking,) = self.recommend([Past(session=[item])], k)
        some = sum(score > 0 for score in ranking.scores)
        return Ranking(ranking.items[:some], ranking.scores[:some])

    def pair(self, first: str, second: str) -> Pair:
        """How often two items were in one basket, and each by itself.

        Raises:
            SetupError: an item that `fit` did not see, or nothing was fitted.
        """
        (row,) = self.pairs([first], [second])
        return row[0]

    def pairs(self, items: Sequence[str], others: Sequence[str]) -> list[list[Pair]]:
        """`pair` of each of A `items` with each of B `others`: A rows of B, counted in one go.

        Raises:
            SetupError: an item that `fit` did not see, or nothing was fitted.
        """
        rows, columns = self.columns_of(items), self.columns_of(others)
        together = (self._baskets[rows] @ self._baskets[columns].T).toarray()
        bought, baskets = np.diff(self._baskets.indptr), self._baskets.shape[1]
        first, second = bought[rows].tolist(), bought[columns].tolist()
        return [
            [Pair(int(both), one, other, baskets) for both, other in zip(row, second, strict=True)]
            for row, one in zip(together, first, strict=True)
        ]

    def _rows(self, past: Past) -> list[tuple[int, int]]:
        """Where the rows of the context's items begin and end in the table of similarities."""
        ends = self._similar.indptr
        columns = [self.column[item] for item in self.context(past)]
        return [(int(ends[column]), int(ends[column + 1])) for column in columns]


def _baskets(items: Items, events: Events) -> csr_array:
    """(I, baskets) float32 — 1 where the basket has the item."""
    columns = items.frame.select("item").with_row_index("column")
    baskets = (
        events.frame.select("user", "session", "item")
        .join(columns, on="item", maintain_order="left")
        .group_by("user", "session", maintain_order=True)
        .agg(pl.col("column").unique().sort())
    )["column"]
    ends = np.concatenate([[0], np.cumsum(baskets.list.len().to_numpy())])
    places = baskets.explode(empty_as_null=False).to_numpy().astype(np.int32)
    ones = np.ones(len(places), dtype=np.float32)
    shape = (len(baskets), len(items))
    return sparse()((ones, places, ends.astype(np.int32)), shape=shape).T.tocsr()


def _cosines(baskets: csr_array, weighting: Weighting, least: int) -> csr_array:
    """(I, I) float32, columns sorted — cosines of the rows of `baskets`, 0 with itself."""
    count, of_baskets = baskets.shape
    values = np.ones(len(baskets.indices))
    if weighting == "size":
        sizes = np.bincount(baskets.indices, minlength=of_baskets)
        values /= np.sqrt(sizes[baskets.indices])
    rows = np.repeat(np.arange(count), np.diff(baskets.indptr))
    values /= np.sqrt(np.bincount(rows, values**2, minlength=count))[rows]
    unit = baskets.copy()
    unit.data = values.astype(np.float32)
    similar = unit @ unit.T
    similar.sort_indices()
    out = np.repeat(np.arange(count), np.diff(similar.indptr)) == similar.indices
    if least > 1:
        together = baskets @ baskets.T
        together.sort_indices()
        out |= together.data < least
    similar.data[out] = 0
    similar.eliminate_zeros()
    return similar
