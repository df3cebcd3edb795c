"""What it costs not to know what shoppers buy: rankers begun cold, which learn from what they show."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from merchgraph.evals.metrics.bootstrap import estimates
from merchgraph.evals.suites.fairness_ground import Ground, Steps, played
from merchgraph.evals.suites.fairness_measures import measured, reordered
from merchgraph.evals.tables import Cell, Table
from merchgraph.tools.fairness.data import Floats, Whole
from merchgraph.tools.fairness.duals import Goal, plan_of
from merchgraph.tools.fairness.learn import Study, Traits, cold, learn
from merchgraph.tools.fairness.loop import Shown, Window

STRENGTH = 0.3
DELAY = 1_000
FREE = ("mean", "UCB", "Thompson")
"""Rankers that are measured without fairness, too."""
STUDIES: dict[str, Study | None] = {
    "known": None,
    "mean": Study("mean"),
    "UCB": Study("ucb"),
    "Thompson": Study("thompson"),
    f"UCB, answers {DELAY:,} trips late": Study("ucb", delay=DELAY),
    "UCB, drawn credit": Study("ucb", credit="drawn"),
}
ABOUT = (
    "Begun with the mean basket size, equal subsidies and no other knowledge; answers are drawn from the "
    "true chances; percent of what greedy lists earn that know them. Sellers are credited with believed "
    "outcomes but where drawn ones are said."
)


def learned(
    ground: Ground, steps: Steps, seeds: int, progress: Callable[[int, int], None]
) -> Table:
    """A row for each ranker, over orders of the trips and draws of the answers."""
    traits = Traits.of(ground.market, ground.purchase)
    kinds = [(name, 0.0, STUDIES[name]) for name in FREE]
    kinds += [(name, STRENGTH, study) for name, study in STUDIES.items()]
    rows: list[list[Cell]] = []
    with ThreadPoolExecutor(2) as pool:
        for done, (name, strength, study) in enumerate(kinds, start=1):
            goal = Goal(strength=strength, pace=steps.pace, horizon=len(ground.trips.shopper))
            found = list(pool.map(partial(_one, ground, traits, goal, study), range(seeds)))
            rows.append([f"{name}, strength {strength:g}", *estimates(np.array(found).T)])
            progress(done, len(kinds))
    columns = ["ranker", "GMV lost, %", "of the second half, %", "min share", "below half"]
    return Table(title="Learned outcomes", columns=columns, rows=rows, about=ABOUT)


def _one(
    ground: Ground, traits: Traits, goal: Goal, study: Study | None, seed: int
) -> tuple[float, float, float, float]:
    """GMV lost, of all trips and of the second half; min share; share of sellers below half."""
    order = np.random.default_rng(seed).permutation(len(ground.trips.shopper))
    trips, plan = reordered(ground.trips, order), plan_of(goal, ground.known)
    if study is None:
        shown = played(ground, plan, order)
    else:
        habits = ground.market.habits  # the tested baskets are not known yet
        belief = cold(
            float(np.average(habits.size, weights=habits.trips)), len(ground.market.items)
        )
        study = study._replace(seed=seed)
        shown = learn(ground.window, plan, trips, traits, belief, study, ground.k)
    found = measured(ground.window, ground.targets, trips, shown)
    own, most = (
        _earned(ground.window, trips.shopper, lists) for lists in (shown, ground.greedy[order])
    )
    half = len(order) // 2
    lost, late = (100 * (1 - own[at:].sum() / most[at:].sum()) for at in (0, half))
    return float(lost), float(late), found["min share"], found["below half"]


def _earned(window: Window, shoppers: Whole, shown: Shown) -> Floats:
    """(T,) expected sales of each trip's list."""
    columns = np.maximum(shown, 0)
    gain = window.chance[shoppers[:, None], columns] * window.reward[columns] * (shown >= 0)
    earned: Floats = gain.sum(axis=1).astype(np.float64)
    return earned
