"""Windows without a shop: chances and prices drawn by a seed."""

from __future__ import annotations

import numpy as np

from merchgraph.tools.fairness.bound import outcomes_of
from merchgraph.tools.fairness.data import Floats, Whole
from merchgraph.tools.fairness.duals import Goal, plan_of
from merchgraph.tools.fairness.loop import Window, shown_at

K = 5


def toy_window(items: int = 50, sellers: int = 6, shoppers: int = 30, seed: int = 0) -> Window:
    """Sellers of equal numbers of items; the first ones have the likelier items."""
    rng = np.random.default_rng(seed)
    seller = np.arange(items) % sellers
    chance = rng.beta(1, 8 + 4 * seller, size=(shoppers, items)).astype(np.float32)
    prices = rng.uniform(1, 4, items).astype(np.float32)
    return Window(chance, prices, prices, seller)


def trips_of_toy(window: Window, trips: int, seed: int = 1) -> Whole:
    return np.random.default_rng(seed).integers(len(window.chance), size=trips)


def even(trips: Whole) -> Floats:
    return np.full(len(trips), 1 / len(trips))


def equal_targets(window: Window, trips: Whole) -> Floats:
    """Equal shares of what greedy lists earn."""
    sellers = int(window.seller.max()) + 1
    free = plan_of(Goal(strength=0), np.ones(sellers))
    shown = shown_at(window, free, np.zeros(sellers), trips, K)
    _, reward = outcomes_of(window, trips, shown, sellers, even(trips))
    return np.full(sellers, reward / sellers)
