"""Who tells the next visit without training: popularity, own frequency, item-kNN.

    lists(popularity, cases)        # (2, N, 10) item codes, best first: of all items, and of new ones

Own frequency counts what a household bought, popularity breaks ties; the kNN adds up cosines of items
over baskets, the last journeys counting most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from merchgraph.evals.extra import bench
from merchgraph.evals.suites.grace_cases import Cases, K
from merchgraph.tools.grace.data import History, Ints, Log

Floats = NDArray[np.float64]
Ranker = Callable[[History], Floats]
HALF_LIFE = 10.0
"""Journeys after which an item counts half for the kNN."""


def popularity(log: Log) -> Ranker:
    """(I,) how often all bought each item."""
    counts = log.goods.counts.astype(np.float64)
    return lambda told: counts


def own_frequency(log: Log) -> Ranker:
    """(I,) how often this household did; popularity adds less than 1."""
    counts = log.goods.counts / (1 + log.goods.counts.max(initial=0))
    return lambda told: np.bincount(told.item, minlength=len(counts)) + counts


def neighbours(log: Log) -> Ranker:
    """(I,) cosines over baskets to the other items of the household, halved every 10 journeys."""
    with bench("The item-kNN"):
        from scipy.sparse import csr_array
    ones = np.ones(len(log.item))
    shape = len(log.starts) - 1, len(log.goods.items)
    table = csr_array((ones, log.item, log.starts), shape=shape)
    table.sum_duplicates()
    table.data[:] = 1
    norms = np.sqrt(np.maximum(1, table.sum(axis=0)))
    scaled = (table / norms).tocsr()
    turned = scaled.T.tocsr()

    def scores(told: History) -> Floats:
        if not len(told.item):
            return np.zeros(shape[1])
        weight = 0.5 ** ((told.journey[-1] - told.journey) / HALF_LIFE)
        taken = np.bincount(told.item, weight, minlength=shape[1])
        return np.asarray(turned @ (scaled @ taken)) - taken

    return scores


RANKERS: Mapping[str, Callable[[Log], Ranker]] = {
    "popularity": popularity,
    "own frequency": own_frequency,
    "item-kNN": neighbours,
}


def lists(make: Callable[[Log], Ranker], cases: Cases) -> Ints:
    """(2, N, K) the best item codes of each household: of all items, and of those it has not had."""
    ranker = make(cases.log)
    told = (cases.history(case) for case in range(len(cases)))
    return np.stack([both(ranker(one).astype(np.float64), one) for one in told], axis=1)


def both(scores: Floats, told: History) -> Ints:
    """(2, K) the best of all items, and of those that a household has not had."""
    fresh = scores.copy()
    fresh[told.item] = -np.inf
    return np.stack([best(scores), best(fresh)])


def best(scores: Floats) -> Ints:
    """(K,) the codes of the greatest scores, the first of equal ones first; -1 where there are fewer.

    What has -inf is not listed.
    """
    found = np.full(K, -1)
    order = np.argsort(-scores, kind="stable")[:K]
    order = order[scores[order] > -np.inf]
    found[: len(order)] = order
    return found
