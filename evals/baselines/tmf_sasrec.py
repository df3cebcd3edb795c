"""SASRec (Kang and McAuley 2018, arXiv 1808.09781) of the library Cornac on the slates of the TMF suite.

    scores = sasrec(past, asked, Effort(), seed=0)       # (Q, C)

A household is one sequence of its latest items, shuffled inside baskets, since a basket has no order; the
next item is predicted from those before it. It knows no behaviours. Items that it never met score least.

Sizes: Q questions, C candidates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from merchgraph.evals.baselines.cornac_nets import Effort, Place, fitted
from merchgraph.tools.tmf.data import Log, Question


def sasrec(past: Log, asked: Sequence[Question], effort: Effort, seed: int) -> NDArray[np.float32]:
    """(Q, C) — trained on a log, which must end before the questions.

    Raises:
        SetupError: Cornac is not installed.
    """
    net = fitted("SASRec", rows(past, effort.latest, seed), effort, seed)
    found = []
    for question in asked:
        scores = net.scores(question.trail.items.tolist())
        slate = [net.code.get(item) for item in question.slate.tolist()]
        least = float(scores.min())
        found.append([least if place is None else float(scores[place]) for place in slate])
    return np.array(found, dtype=np.float32)


def rows(past: Log, latest: int, seed: int) -> list[Place]:
    """User, sequence, item and place of the newest rows of each household, oldest first."""
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(past.item)), past.basket))
    ends = np.append(past.first[1:], len(past.item))
    made = []
    for user, end in enumerate(ends.tolist()):
        for place in range(max(int(past.first[user]), end - latest), end):
            made.append((str(user), str(user), str(past.item[order[place]]), place))
    return made
