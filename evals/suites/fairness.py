"""Fair to sellers, and at what price? Dual prices against greedy lists and other fair rankers.

    report = run(Params(), telling=...)      # terminal(), markdown(), html(), model_dump_json()

A trip of a known shopper is a list of ten of the whole catalogue; what it earns is its expected sales by
the purchase model, fitted before the tested weeks. A seller is a manufacturer; its target is its share of
past sales, of what greedy lists earn. Seeds draw the order of the trips (and, where outcomes are learned,
these too); the trips are the same. Steps, the largest strength that costs little and the settings of
other rankers are chosen on the four weeks before, `fairness_ground.py` and `fairness_rivals.py`. What
real baskets held of the lists is counted beside it ("replayed"); it would mostly have been bought anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.evals.metrics.bootstrap import Estimate, estimates
from merchgraph.evals.report import Report
from merchgraph.evals.results import Row
from merchgraph.evals.suites import fairness_rivals as others
from merchgraph.evals.suites import fairness_tables as tables
from merchgraph.evals.suites.fairness_ground import (
    Ground,
    Played,
    Steps,
    afford,
    begun,
    choose,
    ground_of,
    played,
)
from merchgraph.evals.suites.fairness_learned import learned
from merchgraph.evals.suites.fairness_measures import MEASURES, measured, reordered
from merchgraph.evals.tables import Table
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.shops import shop
from merchgraph.tools.data.tables import Shop
from merchgraph.tools.fairness.data import span_of
from merchgraph.tools.fairness.duals import Goal, plan_of
from merchgraph.tools.fairness.train import Config

Telling = Callable[[str], Callable[[int, int], None]]
HEADLINE = 0.3
"""Strength that the steps are chosen at, and that ablations have."""


class Params(BaseModel):
    """What is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = "complete_journey"
    weeks: Annotated[int, Field(ge=1, le=26)] = 5
    """Last weeks of the log, which are tested."""
    least_item: Annotated[int, Field(ge=1)] = 20
    """Purchases that an item needs to be offered."""
    least_seller: Annotated[int, Field(ge=1)] = 2_000
    """Purchases that a seller needs to stand alone: 2,000 makes 82 of them, 5,000 makes 32."""
    strengths: tuple[Annotated[float, Field(gt=0)], ...] = (
        0.03, 0.1, 0.2, 0.25, 0.28, 0.29, 0.3, 0.5, 1.0,
    )  # fmt: skip
    afford: Annotated[float, Field(gt=0, lt=100)] = 1.0
    """Percent of GMV that fairness may cost: the budget of one system, which begins with the largest
    strength that keeps to it on earlier weeks."""
    seeds: Annotated[int, Field(ge=1)] = 20
    learned_seeds: Annotated[int, Field(ge=0)] = 5
    """Orders in which outcomes are learned; 0 leaves that table out."""
    longest: Annotated[int, Field(ge=0)] = 100_000
    """Trips of the longest walk of the table of regret; 0 leaves it out."""


def quiet(stage: str) -> Callable[[int, int], None]:
    """Tell nobody."""
    return lambda done, total: None


def run(
    params: Params | None = None, *, store: Shop | None = None, telling: Telling = quiet
) -> Report:
    """Measure all systems.

    Args:
        params: None is `Params()`.
        store: None is the shop that the params name.
        telling: begins a stage, and gives what is told of its progress.

    Raises:
        SetupError: the log is too short.
        DataError: the catalogue names no sellers, or the log no prices.
    """
    params = params or Params()
    ground, steps, earlier = grounds(store or shop(params.data), params, telling("weeks"))
    goal = Goal(strength=HEADLINE)
    rivals = others.rivals(earlier, goal, params.afford, telling("rivals"))
    systems = systems_of(ground, steps, params, telling("forecasts"))
    systems += [
        Played(rival.name, "baseline", rival.about, partial(rival.lists, ground))
        for rival in rivals
    ]
    values = played_all(ground, systems, params, telling("orders"))
    more: list[Table] = [
        tables.bounds(ground, params.strengths, values),
        tables.validation(steps),
        others.table(rivals),
        tables.baskets(ground, systems),
    ]
    if params.longest:
        more.append(tables.regret(ground, steps, HEADLINE, params.longest, telling("regret")))
    if params.learned_seeds:
        more.append(learned(ground, steps, params.learned_seeds, telling("learned")))
    notes = [*_notes(ground, steps), others.note(rivals)]
    return _report(params, notes, systems, values, more)


def grounds(
    store: Shop, params: Params, progress: Callable[[int, int], None]
) -> tuple[Ground, Steps, Ground]:
    """The tested ground, what the weeks before it chose, and the ground of these weeks.

    Raises:
        SetupError: the log is too short.
        DataError: the catalogue names no sellers, or the log no prices.
    """
    config = Config(least_item=params.least_item, least_seller=params.least_seller)
    begin = _begin(store, params, config)
    tested = ground_of(store, config, begin)
    progress(1, 4)
    earlier = begin - timedelta(weeks=config.weeks)
    validation = ground_of(store, config, earlier, begin, tested.market.sellers)
    progress(2, 4)
    steps = choose(validation, Goal(strength=HEADLINE))
    progress(3, 4)
    steps = afford(validation, steps, params.strengths, params.afford)
    progress(4, 4)
    return tested, steps, validation


def _begin(store: Shop, params: Params, config: Config) -> datetime:
    """The Monday on which the tested weeks begin."""
    first, last = span_of(store)
    monday = datetime(last.year, last.month, last.day) - timedelta(days=last.weekday())
    begin = monday - timedelta(weeks=params.weeks - 1)
    if begin - 2 * timedelta(weeks=config.weeks) <= first:
        raise SetupError(
            f"The log of {store.name} begins on {first:%Y-%m-%d}, too late for {params.weeks} tested "
            f"weeks from {begin:%Y-%m-%d} on and {2 * config.weeks} before them that steps and chances "
            "are fitted on; test fewer (--set weeks=...), or give a longer log."
        )
    return begin


def systems_of(
    ground: Ground, steps: Steps, params: Params, progress: Callable[[int, int], None]
) -> list[Played]:
    """Greedy, dual prices by goal and strength, and their ablations."""
    goals = [Goal(strength=strength) for strength in params.strengths]
    goals += [Goal(fair="shortfall", strength=0.5), Goal(fair="even_shortfall", strength=0.5)]
    goals += [Goal(fair="proportional", strength=0.3)]
    begin = steps.strength or min(params.strengths, default=HEADLINE)
    goals += [Goal(strength=begin, budget=params.afford / 100)]
    found = [Played("greedy", "baseline", "most expected sales", lambda order: ground.greedy[order],
                    ordered=False)]  # fmt: skip
    for done, goal in enumerate(goals, start=1):
        found.append(_dual(ground, steps, goal))
        progress(done, len(goals))
    return [*found, *_ablations(ground, steps)]


def _dual(ground: Ground, steps: Steps, goal: Goal) -> Played:
    name, about = (
        f"{goal.fair.replace('_', '-')} {goal.strength:g}",
        "dual prices, begun on the forecast",
    )
    if goal.budget:
        name = f"{goal.fair.replace('_', '-')} for {100 * goal.budget:g} %"
        about = f"its strength follows a budget, from {goal.strength:g} on"
    return Played(name, "method", about, partial(played, ground, begun(ground, steps, goal)))


def _ablations(ground: Ground, steps: Steps) -> list[Played]:
    goal = Goal(strength=HEADLINE, pace=steps.pace, horizon=len(ground.trips.shopper))
    cold, base = plan_of(goal, ground.known), HEADLINE / np.sqrt(goal.horizon)
    found = [Played(f"max-min {HEADLINE:g}, no forecast", "ablation", "begun with equal subsidies",
                    partial(played, ground, cold))]  # fmt: skip
    for size in dict.fromkeys((1.0, steps.size)):
        name = f"max-min {HEADLINE:g}, gradient {size:g}"
        about = "projected gradient steps of that constant, no forecast"
        found.append(
            Played(name, "ablation", about, partial(played, ground, cold, size=size * base))
        )
    return found


def played_all(
    ground: Ground, systems: list[Played], params: Params, progress: Callable[[int, int], None]
) -> dict[str, list[dict[str, float]]]:
    """System to the measures of each seed; two threads, since the loops hold no lock."""
    n, done = len(ground.trips.shopper), 0

    def one(system: Played, seed: int) -> dict[str, float]:
        order = np.random.default_rng(seed).permutation(n)
        return measured(
            ground.window, ground.targets, reordered(ground.trips, order), system.lists(order)
        )

    values: dict[str, list[dict[str, float]]] = {}
    with ThreadPoolExecutor(2) as pool:
        for system in systems:
            seeds = range(params.seeds if system.ordered else 1)
            found = list(pool.map(partial(one, system), seeds))
            values[system.name] = found * (1 if system.ordered else params.seeds)
            done += 1
            progress(done, len(systems))
    return values


def _report(
    params: Params, notes: list[str], systems: list[Played],
    values: dict[str, list[dict[str, float]]], more: list[Table],
) -> Report:  # fmt: skip
    """Rows over seeds; differences are paired by seed."""
    columns = {
        name: np.array([[v[m] for v in seeds] for m in MEASURES]) for name, seeds in values.items()
    }
    rows = [
        Row(
            system=system.name, kind=system.kind, about=system.about,
            metrics=_named(columns[system.name]),
            difference={} if system.name == "greedy"
            else _named(columns[system.name] - columns["greedy"]),
            calls=0, prompt_tokens=0, completion_tokens=0, seconds=0, errors={},
        )
        for system in systems
    ]  # fmt: skip
    return Report(
        suite="fairness", params=params.model_dump(mode="json"), reference="greedy", n=params.seeds,
        metrics=list(MEASURES), rows=rows, comparisons=[], segments=[], notes=notes,
        tables=[tables.prices(rows), *more],
    )  # fmt: skip


def _notes(ground: Ground, steps: Steps) -> list[str]:
    chosen = f"max-min {steps.strength:g}" if steps.strength else "greedy"
    return [
        f"{len(ground.trips.shopper):,} trips, {len(ground.market.items):,} items, "
        f"{len(ground.targets)} sellers; n is orders of the trips, drawn by seeds, so that the intervals "
        "say how much the order matters, and not how shoppers vary.",
        "GMV is expected sales a trip; a share is a seller's outcome over its target.",
        f"The strength that the weeks before chose is that of {chosen}.",
    ]


def _named(columns: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> dict[str, Estimate]:
    found = estimates(columns)
    return {name: value for name, value in zip(MEASURES, found, strict=True) if value is not None}
