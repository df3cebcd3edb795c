"""Weights of rank fusion, fitted on slates whose target is known.

    found = fit([slate(result, target) for result, target in validation])
    Context(fusion=found.weights)

A conditional logit (McFadden 1974): P(target) is the softmax of the weighted sums over the slate, with
the signals normalised within the slate as `graphs/fusion.py` does it. L2 is a normal prior with mean 0.
Slates to fit on come from before the cases that are reported. Sizes: C slates (choices) of N items in
all, S signals.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.evals.extra import bench
from merchgraph.evals.metrics.ranking import Judged, many
from merchgraph.graphs.arag_state import Result
from merchgraph.graphs.fusion import Signal, normalised
from merchgraph.runtime.errors import DataError

Floats = NDArray[np.float64]
CUTOFF = 5
STRENGTHS = (1.0, 10.0, 100.0, 1e6)
"""Times l2; the last one leaves a signal out."""


class Slate(NamedTuple):
    """One choice: a value per item for each signal (None where unknown), and which item was chosen."""

    signals: Mapping[Signal, Sequence[float | None]]
    target: int


@dataclass(frozen=True)
class Fit:
    """Fitted weights.

    Attributes:
        weights: for `Context.fusion`.
        ndcg: mean NDCG@5 of slates that the weights were not fitted on (cross-validated).
        slates: how many there were.
    """

    weights: dict[Signal, float]
    ndcg: float
    slates: int


def slate(result: Result, target: str) -> Slate:
    """The signals of a run with `Context.fusion`, whose weights do not matter here.

    Raises:
        DataError: the run had no fusion, or did not rank the target.
    """
    items = [row.item for row in result.ranking]
    if target not in items:
        raise DataError(
            f"The target {target!r} is not among the {len(items)} candidates of user "
            f"{result.user!r}; leave such cases out of the fit."
        )
    names = list(result.ranking[0].shares)
    if not names:
        raise DataError(
            f"The run of user {result.user!r} has no signals; run it with Context(fusion={{...}})."
        )
    values = {name: [row.shares[name].value for row in result.ranking] for name in names}
    return Slate(values, items.index(target))


def fit(
    slates: Sequence[Slate], *, l2: float = 1.0, careful: Collection[Signal] = (), folds: int = 5
) -> Fit:
    """The weights of greatest penalised likelihood, and their cross-validated NDCG@5.

    Args:
        slates: two or more, all with the same signals.
        l2: 1 / variance of the prior of a weight.
        careful: signals that few slates know, which so few could mislead: their l2 is the largest of
            `STRENGTHS` whose held-out likelihood, on the slates that know them, is within one standard
            error of the best one's.
        folds: parts of the cross-validation; slate n is in part n mod folds.

    Raises:
        DataError: too few slates, or one that does not fit the others; it is named by its number.
    """
    if len(slates) < 2:
        raise DataError(f"There are {len(slates)} slates to fit on; at least 2 are needed.")
    names = sorted(slates[0].signals)
    choices = [_choice(one, names, number) for number, one in enumerate(slates, start=1)]
    doubted = np.array([name in careful for name in names])
    held_out = {
        strength: _held_out(choices, np.where(doubted, l2 * strength, l2), min(folds, len(choices)))
        for strength in (STRENGTHS if doubted.any() else (1.0,))
    }
    telling = [n for n, choice in enumerate(choices) if np.any(choice.table[:, doubted])]
    strength = _strongest(choices, held_out, telling)
    judged = [choice.judged(w) for choice, w in zip(choices, held_out[strength], strict=True)]
    gains = [row[f"NDCG@{CUTOFF}"] for row in many(judged, k=CUTOFF)]
    fitted = _weights(choices, np.where(doubted, l2 * strength, l2)).tolist()
    return Fit(dict(zip(names, fitted, strict=True)), float(np.mean(gains)), len(choices))


def _held_out(choices: Sequence[_Choice], l2: Floats, parts: int) -> list[Floats]:
    """Per slate the weights that were fitted without its part."""
    weights = [
        _weights([c for n, c in enumerate(choices) if n % parts != part], l2)
        for part in range(parts)
    ]
    return [weights[number % parts] for number in range(len(choices))]


def _strongest(
    choices: Sequence[_Choice], held_out: Mapping[float, Sequence[Floats]], telling: Sequence[int]
) -> float:
    """The one-standard-error rule of the lasso (Hastie, Tibshirani, Friedman, section 7.10)."""
    if len(held_out) == 1 or not telling:
        return max(held_out)
    told = {
        strength: np.array([choices[n].log_odds(weights[n]) for n in telling])
        for strength, weights in held_out.items()
    }
    best = max(told.values(), key=lambda row: float(row.mean()))
    return max(
        strength
        for strength, row in told.items()
        if (best - row).mean() <= (best - row).std() / math.sqrt(len(telling))
    )


class _Choice(NamedTuple):
    """A slate as numbers: (items, S) normalised signals, and the target's row."""

    table: Floats
    target: int

    def log_odds(self, weights: Floats) -> float:
        """log P(target)."""
        sums = self.table @ weights
        top = float(sums.max())
        return float(sums[self.target]) - top - math.log(float(np.exp(sums - top).sum()))

    def judged(self, weights: Floats) -> Judged:
        """The order that the graph would give it; items are named by their row."""
        sums = np.round(self.table @ weights, 9)
        return Judged([str(row) for row in np.argsort(-sums, kind="stable")], {str(self.target)})


def _choice(one: Slate, names: Sequence[Signal], number: int) -> _Choice:
    """Raises a DataError for other signals than the first slate's, or values that do not go together."""
    if sorted(one.signals) != list(names) or not names:
        raise DataError(
            f"Slate {number} has the signals {sorted(one.signals)}, but {list(names)} of the first "
            "slate are expected, at least one; run all cases with the same fusion."
        )
    sizes = {len(values) for values in one.signals.values()}
    if len(sizes) != 1 or not 0 <= one.target < min(sizes):
        raise DataError(
            f"Slate {number} has the target {one.target} and signals of {sorted(sizes)} values; "
            "expected one value per item for each signal, and the target's position among them."
        )
    for name in names:
        if not all(value is None or math.isfinite(value) for value in one.signals[name]):
            raise DataError(f"Slate {number} has a {name!r} that is not finite; leave it out.")
    return _Choice(np.array([normalised(one.signals[name]) for name in names]).T, one.target)


def _weights(choices: Sequence[_Choice], l2: Floats) -> Floats:
    """(S,) — argmax of sum log softmax(X w)[target] - sum l2 / 2 w^2, concave; l2: (S,) — per signal."""
    with bench("Fitting weights"):
        from scipy.optimize import minimize
    table = np.concatenate([choice.table for choice in choices])  # (N, S)
    sizes = [len(choice.table) for choice in choices]
    starts = np.cumsum([0, *sizes[:-1]])
    targets = starts + [choice.target for choice in choices]

    def loss(w: Floats) -> tuple[float, Floats]:
        sums = table @ w
        sums -= np.repeat(np.maximum.reduceat(sums, starts), sizes)
        whole = np.add.reduceat(np.exp(sums), starts)  # (C,)
        odds = np.exp(sums) / np.repeat(whole, sizes)
        value = np.log(whole).sum() - sums[targets].sum() + l2 @ (w * w) / 2
        return float(value), odds @ table - table[targets].sum(axis=0) + l2 * w

    found: Any = minimize(loss, np.zeros(table.shape[1]), jac=True, method="L-BFGS-B")
    weights: Floats = found.x
    return weights
