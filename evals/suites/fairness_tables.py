"""The fairness suite's own tables: prices, the bound, validation, real baskets, regret, learning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from merchgraph.evals.metrics.bootstrap import Estimate, estimates
from merchgraph.evals.metrics.clusters import clustered
from merchgraph.evals.results import Row
from merchgraph.evals.suites.fairness_ground import Ground, Played, Steps
from merchgraph.evals.suites.fairness_measures import replayed
from merchgraph.evals.tables import Cell, Table
from merchgraph.tools.fairness.bound import dual
from merchgraph.tools.fairness.duals import Goal, plan_of
from merchgraph.tools.fairness.loop import serve

PRICES = "What fairness costs"
PRICE_COLUMNS = ["system", "GMV lost, %", "purchases lost, %", "min share", "below half"]
WALKS = (1_000, 3_000, 10_000, 30_000, 100_000)
WALKERS = 3
"""Walks of each length."""


def prices(rows: Sequence[Row]) -> Table:
    """Means over seeds, in percent of what greedy lists earn."""
    greedy = rows[0].metrics

    def lost(row: Row, metric: str) -> Estimate:
        whole, found = greedy[metric].mean, row.metrics[metric]
        ends = [100 * (1 - value / whole) + 0.0 for value in (found.mean, found.high, found.low)]
        return Estimate(mean=ends[0], low=ends[1], high=ends[2], n=found.n)

    made: list[list[Cell]] = [
        [row.system, lost(row, "GMV"), lost(row, "purchases"), row.metrics["min share"],
         row.metrics["below half"]]
        for row in rows
    ]  # fmt: skip
    about = "Against greedy lists, expected, over orders of the trips; below 0 is a gain."
    return Table(title=PRICES, columns=PRICE_COLUMNS, rows=made, about=about)


def bounds(
    ground: Ground, strengths: Sequence[float], values: Mapping[str, list[dict[str, float]]]
) -> Table:
    """The fluid optimum, and how far one pass over the trips stays below it."""
    rows: list[list[Cell]] = []
    for strength in strengths:
        best = ground.optimum(Goal(strength=strength))
        own: list[Cell] = []
        for name in (f"max-min {strength:g}", f"max-min {strength:g}, no forecast"):
            seeds = values.get(name, [])
            gaps = [100 * (1 - (v["GMV"] + strength * v["min share"]) / best.bound) for v in seeds]
            own.append(estimates([gaps])[0] if gaps else None)
        shares = best.outcomes / ground.targets
        rows.append([f"max-min {strength:g}", f"{best.objective:.4f}", f"{best.bound:.4f}",
                     f"{best.reward:.4f}", float(shares.min()), *own])  # fmt: skip
    columns = ["goal", "optimum", "bound", "its GMV", "its min share", "gap, %", "no forecast, %"]
    about = ("Objective = GMV + strength * min share a trip. The optimum is a linear program over all "
             "trips, known beforehand; nothing can exceed the bound. Gap: of one pass, mean over "
             "orders.")  # fmt: skip
    return Table(title="Against the fluid optimum", columns=columns, rows=rows, about=about)


def validation(steps: Steps) -> Table:
    """What was tried on the weeks before, and what was chosen."""
    best = max(value for _, value in steps.tried)
    rows: list[list[Cell]] = [[name, 100 * (value / best - 1), None] for name, value in steps.tried]
    rows += [[f"max-min {strength:g}", None, loss] for strength, loss in steps.losses]
    about = (
        "On the four weeks before the tested ones: the objective, in percent below the best, and the GMV "
        f"that a strength loses. Chosen: pace {steps.pace:g}, keep {steps.keep:g} of the forecast; "
        f"gradient {steps.size:g}; strength {steps.strength:g}."
    )
    return Table(
        title="Steps, chosen on validation",
        columns=["steps", "objective, %", "GMV lost, %"],
        rows=rows,
        about=about,
    )


def baskets(ground: Ground, systems: Sequence[Played]) -> Table:
    """What the real baskets held of the lists, in the real order; intervals are over shoppers."""
    order = np.arange(len(ground.trips.shopper))
    base, _ = replayed(ground.window, ground.trips, ground.greedy)
    columns, hits, shares = [], [], []
    for system in systems:
        shown = system.lists(order)
        earned, hit = replayed(ground.window, ground.trips, shown)
        columns += [earned, 100 * (earned - base) / base.mean()]
        hits.append(float(hit.sum(axis=1).mean()))
        got = np.bincount(ground.window.seller[shown[hit]], ground.window.reward[shown[hit]],
                          len(ground.targets)) / len(shown)  # fmt: skip
        shares.append(float((got / ground.targets).min()))
    found = clustered(np.array(columns), ground.trips.shopper.tolist())
    rows: list[list[Cell]] = [
        [system.name, found[2 * n], found[2 * n + 1], hits[n], shares[n]]
        for n, system in enumerate(systems)
    ]
    names = ["system", "replayed GMV", "minus greedy, %", "purchases", "min share"]
    about = ("Items of a list that were in the trip's real basket, in the real order of trips; paired "
             "bootstrap over shoppers. No causal effect: most would be bought anyway.")  # fmt: skip
    return Table(title="On the real baskets", columns=names, rows=rows, about=about)


def regret(
    ground: Ground,
    steps: Steps,
    strength: float,
    longest: int,
    progress: Callable[[int, int], None],
) -> Table:
    """How the distance to the optimum grows with the number of trips, which are drawn from the window."""
    best = ground.optimum(Goal(strength=strength)).subsidies
    yardstick = plan_of(Goal(strength=strength), ground.targets)
    lengths = [length for length in WALKS if length <= longest]
    rows: list[list[Cell]] = []
    for done, length in enumerate(lengths, start=1):
        goal = Goal(strength=strength, pace=steps.pace, horizon=length)
        plan = plan_of(goal, ground.known)
        lost, bounds = list[float](), list[float]()
        for seed in range(WALKERS):
            drawn = np.random.default_rng(seed).choice(ground.trips.shopper, length)
            shown, _ = serve(ground.window, plan, drawn, ground.k)
            trips = ground.trips._replace(shopper=drawn)
            shoppers, counts = np.unique(drawn, return_counts=True)
            bound, _, _ = dual(ground.window, yardstick, best, shoppers, counts / length, ground.k)
            bounds.append(bound)
            lost.append(bound - ground.objective(goal, trips, shown))
        mean = float(np.mean(lost))
        rows.append([f"{length:,}", 100 * mean / float(np.mean(bounds)), f"{mean * length:,.1f}",
                     float(mean * np.sqrt(length))])  # fmt: skip
        progress(done, len(lengths))
    about = (
        f"Max-min {strength:g} without a forecast on trips drawn with repetition; mean of {WALKERS} "
        "walks. Regret is T * (bound - objective), the bound a dual value on the same trips; it is "
        "O(sqrt T) where the last column stays."
    )
    columns = ["trips T", "a trip, %", "regret, GMV", "regret / sqrt T"]
    return Table(title="Regret", columns=columns, rows=rows, about=about)
