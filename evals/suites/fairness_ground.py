"""What the fairness suite plays on: the trips of a window, what was known before, what is chosen there.

    ground = ground_of(store, config, begin, end)      # the model, targets and forecast end at `begin`
    pace, keep, size = choose(validation)              # on an earlier ground, never on the tested one

The yardstick of a window is a seller's share of the sales before it, of what greedy lists earn in it; the
rankers know only the targets of the forecast.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product
from typing import NamedTuple

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
    kind: str
    about: str
    lists: Lists
    ordered: bool = True


class Steps(NamedTuple):
    """What a validation window says.

    Attributes:
        pace, keep: of `leader`: its pace, and how much of a forecast to keep.
        size: of gradient steps, times strength / sqrt(trips).
        tried: the objective of each.
    """

    pace: float
    keep: float
    size: float
    tried: list[tuple[str, float]]


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
        raise SetupError(f"No known shopper came to {store.name} after {begin:%Y-%m-%d}.")
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
    start, tried = ground.forecast(goal), []
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(ground.trips.shopper)) for _ in range(ORDERS)]

    def judged(plan: Plan, size: float = 0.0) -> float:
        lists = [played(ground, plan, order, size) for order in orders]
        trips = [ground.trips._replace(shopper=ground.trips.shopper[order]) for order in orders]
        return float(
            np.mean([ground.objective(goal, *pair) for pair in zip(trips, lists, strict=True)])
        )

    horizon = len(ground.trips.shopper)
    best = {}
    for pace, keep in product(paces, KEEPS):
        asked = goal.model_copy(update={"pace": pace, "horizon": horizon})
        best[pace, keep] = judged(plan_of(asked, ground.known, start, keep=keep))
        tried.append((f"pace {pace:g}, keep {keep:g}", best[pace, keep]))
    steps, base = {}, goal.strength / np.sqrt(horizon)
    for size in SIZES:
        steps[size] = judged(plan_of(goal, ground.known), size * base)
        tried.append((f"gradient {size:g}", steps[size]))
    pace, keep = max(best, key=lambda pair: best[pair])
    return Steps(pace, keep, max(steps, key=lambda size: steps[size]), tried)
