"""What was bought together, counted: each item's nearest ones by the cosine of their baskets.

A basket of n items weighs 1/n, as in `tools/copurchase.py`; here only the nearest are kept, as two
rectangles that a file holds and a query sums in microseconds. Sizes: I items, K kept, B baskets, R rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from merchgraph.runtime.errors import SetupError

Codes = NDArray[np.int32] | NDArray[np.int64]
KEPT = 500
"""Neighbours of an item, 50 MB for the 12,367 of The Complete Journey; farther ones count 0."""
AT_ONCE = 1_024


class Near(NamedTuple):
    """The nearest items, an item never among its own.

    Attributes:
        items: (I, K) int32; places without a neighbour hold 0.
        cosines: (I, K) float32; there 0.
    """

    items: NDArray[np.int32]
    cosines: NDArray[np.float32]

    def sums(self, items: ArrayLike, weights: ArrayLike = 1.0) -> NDArray[np.float64]:
        """(I,) float64 — the sum of cosines with the distinct ones of some items.

        Args:
            items: (n,) codes.
            weights: (n,) of each, or one of all; of an item that stands twice the first counts.
        """
        asked = np.asarray(items, dtype=np.int64)
        rows, first = np.unique(asked, return_index=True)
        weight = np.broadcast_to(np.asarray(weights, dtype=np.float32), asked.shape)[first]
        found = np.bincount(
            self.items[rows].ravel(),
            (self.cosines[rows] * weight[:, None]).ravel(),
            minlength=len(self.items),
        )
        return found.astype(np.float64)


def sparse() -> Any:
    """SciPy's `csr_array`, for co-purchase counts.

    Raises:
        SetupError: SciPy is not installed.
    """
    try:
        from scipy.sparse import csr_array
    except ModuleNotFoundError as error:
        raise SetupError(
            "Co-purchase counts need the package scipy, which is not installed: "
            "pip install 'merchgraph[local]'."
        ) from error
    return csr_array


def lengths(rows: Codes, ends: Codes, count: int) -> NDArray[np.float64]:
    """(I,) Euclidean lengths of the columns that cosines are made of; arguments as of `nearest`."""
    sizes = np.diff(ends)
    shares = np.repeat(1 / np.maximum(sizes, 1), sizes)
    return np.asarray(np.sqrt(np.bincount(rows, shares, minlength=count)), np.float64)


def nearest(rows: Codes, ends: Codes, count: int, kept: int = KEPT) -> Near:
    """Count the pairs of all baskets.

    Args:
        rows: (R,) codes below count; basket b holds rows[ends[b]:ends[b + 1]]; one that stands
            there twice counts twice.
        ends: (B + 1,).
        count: I.
        kept: K, at most.

    Not cut from the matrix of `CoPurchase`, whose values are the same on the same baskets: that one holds
    every pair at once, at the 12,367 items of The Complete Journey 15.8 M of them (1.5 s and 508 MB at
    the most, here 1.0 s and 417 MB), and its baskets have all items of the catalogue, these the kept.

    Raises:
        SetupError: SciPy is not installed.
    """
    csr_array, sizes = sparse(), np.diff(ends)
    weights = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes)
    values = (weights / np.maximum(lengths(rows, ends, count), 1e-12)[rows]).astype(np.float32)
    baskets = csr_array((values, rows, ends), shape=(len(sizes), count))
    by_item = baskets.T.tocsr()
    width = min(kept, count)
    found = Near(np.zeros((count, width), np.int32), np.zeros((count, width), np.float32))
    for start in range(0, count, AT_ONCE):
        block = (by_item[start : start + AT_ONCE] @ baskets).toarray()
        block[np.arange(len(block)), np.arange(start, start + len(block))] = 0
        best = np.argpartition(-block, width - 1, axis=1)[:, :width]
        cosines = np.take_along_axis(block, best, axis=1)
        found.items[start : start + len(block)] = np.where(cosines > 0, best, 0)
        found.cosines[start : start + len(block)] = cosines
    return found
