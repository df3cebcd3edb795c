"""How fair a set of lists is to sellers, and what it earns; pure functions of what was shown.

    measured(window, targets, trips, shown)      # -> {"GMV": ..., "min share": ..., ...}

A share is a seller's outcome divided by its target. Gini and Jain are of the shares: Gini 0 (all alike)
to nearly 1 (one has all); Jain 1 (all alike) to 1 / S.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from merchgraph.tools.fairness.bound import outcomes_of
from merchgraph.tools.fairness.data import Floats, Trips, Whole
from merchgraph.tools.fairness.loop import Shown, Window

MEASURES = (
    "GMV",
    "purchases",
    "min share",
    "Gini",
    "Jain",
    "below half",
    "coverage",
    "replayed GMV",
)


def gini(values: Floats) -> float:
    """Mean absolute difference / (2 * mean) of values >= 0; 0 where all are 0."""
    ordered, n = np.sort(values), len(values)
    total = ordered.sum()
    if total == 0:
        return 0.0
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * total))


def jain(values: Floats) -> float:
    """(sum x)^2 / (n * sum x^2); 1 where all are 0."""
    squares = float(values @ values)
    return float(values.sum() ** 2 / (len(values) * squares)) if squares else 1.0


def replayed(window: Window, trips: Trips, shown: Shown) -> tuple[Floats, NDArray[np.bool_]]:
    """What the real baskets held of the lists: earned in each trip (T,), and which places (T, K).

    Args:
        window: with the rewards.
        trips: in the order of `shown`.
        shown: (T, K) int32.
    """
    items = len(window.reward)
    of = np.repeat(np.arange(len(trips.shopper)), np.diff(trips.starts))
    baskets = np.sort(of * items + trips.bought)
    asked = np.arange(len(shown))[:, None] * items + shown
    place = np.minimum(np.searchsorted(baskets, asked), len(baskets) - 1)
    hit = (baskets[place] == asked) & (shown >= 0)
    earned: Floats = (hit * window.reward[np.maximum(shown, 0)]).sum(axis=1).astype(np.float64)
    return earned, hit


def reordered(trips: Trips, order: Whole) -> Trips:
    """The same trips in another order."""
    sizes = np.diff(trips.starts)[order]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    within = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
    bought = trips.bought[np.repeat(trips.starts[order], sizes) + within]
    return Trips(trips.shopper[order], starts, bought)


def measured(window: Window, targets: Floats, trips: Trips, shown: Shown) -> dict[str, float]:
    """The measures of some lists, expected ones but the replayed; see `MEASURES`."""
    weights = np.full(len(shown), 1 / len(shown))
    outcomes, reward = outcomes_of(window, trips.shopper, shown, len(targets), weights)
    ones = np.ones_like(window.reward)
    counting = window._replace(reward=ones, unit=ones)
    _, purchases = outcomes_of(counting, trips.shopper, shown, len(targets), weights)
    shares = outcomes / targets
    earned, _ = replayed(window, trips, shown)
    return {
        "GMV": reward,
        "purchases": purchases,
        "min share": float(shares.min()),
        "Gini": gini(shares),
        "Jain": jain(shares),
        "below half": float((shares < 0.5).mean()),
        "coverage": len(np.unique(shown[shown >= 0])) / len(window.reward),
        "replayed GMV": float(earned.mean()),
    }
