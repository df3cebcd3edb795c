"""Weights for ads that nobody has clicked yet, made from a pool of retired ads without a language model.

    cold        the median of the pool's weights, the same for every ad (LR_cold of LLM-HYPER, 2604.12096)
    neighbours  the mean of the k ads whose texts are most alike
    strangers   the mean of k ads drawn at random
    ridge       a linear map from text vectors to weights: a hypernetwork that was trained
    own_aisle   the median, and one constant more on the ad's own aisle

Sizes: P pool ads, n new ads, F features, D width of text vectors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.tools.ctr.pool import Doubles, Pool

PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Of the ridge, chosen by leaving each pool ad out in turn."""


class Near(NamedTuple):
    """The most alike pool ads of each new ad, the nearest first."""

    rows: NDArray[np.int64]
    """(n, P) rows of the pool."""
    cosines: Doubles
    """(n, P)"""


def near(vectors: Doubles, pool: Doubles) -> Near:
    """Order a pool by likeness to each new ad.

    Args:
        vectors: (n, D) L2-normalised.
        pool: (P, D) L2-normalised.
    """
    cosines = vectors @ pool.T
    rows = np.argsort(-cosines, axis=1, kind="stable")
    return Near(rows, np.take_along_axis(cosines, rows, axis=1))


def cold(pool: Pool, count: int) -> Doubles:
    """(n, F) — the median of the pool's weights."""
    return np.tile(np.median(pool.weights, axis=0), (count, 1))


def neighbours(values: Doubles, found: Near, k: int) -> Doubles:
    """(n, ...) — the plain mean of the k most alike ads' weights, or of their rates.

    Args:
        values: (P, ...)
    """
    return np.asarray(values[found.rows[:, :k]].mean(axis=1), dtype=np.float64)


def strangers(pool: Pool, count: int, k: int, rng: np.random.Generator) -> Doubles:
    """(n, F) — the mean of k ads of the pool, drawn anew for each ad."""
    drawn = np.stack([rng.choice(len(pool.ads), k, replace=False) for _ in range(count)])
    return np.asarray(pool.weights[drawn].mean(axis=1), dtype=np.float64)


def ridge(pool: Pool, pool_vectors: Doubles, vectors: Doubles) -> Doubles:
    """(n, F) — weights as a linear map of the ad's text, with the penalty that fits the pool best.

    Args:
        pool: whose weights are fitted.
        pool_vectors: (P, D) texts of the pool's ads.
        vectors: (n, D) texts of the new ads.
    """
    middle, mean = pool_vectors.mean(axis=0), pool.weights.mean(axis=0)
    x, y = pool_vectors - middle, pool.weights - mean
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    penalty = min(PENALTIES, key=lambda one: _left_out(u, s, y, one))
    coefficients = (vt.T * (s / (s**2 + penalty))) @ (u.T @ y)
    return np.asarray((vectors - middle) @ coefficients + mean, dtype=np.float64)


def _left_out(u: Doubles, s: Doubles, y: Doubles, penalty: float) -> float:
    """The mean squared error of each pool ad's weights by the other ads, in closed form."""
    shrunk = s**2 / (s**2 + penalty)
    hat = (u**2 * shrunk).sum(axis=1) + 1 / len(y)
    error = (y - (u * shrunk) @ (u.T @ y)) / (1 - hat)[:, None]
    return float((error**2).mean())


def own_aisle(pool: Pool, groups: list[str]) -> Doubles:
    """(n, F) — the median, with one constant added to the weight of the ad's own aisle.

    The constant is the median, over pool ads with an aisle, of their own aisle's weight above the
    median weight of that aisle.

    Args:
        pool: its ads' groups name their aisles.
        groups: the new ads' aisles; one that is unknown keeps the median.
    """
    usual = np.median(pool.weights, axis=0)
    place = {feature.name: row for row, feature in enumerate(pool.features)}
    own = [(row, place.get(f"aisle: {ad.group}")) for row, ad in enumerate(pool.ads)]
    gains = [pool.weights[row, at] - usual[at] for row, at in own if at is not None]
    found = cold(pool, len(groups))
    for row, group in enumerate(groups):
        if gains and (at := place.get(f"aisle: {group}")) is not None:
            found[row, at] += float(np.median(gains))
    return found
