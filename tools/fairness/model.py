"""Will a shopper buy an item in a trip? A logistic model of ten features, and the tables made with it.

    fitted = fit(features, bought, weights, ridge=1.0)
    p = probabilities(fitted, market, shoppers)          # (U, I)

The model is our design: the paper's outcome model is not public (Ye et al., arXiv 2312.03253). Sizes:
F = 10 features, I items, H shoppers, U of them, N examples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.tools.fairness.data import Floats, Market, Singles, Whole

FEATURES = (
    "popularity", "popularity of four weeks", "own purchases", "own rate", "own purchases, decayed",
    "own rate of the kind", "own rate of the maker", "trips", "items a trip", "bought before",
)  # fmt: skip
F = len(FEATURES)
FLOOR = 0.01
"""Added to a rate before its logarithm is taken."""
STEPS = 50
LONGEST = 1.0
"""Of a Newton step: purchases are rare, where whole steps from afar leap over the optimum."""
CLOSE = 1e-8


class Purchase(NamedTuple):
    """Probability of a purchase = sigmoid(intercept + weights . (x - centre) / spread).

    Attributes:
        intercept: scalar.
        weights, centre, spread: (F,) float64.
        covariance: (F + 1, F + 1) float64 — of the intercept and the weights (Laplace).
    """

    intercept: float
    weights: Floats
    centre: Floats
    spread: Floats
    covariance: Floats

    def logits(self, features: Floats) -> Floats:
        """features: (..., F) -> (...)"""
        found: Floats = self.intercept + ((features - self.centre) / self.spread) @ self.weights
        return found


def features(market: Market, shopper: int, columns: Whole | None = None) -> Floats:
    """(N, F) float64 — of one shopper and some columns of items, all of them for None."""
    habits = market.habits
    of = np.arange(len(market.items)) if columns is None else columns
    start, end = habits.starts[shopper : shopper + 2]
    counts, decayed = np.zeros(len(market.items)), np.zeros(len(market.items))
    counts[habits.own[start:end]] = habits.counts[start:end]
    decayed[habits.own[start:end]] = habits.decayed[start:end]
    table = np.empty((len(of), F))
    table[:, :2] = market.popularity[of]
    table[:, 2] = np.log1p(counts[of])
    table[:, 3] = np.log(counts[of] / habits.trips[shopper] + FLOOR)
    table[:, 4] = np.log1p(decayed[of])
    table[:, 5] = np.log(habits.kinds[shopper][market.kind[of]] + FLOOR)
    table[:, 6] = np.log(habits.makers[shopper][market.maker[of]] + FLOOR)
    table[:, 7] = np.log(habits.trips[shopper])
    table[:, 8] = np.log(habits.size[shopper])
    table[:, 9] = counts[of] > 0
    return table


def probabilities(model: Purchase, market: Market, shoppers: Whole) -> Singles:
    """(U, I) float32 — how likely each shopper buys each item in a trip."""
    table = np.empty((len(shoppers), len(market.items)), np.float32)
    for row, shopper in enumerate(shoppers):
        table[row] = sigmoid(model.logits(features(market, int(shopper))))
    return table


def fit(x: Floats, bought: NDArray[np.bool_], importance: Floats, *, ridge: float) -> Purchase:
    """The weights that maximise the likelihood less ridge / 2 times their square, by Newton steps.

    Args:
        x: (N, F) float64.
        bought: (N,) bool.
        importance: (N,) float64 — how many examples each stands for.
        ridge: on the weights of the scaled features; not on the intercept.
    """
    total = importance.sum()
    centre = importance @ x / total
    spread = np.sqrt(importance @ (x - centre) ** 2 / total)
    spread[spread < CLOSE] = 1.0
    design = np.concatenate([np.ones((len(x), 1)), (x - centre) / spread], axis=1)
    penalty = np.diag([CLOSE, *[ridge] * F])
    theta = np.zeros(F + 1)
    theta[0] = np.log(importance[bought].sum() + 1) - np.log(total)
    for _ in range(STEPS):
        p = sigmoid(design @ theta)
        slope = design.T @ (importance * (bought - p)) - penalty @ theta
        curve = (design * (importance * p * (1 - p))[:, None]).T @ design + penalty
        step = np.linalg.solve(curve, slope)
        step *= min(1.0, LONGEST / np.abs(step).max())
        theta += step
        if np.abs(step).max() < CLOSE:
            break
    return Purchase(float(theta[0]), theta[1:], centre, spread, np.linalg.inv(curve))


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), for any x."""
    found: Floats = 0.5 * (1 + np.tanh(x / 2))
    return found
