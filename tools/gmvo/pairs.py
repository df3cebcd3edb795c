"""All ordered pairs of two different goods of one product type: who can stand in for whom.

    pairs = Pairs.of(kept.types)
    pairs.count(source, target)          # how often each pair is named in two columns
    pairs.ranks(scores)                  # place of each pair in its source's list, 0 is first

Types split the catalogue, so that there are few pairs: 450,000 for 10,000 goods of The Complete Journey.
Sizes: I goods, P pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.gmvo.data import Floats, Ints

if TYPE_CHECKING:
    from scipy.sparse import csr_array


MOST = 50_000_000
"""Pairs that are taken on: signals and scores of one take 150 bytes, all in all."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs in order of source, then target.

    Attributes:
        source, target: (P,) int64 — goods.
        starts: (I + 1,) int64 — the pairs of source i are starts[i] to starts[i + 1].
    """

    source: Ints
    target: Ints
    starts: Ints

    @classmethod
    def of(cls, types: Ints, among: NDArray[np.bool_] | None = None) -> Self:
        """The pairs of goods with these types.

        Args:
            types: (I,) int64.
            among: (I,) bool — goods that may be in a pair; None is all.

        Raises:
            SetupError: a type is so large that its pairs would not fit into memory.
        """
        _refuse_large(types if among is None else types[among])
        order = np.argsort(types, kind="stable")
        order = order if among is None else order[among[order]]
        edges = np.flatnonzero(np.diff(types[order], prepend=-1, append=-1))
        source, target = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for start, end in pairwise(edges):
            members = order[start:end]
            one, other = np.repeat(members, len(members)), np.tile(members, len(members))
            source.append(one[one != other])
            target.append(other[one != other])
        first, second = np.concatenate(source), np.concatenate(target)
        right = np.argsort(first, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(first, minlength=len(types)))])
        return cls(first[right], second[right], starts)

    def __len__(self) -> int:
        return len(self.source)

    @property
    def goods(self) -> int:
        """I, with those that are in no pair."""
        return len(self.starts) - 1

    def place(self, source: Ints, target: Ints) -> Ints:
        """(M,) int64 — which pair each is; -1 where there is no such pair."""
        keys = self.source * self.goods + self.target
        asked = source * self.goods + target
        found = np.minimum(np.searchsorted(keys, asked), max(len(keys) - 1, 0))
        return np.where(keys[found] == asked, found, -1) if len(keys) else np.full(len(asked), -1)

    def count(self, source: Ints, target: Ints, weights: Floats | None = None) -> Floats:
        """(P,) float64 — sum of the weights of the rows that name each pair; other rows are left out."""
        place = self.place(source, target)
        there = place >= 0
        given = None if weights is None else weights[there]
        return np.bincount(place[there], given, len(self)).astype(np.float64)

    def pick(self, table: csr_array) -> Floats:
        """(P,) float64 — the cells of an (I, I) table."""
        cells = table.tocoo()
        rows, columns = (axis.astype(np.int64) for axis in cells.coords)
        return self.count(rows, columns, cells.data.astype(np.float64))

    def sums(self, values: Floats) -> Floats:
        """(P,) float64 — for each pair, the sum of the values of all pairs of its source."""
        sums = np.bincount(self.source, values, self.goods).astype(np.float64)
        return np.asarray(sums[self.source], np.float64)

    def ranks(self, scores: NDArray[np.floating]) -> Ints:
        """(P,) int64 — place in the source's list, 0 is best; equal ones in order of target."""
        order = np.lexsort((-scores, self.source))
        ranks = np.empty(len(self), np.int64)
        ranks[order] = np.arange(len(self)) - self.starts[self.source]
        return ranks


def _refuse_large(types: Ints) -> None:
    sizes = np.bincount(types)
    if (sizes * (sizes - 1)).sum() > MOST:
        raise SetupError(
            f"The product types are too large: the largest has {sizes.max():,} goods, and all goods of "
            f"a type are compared in pairs, at most {MOST:,}; give finer types, or a higher least."
        )
