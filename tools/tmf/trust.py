"""How much a likelihood counts beside the fusion's score, told by questions that were held back.

    trust(likely, fused, right)      # 0 where the likelihoods only disturb

The fusion learns its scores as logits of a slate; a likelihood is the mean over tokens of a label, on a
scale of its own. Of the weights from 0 to 3, in steps of .05, one makes the right candidates likeliest;
taken is the least that is within one standard error of it, as trees are pruned by cross-validation
(Breiman et al. 1984): what a few questions cannot show does not count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
HELD, LEAST = 128, 16
"""Questions that are held back, a tenth of them at most; of fewer than the least no weight is read."""
WEIGHTS = np.linspace(0, 3, 61)


def trust(likely: Floats, fused: Floats, right: NDArray[np.bool_]) -> float:
    """The weight; 1 without questions. The standard error is that of paired differences of questions.

    Args:
        likely, fused: (Q, C).
        right: (Q, C) — one or more a question.
    """
    if not len(likely):
        return 1.0
    scores = fused + WEIGHTS[:, None, None] * likely
    whole = np.logaddexp.reduce(scores, axis=2)
    named = np.logaddexp.reduce(np.where(right, scores, -np.inf), axis=2)
    losses = whole - named
    worse = losses - losses[losses.mean(axis=1).argmin()]
    error = worse.std(axis=1) / np.sqrt(len(likely))
    return float(WEIGHTS[(worse.mean(axis=1) <= error).argmax()])
