"""Means over cases that come in clusters, and their 95 % intervals by the cluster bootstrap.

Pairs of one test, answers of one person: such cases are alike, and an interval that draws them one by
one is too narrow. Here whole clusters are drawn again, with repetition, 9,999 times, and the mean of
all cases in them is taken (Cameron, Gelbach and Miller 2008, doi:10.1162/rest.90.3.414); the interval
is the middle 95 % of the means. One draw serves all columns, so that of a difference is the paired one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from merchgraph.evals.metrics.bootstrap import BATCH, DECIMALS, DRAWS, LEVEL, SEED, Estimate


def clustered(columns: ArrayLike, clusters: Sequence[Hashable]) -> list[Estimate]:
    """Mean and interval of each row of a table (columns, cases).

    `n` counts clusters, since they are what is drawn: below 20 of them there is no verdict, however many
    cases they have (`Estimate.verdict`).

    Args:
        columns: (K, N) float, finite.
        clusters: (N,) which cluster each case is of; a single one is its own interval.

    Raises:
        ValueError: no table, no case, a value that is not finite, or clusters of other cases.
    """
    table = np.asarray(columns, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != len(clusters) or not len(clusters):
        raise ValueError(f"a table of {len(clusters)} > 0 cases is expected, not {table.shape}")
    if not np.isfinite(table).all():
        raise ValueError("a column holds a value that is not finite")
    number = {cluster: n for n, cluster in enumerate(dict.fromkeys(clusters))}
    member = np.array([number[cluster] for cluster in clusters])
    sums, sizes = np.stack([np.bincount(member, row) for row in table]), np.bincount(member)
    rng, means = np.random.default_rng(SEED), []
    for done in range(0, DRAWS, BATCH):
        count = min(BATCH, DRAWS - done)
        drawn = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=count)
        means.append((drawn @ sums.T) / (drawn @ sizes)[:, None])
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(np.concatenate(means), [tail, 100 - tail], axis=0)
    return [
        Estimate(
            mean=round(float(mean), DECIMALS),
            low=round(float(bottom), DECIMALS),
            high=round(float(top), DECIMALS),
            n=len(sizes),
        )
        for mean, bottom, top in zip(table.mean(axis=1), low, high, strict=True)
    ]
