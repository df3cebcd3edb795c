"""SASRec and BERT4Rec of the library Cornac, on the latest purchases of each household.

    sequential("SASRec", cases, Effort(epochs=1), seed=0)     # (2, N, 10) item codes, best first

A household is one sequence, shuffled inside its journeys, since a basket has no order; the next item is
predicted from the items before it. The first lists keep what was bought before, the others are without.
"""

from __future__ import annotations

import numpy as np

from merchgraph.evals.baselines.cornac_nets import Effort, Kind, Place, fitted
from merchgraph.evals.baselines.grace import both
from merchgraph.evals.suites.grace_cases import Cases
from merchgraph.tools.grace.data import Ints, Log

KINDS: tuple[Kind, ...] = ("SASRec", "BERT4Rec")


def sequential(kind: Kind, cases: Cases, effort: Effort, seed: int) -> Ints:
    """Train on the cases' log and list for each household.

    Raises:
        SetupError: Cornac is not installed.
    """
    net = fitted(kind, _rows(cases.log, effort.latest, seed), effort, seed)
    column = np.array(sorted(net.code, key=net.code.__getitem__), dtype=np.int64)
    found = []
    for case in range(len(cases)):
        told = cases.history(case)
        scores = np.full(len(cases.log.goods.items), -np.inf)
        scores[column] = net.scores(told.item.tolist())
        found.append(both(scores, told))
    return np.stack(found, axis=1)


def _rows(log: Log, latest: int, seed: int) -> list[Place]:
    """user, sequence, item and place of the newest purchases of each household."""
    rng = np.random.default_rng(seed)
    journey = np.repeat(np.arange(len(log.user)), np.diff(log.starts))
    order = np.lexsort((rng.random(len(log.item)), journey))
    owner = log.user[journey]
    left = np.bincount(owner)[owner] - (np.arange(len(owner)) - np.searchsorted(owner, owner))
    rows = []
    for place, source in enumerate(order):
        if left[place] <= latest:
            user = str(owner[place])
            rows.append((user, user, str(log.item[source]), place))
    return rows
