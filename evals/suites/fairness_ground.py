"""What the fairness suite plays on: the trips of a window, what was known before, what is chosen there.

    ground = ground_of(store, config, begin, end)      # the model, targets and forecast end at `begin`
    steps = choose(validation, Goal(strength=0.3))     # on an earlier ground, never on the tested one
    steps = afford(validation, steps, (0.1, 0.2), 1.0) # and the largest strength that loses 1 % of GMV

The yardstick of a window is a seller's share of the sales before it, of what greedy lists earn in it; the
rankers know only the targets of the forecast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import product
from typing import Literal, NamedTuple

import numpy as np

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.tables import Shop
from merchgraph.tools.fairness.bound import Fluid, fluid, outcomes_of
from merchgraph.tools.fairness.data import Floats, Market, Trips, Whole, trips_of
from merchgraph.tools.fairness.duals import Goal, Plan, fairness, plan_of
from merchgraph.tools.fairness.loop import Shown, Window, serve, shown_at
from merchgraph.tools.fairness.model import Purchase, probabilities
from merchgraph.tools.fairness.train import Config, start_of

PACES = (0.25, 0.5, 1.0, 2.0)
KEEPS = (0.0, 0.5, 0.9)
SIZES = (1.0, 0.3, 0.1, 0.03, 0.01)
"""Steps that are tried on the validation window; sizes are times strength / sqrt(trips)."""
ORDERS = 3
"""Orders of the validation trips that a step is judged on."""


class Ground(NamedTuple):
    """A window of trips.

    Attributes:
        window: true chances of all shoppers, prices, sellers.
        trips: in the order of time.
        market: at the window's begin.
        purchase: the model that the chances come from.
        targets: (S,) the yardstick.
        known: (S,) the targets that rankers know, from the forecast.
        before: (U,) shoppers of the weeks before, and how often they came; the forecast.
        greedy: (T, K) lists without any fairness.
    """

    window: Window
    trips: Trips
    market: Market
    purchase: Purchase
    targets: Floats
    known: Floats
    before: tuple[Whole, Floats]
    greedy: Shown

    @property
    def k(self) -> int:
        """Places of a list."""
        return int(self.greedy.shape[1])

    def forecast(self, goal: Goal) -> Floats:
        """(S,) the best subsidies if the shoppers of the weeks before came again."""
        if goal.strength == 0:
            return np.zeros(len(self.known))
        return fluid(self.window, plan_of(goal, self.known), *self.before, self.k).subsidies

    def optimum(self, goal: Goal) -> Fluid:
        """The fluid optimum of the window's own trips, by the yardstick."""
        shoppers, counts = np.unique(self.trips.shopper, return_counts=True)
        plan = plan_of(goal, self.targets)
        return fluid(self.window, plan, shoppers, counts.astype(np.float64), self.k)

    def objective(self, goal: Goal, trips: Trips, shown: Shown) -> float:
        """Reward + strength * R a trip, by the yardstick."""
        weights = np.full(len(shown), 1 / len(shown))
        outcomes, reward = outcomes_of(
            self.window, trips.shopper, shown, len(self.targets), weights
        )
        return reward + goal.strength * fairness(plan_of(goal, self.targets), outcomes)


Lists = Callable[[Whole], Shown]
"""The lists of the trips in an order."""


class Played(NamedTuple):
    """A system: its name, kind, what it is, its lists, and whether the order of trips plays a part."""

    name: str
    kind: Literal["baseline", "ablation", "method"]
    about: str
    lists: Lists
    ordered: bool = True


class Steps(NamedTuple):
    """What a validation window says.

    Attributes:
        pace, keep: of `leader`: its pace, and how much of a forecast to keep.
        size: of gradient steps, times strength / sqrt(trips).
        tried: the objective of each.
        strength: the largest that costs little enough; 0 where none does.
        losses: percent of GMV that each strength loses.
    """

    pace: float
    keep: float
    size: float
    tried: Sequence[tuple[str, float]]
    strength: float = 0.0
    losses: Sequence[tuple[float, float]] = ()


def ground_of(
    store: Shop,
    config: Config,
    begin: datetime,
    end: datetime | None = None,
    sellers: tuple[str, ...] | None = None,
) -> Ground:
    """The ground of [begin, end); the model and the forecast know nothing of it.

    Raises:
        SetupError: nobody known came in the window.
    """
    unpriced = config.model_copy(update={"goal": Goal(strength=0)})
    started = start_of(store, unpriced, before=begin, sellers=sellers)
    market = started.market
    trips = trips_of(store, market, begin, end)
    if not len(trips.shopper):
        raise SetupError(
            f"No known shopper came to {store.name} after {begin:%Y-%m-%d}; test more weeks (--set "
            "weeks=...), or give a longer log."
        )
    everyone = np.arange(len(market.habits.shoppers))
    prices = market.prices.astype(np.float32)
    chance = probabilities(started.purchase, market, everyone)
    window = Window(chance, prices, prices, market.seller)
    count = len(market.sellers)
    free = plan_of(Goal(strength=0), np.ones(count))
    greedy = shown_at(window, free, np.zeros(count), trips.shopper, config.places)
    weights = np.full(len(greedy), 1 / len(greedy))
    _, reward = outcomes_of(window, trips.shopper, greedy, count, weights)
    lately = trips_of(store, market, begin - timedelta(weeks=config.weeks), begin)
    shoppers, counts = np.unique(lately.shopper, return_counts=True)
    return Ground(
        window=window,
        trips=trips,
        market=market,
        purchase=started.purchase,
        targets=np.maximum(market.shares, 1e-9) * reward,
        known=started.targets,
        before=(shoppers, counts.astype(np.float64)),
        greedy=greedy,
    )


def played(ground: Ground, plan: Plan, order: Whole, size: float = 0.0) -> Shown:
    """The lists of the trips in an order, with known chances."""
    return serve(ground.window, plan, ground.trips.shopper[order], ground.k, size=size)[0]


def choose(ground: Ground, goal: Goal, paces: tuple[float, ...] = PACES) -> Steps:
    """The steps with the best objective on a validation window, over a few orders of its trips."""
    start, tried = ground.forecast(goal), list[tuple[str, float]]()
    horizon = len(ground.trips.shopper)
    best = {}
    for pace, keep in product(paces, KEEPS):
        asked = goal.model_copy(update={"pace": pace, "horizon": horizon})
        plan = plan_of(asked, ground.known, start, keep=keep)
        best[pace, keep] = _judged(ground, goal, plan)
        tried.append((f"pace {pace:g}, keep {keep:g}", best[pace, keep]))
    steps, base = {}, goal.strength / np.sqrt(horizon)
    for size in SIZES:
        steps[size] = _judged(ground, goal, plan_of(goal, ground.known), size * base)
        tried.append((f"gradient {size:g}", steps[size]))
    pace, keep = max(best, key=lambda pair: best[pair])
    return Steps(pace, keep, max(steps, key=lambda size: steps[size]), tried)


def afford(ground: Ground, steps: Steps, strengths: Sequence[float], most: float) -> Steps:
    """The same steps, with the largest strength of max-min that loses at most so much on validation.

    Args:
        ground: the validation window.
        steps: as `choose` found them.
        strengths: that are tried.
        most: percent of what greedy lists earn.
    """
    free, losses = Goal(strength=0), list[tuple[float, float]]()
    whole = ground.objective(free, ground.trips, ground.greedy)
    for strength in strengths:
        plan = begun(ground, steps, Goal(strength=strength))
        losses.append((strength, 100 * (1 - _judged(ground, free, plan) / whole)))
    cheap = [strength for strength, loss in losses if loss <= most]
    return steps._replace(strength=max(cheap, default=0.0), losses=losses)


def begun(ground: Ground, steps: Steps, goal: Goal) -> Plan:
    """The plan of a goal with the chosen steps, begun on the ground's forecast."""
    asked = goal.model_copy(update={"pace": steps.pace, "horizon": len(ground.trips.shopper)})
    return plan_of(asked, ground.known, ground.forecast(goal), keep=steps.keep)


def _judged(ground: Ground, goal: Goal, plan: Plan, size: float = 0.0) -> float:
    """The objective of one pass, mean over the same few orders of the trips."""
    rng, found = np.random.default_rng(0), list[float]()
    for _ in range(ORDERS):
        order = rng.permutation(len(ground.trips.shopper))
        trips = ground.trips._replace(shopper=ground.trips.shopper[order])
        found.append(ground.objective(goal, trips, played(ground, plan, order, size)))
    return float(np.mean(found))
