"""Weighted sums of summaries, pooled over windows, and how they are fitted and calibrated.

A span's logit is pooled from those of its windows by log-sum-exp, `(1/r) log mean_w exp(r * logit_w)`:
near the greatest for a large r, their mean for a small one, so one window of reaction is enough. With the
mean inside, not the sum of the usual formula, a span of more windows does not score higher.

Sizes: N clips, C spans, W windows, D summaries.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.reactions.windows import Floats

SHARP = 5.0
"""r of the log-sum-exp."""
PENALTY = 0.02
"""Weight of the squared weights beside the mean cross entropy."""
STEPS = 200


class Linear(NamedTuple):
    """Weights of standardised summaries: logit = (x - mean) / spread @ weights + bias.

    Attributes:
        mean, spread, weights: (D,); a summary that is left out has the weight 0.
    """

    mean: Floats
    spread: Floats
    weights: Floats
    bias: float

    def logits(self, told: Floats) -> Floats:
        """(..., D) -> (...)."""
        return np.asarray((told - self.mean) / self.spread @ self.weights + self.bias)


def pooled(logits: Floats) -> Floats:
    """(..., W) -> (...): log-sum-exp of the windows with their number taken out."""
    top = logits.max(-1, keepdims=True)
    return np.asarray(top[..., 0] + np.log(np.exp(SHARP * (logits - top)).mean(-1)) / SHARP)


def fit_linear(
    told: Floats, error: Floats, keep: NDArray[np.bool_], *, penalty: float = PENALTY
) -> Linear:
    """Least class-balanced cross entropy of the pooled logits, by L-BFGS.

    Args:
        told: (N, C, W, D); each span is an example with its clip's label.
        error: (N,) 1 or 0, both there.
        keep: (D,) summaries that may be used.
        penalty: on the squared weights.

    Raises:
        DataError: the clips are all of one label.
        SetupError: scipy is missing.
    """
    try:
        from scipy.optimize import minimize
    except ModuleNotFoundError as error_:
        raise SetupError("Fitting needs scipy: pip install 'merchgraph[torch]'.") from error_
    if not 0 < error.mean() < 1:
        raise DataError(
            "A model learns from clips of errors and of correct answers; give both, and of enough people "
            "that both are left where some are held out."
        )
    told, error = told.reshape(-1, *told.shape[2:]), np.repeat(error, told.shape[1])
    mean, spread = told.mean((0, 1)), told.std((0, 1))
    spread = np.where(spread > 0, spread, 1.0)
    x = np.where(keep, (told - mean) / spread, 0.0)
    share = np.where(error > 0, 0.5 / error.sum(), 0.5 / (1 - error).sum())

    def loss(at: Floats) -> tuple[float, Floats]:
        logits = x @ at[:-1] + at[-1]
        span = pooled(logits)
        missed = probability(span) - error
        weight = np.exp(SHARP * (logits - logits.max(1, keepdims=True)))
        by_window = (share * missed)[:, None] * weight / weight.sum(1, keepdims=True)
        slope = np.append(
            np.einsum("nw,nwd->d", by_window, x) + 2 * penalty * at[:-1], by_window.sum()
        )
        entropy = share @ (np.logaddexp(0, span) - error * span)
        return float(entropy + penalty * at[:-1] @ at[:-1]), slope

    found = minimize(loss, np.zeros(x.shape[-1] + 1), jac=True, method="L-BFGS-B",
                     options={"maxiter": STEPS}).x  # fmt: skip
    return Linear(mean, spread, found[:-1], float(found[-1]))


def platt(logits: Floats, error: Floats) -> tuple[float, float]:
    """Slope, at least 0, and bias that make logits probabilities (Platt 1999), with his soft targets."""
    from scipy.optimize import minimize

    n = error.sum(), len(error) - error.sum()
    target = np.where(error > 0, (n[0] + 1) / (n[0] + 2), 1 / (n[1] + 2))

    def loss(at: Floats) -> float:
        z = at[0] * logits + at[1]
        return float((np.logaddexp(0, z) - target * z).mean())

    found = minimize(
        loss, np.array([1.0, 0.0]), method="L-BFGS-B", bounds=[(0, None), (None, None)]
    )
    return float(found.x[0]), float(found.x[1])


def probability(logits: Floats) -> Floats:
    """The logistic function."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -500, 500))))
