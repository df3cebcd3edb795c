"""Metrics of click models: who of those that saw an ad clicks it, and which ad a user clicks.

Sizes: N rows (a user at a time), n ads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]

FEWEST_OFFERED = 10
"""Ads that a list needs to be counted, beside one click."""
BINS = 20
"""Of the calibration error; each has as many exposures."""


def auc(scores: Doubles, clicked: Bools) -> float:
    """P(a click has a higher score than no click), ties count half; NaN without both.

    Args:
        scores: (m,) of the rows that were shown the ad.
        clicked: (m,)
    """
    clicks = int(clicked.sum())
    if not 0 < clicks < len(clicked):
        return float("nan")
    ranks = _ranks(scores)[clicked].sum()
    return float((ranks - clicks * (clicks + 1) / 2) / (clicks * (len(clicked) - clicks)))


def auc_by_ad(scores: Doubles, shown: Bools, clicked: Bools) -> Doubles:
    """(n,) — the AUC of each ad among the rows that were shown it; scores (N, n)."""
    return np.asarray([
        auc(scores[seen, ad], clicked[seen, ad])
        for ad, seen in enumerate(shown.T)
    ])  # fmt: skip


def ndcg(scores: Doubles, shown: Bools, clicked: Bools, k: int) -> Doubles:
    """(N,) — NDCG@k of each row's list of shown ads with clicks as gains; NaN for rows that do not count.

    DCG is the sum over the first k places p of click / log2(p + 1), divided by that of the best order.
    Rows count that were shown ten ads or more and clicked one; ties stand in the order of the columns.
    """
    counts = (shown.sum(axis=1) >= FEWEST_OFFERED) & clicked.any(axis=1)
    found = np.full(len(shown), np.nan)
    listed = np.where(shown[counts], scores[counts], -np.inf)
    order = np.argsort(-listed, axis=1, kind="stable")[:, :k]
    gains = np.take_along_axis(clicked[counts], order, axis=1)
    discounts = 1 / np.log2(np.arange(2, gains.shape[1] + 2))
    best = np.cumsum(np.append(discounts, np.zeros(max(0, k - len(discounts)))))
    clicks = np.minimum(clicked[counts].sum(axis=1), gains.shape[1])
    found[counts] = (gains * discounts).sum(axis=1) / best[clicks - 1]
    return found


class Calibration(NamedTuple):
    """How predicted probabilities compare with clicks."""

    error: float
    """ECE: mean over bins of equal size of |mean predicted - share clicked|, 0 is perfect."""
    ratio: float
    """Predicted clicks / actual clicks, 1 is perfect."""


def calibration(odds: Doubles, clicked: Bools) -> Calibration:
    """Of predicted probabilities (m,) and clicks (m,); NaN where there is no exposure or no click."""
    if not len(odds) or not clicked.any():
        return Calibration(float("nan"), float("nan"))
    order = np.argsort(odds, kind="stable")
    gaps = [
        abs(float(odds[rows].mean() - clicked[rows].mean())) * len(rows)
        for rows in np.array_split(order, min(BINS, len(order)))
    ]
    return Calibration(sum(gaps) / len(odds), float(odds.sum() / clicked.sum()))


def _ranks(values: Doubles) -> Doubles:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], dtype=np.float64)
