"""Means over cases and their 95 % intervals, by the percentile bootstrap of SciPy.

The cases are drawn again, with repetition, 9,999 times; the interval holds the middle 95 % of the means.
One draw serves all columns (systems, metrics), so the interval of a difference is the paired one.

Percentile, not BCa: on simulated Hit and NDCG columns and on their paired differences, with n = 50 and
100, it held the true mean in 92.8 to 96.9 % of 1,000 trials, BCa in 90.4 to 98.7 %, and BCa is undefined
where all values are equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from merchgraph.evals.extra import bench

DRAWS = 9_999
LEVEL = 0.95
SEED = 0
BATCH = 512
"""Draws at a time. Few products of big matrices: in many small ones the threads of BLAS wait for each
other on a busy machine (2,000 cases, 96 columns: 0.4 to 0.7 s; with 32 at a time 0.2 to 14 s)."""
FEWEST = 20
"""Cases below which no verdict is given: a bootstrap of fewer cases is too narrow."""
DECIMALS = 9
"""Kept of a number: sums differ in their last bits between machines."""


class Estimate(BaseModel):
    """A mean over `n` cases with its 95 % interval, both ends included."""

    model_config = ConfigDict(frozen=True)

    mean: float
    low: float
    high: float
    n: int

    @property
    def verdict(self) -> Literal["better", "worse", "unclear"]:
        """For a difference: what it shows. Unclear if 0 is inside, or with fewer than 20 cases."""
        if self.n < FEWEST or self.low <= 0 <= self.high:
            return "unclear"
        return "better" if self.low > 0 else "worse"


def estimates(columns: ArrayLike) -> list[Estimate | None]:
    """Mean and interval of each row of a table (columns, cases).

    A NaN is a case without a value: it is left out of its column, which says so by its n. A column
    without any value has None; one value is its own interval.

    Raises:
        ValueError: not a table, or an infinite value.
    """
    table = np.asarray(columns, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"a table (columns, cases) is expected, not {table.ndim} dimensions")
    if np.isinf(table).any():
        raise ValueError("a column holds an infinite value")
    groups: dict[bytes, list[int]] = {}
    there = ~np.isnan(table)
    for column, mask in enumerate(there):
        groups.setdefault(mask.tobytes(), []).append(column)
    found: list[Estimate | None] = [None] * len(table)
    for members in groups.values():
        values = table[members][:, there[members[0]]]
        if values.shape[1]:
            for column, estimate in zip(members, _intervals(values), strict=True):
                found[column] = estimate
    return found


def mean(values: Sequence[float]) -> Estimate | None:
    """Mean and interval of one column; see `estimates`."""
    return estimates([values])[0]


def difference(values: Sequence[float], reference: Sequence[float]) -> Estimate | None:
    """Paired difference, values minus reference, over the cases where both have a value.

    Raises:
        ValueError: the columns are not of the same cases.
    """
    if len(values) != len(reference):
        raise ValueError(f"{len(values)} values are compared with {len(reference)}")
    return mean([a - b for a, b in zip(values, reference, strict=True)])


def _intervals(values: NDArray[np.float64]) -> list[Estimate]:
    """values: (K, n) without NaN -> one estimate per row."""
    n = values.shape[1]
    means = [math.fsum(row) / n for row in values]
    low, high = (means, means) if n == 1 else _percentiles(values)
    return [
        Estimate(
            mean=round(middle, DECIMALS),
            low=round(float(bottom), DECIMALS),
            high=round(float(top), DECIMALS),
            n=n,
        )
        for middle, bottom, top in zip(means, low, high, strict=True)
    ]


def _percentiles(values: NDArray[np.float64]) -> tuple[Any, Any]:
    """values: (K, n) -> the ends of the intervals, each (K,)."""
    with bench("The bootstrap"):
        from scipy.stats import bootstrap
    n = values.shape[1]
    by_case = np.ascontiguousarray(values.T) / n

    def means(drawn: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
        """drawn: (B, n) numbers of cases -> (K, B) means."""
        rows = np.atleast_2d(drawn)
        places = rows + n * np.arange(len(rows))[:, None]
        counts = np.bincount(places.ravel(), minlength=len(rows) * n).reshape(len(rows), n)
        sums: NDArray[np.float64] = counts.astype(np.float64) @ by_case
        return sums.T

    interval = bootstrap(
        (np.arange(n),),
        means,
        n_resamples=DRAWS,
        batch=BATCH,
        vectorized=True,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return interval.low, interval.high
