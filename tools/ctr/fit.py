"""Click models of many ads at once: L2-penalised logistic regressions, one per ad, by Newton's method.

All ads share the rows (a household at a time) and differ in who was shown them and who clicked. For row x
and ad a with weights w_a and intercept b_a,

    minimise over w_a, b_a:  sum over rows shown a of log loss(click, b_a + w_a . x)
                             + l2 / 2 |w_a - prior_a|^2

The Hessian of an ad is a weighted sum of the rows' outer products x x^T. With these as the rows of one
matrix, the Hessians of all ads are one product of matrices per step, and all steps one batched solve:
no loop over ads, and each outer product is worked out once for all of them.

Sizes: N rows, F features, n ads. The products are in single precision, gradients and steps in double:
a Hessian that is off by 1e-6 takes no other way to the same minimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError, ToolError
from merchgraph.tools.ctr.pool import Doubles

Bools = NDArray[np.bool_]

STEPS = 50
HALVINGS = 20
CLOSE = 1e-6
"""Of a gradient, per feature and ad, relative to the ad's number of clicks plus one."""
NOISE = 1e-9
"""Of a sum of losses, relative: a step that is worse by no more is no worse."""
CHUNK = 4096
"""Rows whose outer products are in memory at once: 21 MB at 49 features."""


class Models(NamedTuple):
    """One linear click model per ad."""

    weights: Doubles
    """(n, F)"""
    intercepts: Doubles
    """(n,)"""


@dataclass(frozen=True, eq=False)
class Sample:
    """Who was shown what, and clicked.

    Attributes:
        x: (N, F) standardised features.
        shown: (N, n).
        clicked: (N, n), only where shown.

    Raises:
        SetupError: shapes that do not fit, or a click on what was not shown.
    """

    x: Doubles
    shown: Bools
    clicked: Bools

    def __post_init__(self) -> None:
        rows = len(self.x)
        if self.shown.shape != self.clicked.shape or len(self.shown) != rows:
            raise SetupError(
                f"A sample of {rows} rows has exposures of the shape {self.shown.shape} and clicks "
                f"of {self.clicked.shape}; both need one row per row of x and one column per ad."
            )
        if (self.clicked & ~self.shown).any():
            raise SetupError("A sample has a click on an ad that was not shown; drop such clicks.")

    @property
    def exposures(self) -> Doubles:
        """(n,)"""
        return np.asarray(self.shown.sum(axis=0), dtype=np.float64)

    @property
    def clicks(self) -> Doubles:
        """(n,)"""
        return np.asarray(self.clicked.sum(axis=0), dtype=np.float64)

    @property
    def rates(self) -> Doubles:
        """(n,) clicks per exposure, 0 where there is none."""
        return self.clicks / np.maximum(self.exposures, 1)


def fit(sample: Sample, *, l2: float, prior: Doubles | None = None) -> Models:
    """The click models of all ads of a sample.

    Args:
        sample: who was shown what, and clicked.
        l2: weight of the penalty, above 0; intercepts have none.
        prior: (n, F) weights that the penalty pulls towards; 0 if left out.

    Raises:
        SetupError: an ad that nobody clicked or everybody did, which has no finite intercept; a
            penalty that is not above 0; a prior of another shape.
        ToolError: the fit did not come to rest.
    """
    ads, width = sample.shown.shape[1], sample.x.shape[1]
    prior = np.zeros((ads, width)) if prior is None else prior
    _check(sample, l2, prior)
    x = np.column_stack([sample.x, np.ones(len(sample.x))])
    pull = np.append(np.full(width, float(l2)), 0.0)
    target = np.column_stack([prior, np.zeros(ads)])
    logits = np.log(sample.clicks / (sample.exposures - sample.clicks))
    # from no weights, where no probability is 0 or 1, and every ad has a curvature
    w = np.column_stack([np.zeros((ads, width)), logits])
    loss, gradient = _loss(sample, x, w, pull, target)
    scale = (sample.clicks + 1)[:, None]
    for _ in range(STEPS):
        if (np.abs(gradient) <= CLOSE * scale).all():
            return Models(w[:, :-1], w[:, -1])
        hessian = _hessian(sample, x, w) + np.diag(pull)
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        for _ in range(HALVINGS):
            tried, slope = _loss(sample, x, w - step, pull, target)
            worse = tried > loss + NOISE * (1 + np.abs(loss))
            if not worse.any():
                break
            step[worse] /= 2
        w, loss, gradient = w - step, tried, slope
    raise ToolError(f"The click models of {ads} ads did not come to rest after {STEPS} steps.")


def _check(sample: Sample, l2: float, prior: Doubles) -> None:
    if not l2 > 0:
        raise SetupError(f"The penalty is {l2!r}; expected a number above 0, such as 300.")
    wanted = (sample.shown.shape[1], sample.x.shape[1])
    if prior.shape != wanted:
        raise SetupError(
            f"The prior has the shape {prior.shape}; expected {wanted}: ads, features."
        )
    flat = np.flatnonzero((sample.clicks == 0) | (sample.clicks == sample.exposures))
    if flat.size:
        ad = int(flat[0])
        raise SetupError(
            f"The ad in column {ad} has {sample.clicks[ad]:.0f} clicks of "
            f"{sample.exposures[ad]:.0f} exposures; a click model needs some of both."
        )


def _sigmoid(logits: Doubles) -> Doubles:
    """1 / (1 + e^-z), which cannot overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(logits / 2))


def _loss(
    sample: Sample, x: Doubles, w: Doubles, pull: Doubles, target: Doubles
) -> tuple[Doubles, Doubles]:
    """(n,) penalised losses and (n, F + 1) their gradients."""
    off = w - target
    loss = 0.5 * (pull * off**2).sum(axis=1)
    gradient = pull * off
    for start in range(0, len(x), CHUNK):
        rows = slice(start, start + CHUNK)
        shown, clicked = sample.shown[rows], sample.clicked[rows]
        logits = x[rows] @ w.T
        # log(1 + e^z), which cannot overflow
        loss += np.where(shown, np.logaddexp(0, logits) - clicked * logits, 0).sum(axis=0)
        gradient += (shown * _sigmoid(logits) - clicked).T @ x[rows]
    return loss, gradient


def _hessian(sample: Sample, x: Doubles, w: Doubles) -> Doubles:
    """(n, F + 1, F + 1), without the penalty."""
    size = x.shape[1]
    left, right = np.triu_indices(size)
    sums = np.zeros((len(w), len(left)))
    for start in range(0, len(x), CHUNK):
        rows = slice(start, start + CHUNK)
        single = x[rows].astype(np.float32)
        odds = _sigmoid(x[rows] @ w.T)
        spread = (sample.shown[rows] * odds * (1 - odds)).astype(np.float32)
        sums += spread.T @ (single[:, left] * single[:, right])
    found = np.empty((len(w), size, size))
    found[:, left, right] = sums
    found[:, right, left] = sums
    return found
