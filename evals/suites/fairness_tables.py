"""The fairness suite's own tables: prices, the bound, validation, real baskets, regret, learning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from merchgraph.evals.metrics.bootstrap import Estimate, estimates
from merchgraph.evals.results import Row
from merchgraph.evals.suites.fairness_ground import Ground, Played, Steps, played
from merchgraph.evals.suites.fairness_measures import measured, reordered, replayed
from merchgraph.evals.tables import Cell, Table
from merchgraph.tools.fairness.duals import Goal, plan_of
from merchgraph.tools.fairness.learn import Study, Traits, cold, learn
from merchgraph.tools.fairness.loop import serve

PRICES = "What fairness costs"
PRICE_COLUMNS = ["system", "GMV lost, %", "purchases lost, %", "min share", "below half"]
WALKS = (1_000, 3_000, 10_000, 30_000, 100_000)
WALKERS = 3
"""Walks of each length."""
DELAY = 1_000


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
    rows: list[list[Cell]] = [[name, 100 * (value / best - 1)] for name, value in steps.tried]
    about = (
        "Objective on the four weeks before the tested ones, in percent below the best. Chosen: pace "
        f"{steps.pace:g}, keep {steps.keep:g} of the forecast; gradient {steps.size:g}."
    )
    return Table(
        title="Steps, chosen on validation",
        columns=["steps", "objective, %"],
        rows=rows,
        about=about,
    )


def baskets(ground: Ground, systems: Sequence[Played]) -> Table:
    """What the real baskets held of the lists, in the real order; intervals are over trips."""
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
    found = estimates(np.array(columns))
    rows: list[list[Cell]] = [
        [system.name, found[2 * n], found[2 * n + 1], hits[n], shares[n]]
        for n, system in enumerate(systems)
    ]
    names = ["system", "replayed GMV", "minus greedy, %", "purchases", "min share"]
    about = ("Items of a list that were in the trip's real basket, in the real order of trips; paired "
             "bootstrap over trips. No causal effect: most would have been bought anyway.")  # fmt: skip
    return Table(title="On the real baskets", columns=names, rows=rows, about=about)


def regret(
    ground: Ground,
    steps: Steps,
    strength: float,
    longest: int,
    progress: Callable[[int, int], None],
) -> Table:
    """How the distance to the optimum grows with the number of trips, which are drawn from the window."""
    best = ground.optimum(Goal(strength=strength)).bound
    lengths = [length for length in WALKS if length <= longest]
    rows: list[list[Cell]] = []
    for done, length in enumerate(lengths, start=1):
        goal = Goal(strength=strength, pace=steps.pace, horizon=length)
        plan, lost = plan_of(goal, ground.known), []
        for seed in range(WALKERS):
            drawn = np.random.default_rng(seed).choice(ground.trips.shopper, length)
            shown, _ = serve(ground.window, plan, drawn, ground.k)
            trips = ground.trips._replace(shopper=drawn)
            lost.append(best - ground.objective(goal, trips, shown))
        mean = float(np.mean(lost))
        rows.append([f"{length:,}", 100 * mean / best, f"{mean * length:,.1f}",
                     float(mean * np.sqrt(length))])  # fmt: skip
        progress(done, len(lengths))
    about = (
        f"Max-min {strength:g} without a forecast on trips drawn with repetition; mean of {WALKERS} "
        "walks. Regret is T * (bound - objective); it is O(sqrt T) where the last column stays."
    )
    columns = ["trips T", "a trip, %", "regret, GMV", "regret / sqrt T"]
    return Table(title="Regret", columns=columns, rows=rows, about=about)


def learned(
    ground: Ground, steps: Steps, seeds: int, progress: Callable[[int, int], None]
) -> Table:
    """What it costs not to know what shoppers buy: begun cold, learned from what was shown."""
    from concurrent.futures import ThreadPoolExecutor

    traits = Traits.of(ground.market, ground.purchase)
    basket = float(np.diff(ground.trips.starts).mean())
    belief, rows = cold(round(basket), len(ground.market.items)), list[list[Cell]]()
    kinds = [(name, strength, study) for strength in (0.0, 0.3) for name, study in STUDIES.items()
             if strength or name in ("mean", "UCB", "Thompson")]  # fmt: skip

    def one(strength: float, study: Study | None, seed: int) -> list[float]:
        order = np.random.default_rng(seed).permutation(len(ground.trips.shopper))
        trips = reordered(ground.trips, order)
        goal = Goal(strength=strength, pace=steps.pace, horizon=len(order))
        plan = plan_of(goal, ground.known)
        shown = played(ground, plan, order)
        if study is not None:
            shown, _ = learn(
                ground.window, plan, trips, traits, belief, study._replace(seed=seed), ground.k
            )
        found, half = measured(ground.window, ground.targets, trips, shown), len(order) // 2
        late = trips.shopper[half:], shown[half:]
        free = ground.greedy[order][half:]
        gain = ground.window.chance[late[0][:, None], late[1]] * ground.window.reward[late[1]]
        most = ground.window.chance[late[0][:, None], free] * ground.window.reward[free]
        greedy = measured(ground.window, ground.targets, ground.trips, ground.greedy)["GMV"]
        return [100 * (1 - found["GMV"] / greedy), float(100 * (1 - gain.sum() / most.sum())),
                found["min share"], found["below half"]]  # fmt: skip

    with ThreadPoolExecutor(2) as pool:
        for done, (name, strength, study) in enumerate(kinds, start=1):
            table = list(
                pool.map(lambda seed, s=strength, how=study: one(s, how, seed), range(seeds))
            )  # type: ignore[misc]
            rows.append([f"{name}, strength {strength:g}", *estimates(np.array(table).T)])
            progress(done, len(kinds))
    about = (
        "Begun with the mean basket size and no other knowledge; answers are drawn from the true "
        "chances; percent of what greedy lists earn that know them. Credit is estimated but where said."
    )
    columns = ["ranker", "GMV lost, %", "of the second half, %", "min share", "below half"]
    return Table(title="Learned outcomes", columns=columns, rows=rows, about=about)


STUDIES: dict[str, Study | None] = {
    "known": None,
    "mean": Study("mean"),
    "UCB": Study("ucb", width=0.3),
    "Thompson": Study("thompson"),
    f"UCB, answers {DELAY:,} trips late": Study("ucb", delay=DELAY, width=0.3),
    "UCB, drawn credit": Study("ucb", width=0.3, credit="drawn"),
}
