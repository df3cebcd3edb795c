"""A threshold on a judge's score, chosen on labelled examples, with what it is worth.

found = cut(holds=[.62, .58, .71], fails=[.31, .60])
found.threshold, found.auc, found.accuracy
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from pydantic import BaseModel, ConfigDict

from merchgraph.evals.metrics.ranking import auc

UNCALIBRATED = 0.5
"""The threshold where one side has no example."""
DECIMALS = 6


class Cut(BaseModel):
    """A threshold: a score at or above it holds.

    Attributes:
        auc: chance that an example that holds scores above one that fails; None where one side is empty.
        accuracy: balanced, each example judged by the cut of all others; None as `auc`.
        holds, fails: how many examples there were.
    """

    model_config = ConfigDict(frozen=True)

    threshold: float = UNCALIBRATED
    auc: float | None = None
    accuracy: float | None = None
    holds: int = 0
    fails: int = 0


def cut(holds: Sequence[float], fails: Sequence[float]) -> Cut:
    """The threshold of the best balanced accuracy on the examples; of equal ones, that of the widest gap.

    Balanced accuracy is the mean of both sides' shares that are judged rightly, so that it does not
    matter how many examples a side has.

    Raises:
        ValueError: a score that is not finite.
    """
    if not all(map(math.isfinite, [*holds, *fails])):
        raise ValueError("a score is not finite")
    if not (holds and fails):
        return Cut(holds=len(holds), fails=len(fails))
    return Cut(
        threshold=_best(holds, fails),
        auc=auc_of(holds, fails),
        accuracy=_left_out(holds, fails),
        holds=len(holds),
        fails=len(fails),
    )


def auc_of(holds: Sequence[float], fails: Sequence[float]) -> float | None:
    """Chance that an example that holds scores above one that fails; None where a side is empty."""
    scores = {f"{number}": score for number, score in enumerate([*holds, *fails])}
    found = auc(scores, [f"{number}" for number in range(len(holds))])
    return None if math.isnan(found) else found


def _best(holds: Sequence[float], fails: Sequence[float]) -> float:
    """Half way between two neighbouring scores; beyond all of them only where nothing else is better."""
    if not (holds and fails):
        return UNCALIBRATED
    places = sorted({*holds, *fails})
    gaps = list(pairwise(places))
    if not gaps:
        return places[0]
    low, high = max(gaps, key=lambda gap: (_accuracy(holds, fails, sum(gap) / 2), gap[1] - gap[0]))
    return round((low + high) / 2, DECIMALS)


def _accuracy(holds: Sequence[float], fails: Sequence[float], threshold: float) -> float:
    right = sum(score >= threshold for score in holds) / len(holds)
    return right / 2 + sum(score < threshold for score in fails) / len(fails) / 2


def _left_out(holds: Sequence[float], fails: Sequence[float]) -> float:
    right = [
        score >= _best([*holds[:place], *holds[place + 1 :]], fails)
        for place, score in enumerate(holds)
    ]
    wrong = [
        score < _best(holds, [*fails[:place], *fails[place + 1 :]])
        for place, score in enumerate(fails)
    ]
    return round(sum(right) / len(right) / 2 + sum(wrong) / len(wrong) / 2, DECIMALS)
