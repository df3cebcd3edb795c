"""Why an ad has its score for a user: the features that add most to the log-odds.

A linear model is its own explanation: log-odds = intercept + sum_f w_f z_f, and what is not among the
named features is `rest`, so that the parts always add up.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.ctr.scorer import Scorer


class Contribution(BaseModel):
    """What one feature adds.

    Attributes:
        feature: its name.
        weight: of the ad.
        z: the user's standardised value: above 0 is more than the usual user.
        adds: weight * z, in log-odds.
    """

    model_config = ConfigDict(frozen=True)

    feature: str
    weight: float
    z: float
    adds: float


class Explanation(BaseModel):
    """One score and its parts: logit = intercept + sum of what `top` adds + rest."""

    model_config = ConfigDict(frozen=True)

    ad: str
    probability: float
    logit: float
    intercept: float
    top: tuple[Contribution, ...]
    rest: float


def explain(
    scorer: Scorer, ad: str, raw: ArrayLike, names: Sequence[str], *, k: int = 5
) -> Explanation:
    """The parts of one score.

    Args:
        scorer: that has the ad's weights.
        ad: its id; one without weights is explained by the median weights that score it.
        raw: (F,) features of one user.
        names: F names of the features.
        k: how many features to name, those with the largest contributions of either sign.

    Raises:
        SetupError: there are not as many names as features.
        DataError: as `Scorer.standardised`.
    """
    if len(names) != len(scorer.centre):
        raise SetupError(
            f"The scorer has {len(scorer.centre)} features, but {len(names)} names were given; "
            "give one name per feature."
        )
    one = scorer.slate([ad])
    z = one.standardised(raw).astype(np.float64).reshape(-1)
    adds = one.weights[0].astype(np.float64) * z
    order = np.argsort(-np.abs(adds), kind="stable")[:k]
    start = float(one.intercepts[0])
    logit = start + float(adds.sum())
    top = tuple(
        Contribution(
            feature=names[f], weight=float(one.weights[0, f]), z=float(z[f]), adds=float(adds[f])
        )
        for f in order
    )
    return Explanation(
        ad=ad, probability=float(1 / (1 + np.exp(-np.clip(logit, -80, 80)))), logit=logit,
        intercept=start, top=top, rest=float(adds.sum() - adds[order].sum()),
    )  # fmt: skip
