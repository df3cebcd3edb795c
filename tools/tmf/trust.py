"""How much a likelihood counts beside the fusion's score, told by questions that were held back.

    trust(likely, fused, right)      # 0 where the likelihoods only disturb

The fusion learns its scores as logits of a slate; a likelihood is the mean over tokens of a label, on a
scale of its own. The weight of the likelihood that makes the right candidates likeliest is taken, out of
0 to 3 in steps of .05.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
HELD, LEAST = 64, 16
"""Questions that are held back, a tenth of them at most; of fewer than the least no weight is read."""
WEIGHTS = np.linspace(0, 3, 61)


def trust(likely: Floats, fused: Floats, right: NDArray[np.bool_]) -> float:
    """The weight; 1 without questions.

    Args:
        likely, fused: (Q, C).
        right: (Q, C) — one or more a question.
    """
    if not len(likely):
        return 1.0
    scores = fused + WEIGHTS[:, None, None] * likely
    whole = np.logaddexp.reduce(scores, axis=2)
    named = np.logaddexp.reduce(np.where(right, scores, -np.inf), axis=2)
    return float(WEIGHTS[(named - whole).mean(axis=1).argmax()])
