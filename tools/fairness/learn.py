"""Trips served by a ranker that does not know what shoppers buy, and learns it from what it shows.

    belief = cold(9.5, len(market.items))
    shown = learn(window, plan, trips, Traits.of(market, scale), belief, Study("ucb"))

A Bayesian logistic regression over the features of `model.py`. An answer moves it along one direction,
that of its features: to the mode of what is then believed of the logit, with the curvature there. (The
extended Kalman filter, which takes the curvature before the answer, leaps away where purchases are rare.)
A list is made with the upper end of the chance (ucb: sigmoid of logit + width * its standard deviation),
with a draw of the weights (thompson), or with the mean alone (mean). Answers, and with them what sellers
are credited, come `delay` trips late. Sizes: T trips, K places, I items, H shoppers, F features,
S sellers, N own items.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

import numpy as np
from numba import njit

from merchgraph.tools.fairness.data import Floats, Market, Singles, Trips, Whole
from merchgraph.tools.fairness.duals import Plan
from merchgraph.tools.fairness.loop import Shown, Window, _leader, _worth, top
from merchgraph.tools.fairness.model import FLOOR, F, Purchase

EXPLORE = {"mean": 0, "ucb": 1, "thompson": 2}
HALVINGS = 40


class Traits(NamedTuple):
    """The features of `model.py`, scaled, in parts that are joined where a list is made.

    Attributes:
        item: (I, 2); kind: (H, G); maker: (H, M); shopper: (H, 2); all float32.
        own: (N, 4) float32 — of a shopper's own items; none: (4,) float32 — of any other.
        starts, columns: as in `Habits`; kind_of, maker_of: (I,) int64.
    """

    item: Singles
    kind: Singles
    maker: Singles
    shopper: Singles
    own: Singles
    none: Singles
    starts: Whole
    columns: Whole
    kind_of: Whole
    maker_of: Whole

    @classmethod
    def of(cls, market: Market, scale: Purchase) -> Self:
        """The traits of a market, scaled as a purchase model scales them."""
        habits = market.habits
        shoppers = np.repeat(np.arange(len(habits.trips)), np.diff(habits.starts))
        own = np.stack(
            [
                np.log1p(habits.counts),
                np.log(habits.counts / habits.trips[shoppers] + FLOOR),
                np.log1p(habits.decayed),
                np.ones(len(habits.counts)),
            ],
            axis=1,
        )
        at = [2, 3, 4, 9]

        def scaled(values: Floats | Singles, places: list[int]) -> Singles:
            made = (values - scale.centre[places]) / scale.spread[places]
            return np.ascontiguousarray(made, np.float32)

        return cls(
            item=scaled(market.popularity, [0, 1]),
            kind=scaled(np.log(habits.kinds + FLOOR), [5]),
            maker=scaled(np.log(habits.makers + FLOOR), [6]),
            shopper=scaled(np.log(np.stack([habits.trips, habits.size], axis=1)), [7, 8]),
            own=scaled(own, at),
            none=scaled(np.array([0.0, np.log(FLOOR), 0.0, 0.0]), at),
            starts=habits.starts,
            columns=habits.own,
            kind_of=market.kind,
            maker_of=market.maker,
        )


class Belief(NamedTuple):
    """Weights of the scaled features, the intercept first: mean (F + 1,), covariance (F + 1, F + 1)."""

    mean: Floats
    covariance: Floats


class Study(NamedTuple):
    """How a ranker learns.

    Attributes:
        explore: what it makes its lists with.
        delay: trips that go by before an answer comes.
        seed: of draws and answers.
        width: standard deviations of the logit that the upper end lies above the mean.
        credit: what a seller gets for a shown item: its expected outcome as believed when the answer
            comes, or the drawn one, a thousand times its target where the target is small.
    """

    explore: Literal["mean", "ucb", "thompson"] = "ucb"
    delay: int = 0
    seed: int = 0
    width: float = 0.3
    credit: Literal["estimated", "drawn"] = "estimated"


def cold(items: float, catalogue: int) -> Belief:
    """A belief that knows how many items a trip has, of how many, and nothing else.

    Args:
        items: of a mean trip.
        catalogue: items on offer.
    """
    mean = np.zeros(F + 1)
    mean[0] = np.log(items / catalogue)
    return Belief(mean, np.eye(F + 1))


def learn(
    window: Window, plan: Plan, trips: Trips, traits: Traits, belief: Belief, study: Study,
    k: int = 10,
) -> Shown:  # fmt: skip
    """The lists of all trips, (T, K) int32; see the module.

    Args:
        window: rewards, units and sellers; its chances are the truth that answers are drawn from, and are
            read for nothing else.
        plan: of the goal.
        trips: in their order.
        traits: of the market.
        belief: before the first trip; each answer that comes moves it, in place.
        study: how to learn.
        k: places of a list.
    """
    shown = np.empty((len(trips.shopper), k), np.int32)
    drawn = study.credit == "drawn"
    how = EXPLORE[study.explore], study.delay, study.seed, study.width, drawn
    _learn(window, plan, trips, traits, belief, how, shown)
    return shown


@njit(nogil=True)
def _row(traits, shopper, j, x):  # type: ignore[no-untyped-def]
    """The features of a shopper and an item, x: (F + 1,)."""
    start, end = traits.starts[shopper], traits.starts[shopper + 1]
    place = start + np.searchsorted(traits.columns[start:end], j)
    own = traits.none
    if place < end and traits.columns[place] == j:
        own = traits.own[place]
    x[0] = 1.0
    x[1:3] = traits.item[j]
    x[3:6] = own[:3]
    x[6] = traits.kind[shopper, traits.kind_of[j]]
    x[7] = traits.maker[shopper, traits.maker_of[j]]
    x[8:10] = traits.shopper[shopper]
    x[10] = own[3]


@njit(nogil=True, fastmath={"contract", "nsz", "reassoc"})
def _chances(traits, shopper, theta, factor, width, chance):  # type: ignore[no-untyped-def]
    """sigmoid(theta . x + width * |factor' x|) of all items into `chance` (I,).

    factor: (F + 1, F + 1) with factor @ factor' the covariance; read where width is above 0.
    """
    size = len(theta)
    x, start = np.empty(size, np.float32), traits.starts[shopper]
    end = traits.starts[shopper + 1]
    for j in range(len(chance)):
        own = traits.none
        if start < end and traits.columns[start] == j:
            own = traits.own[start]
            start += 1
        x[0], x[1], x[2] = 1.0, traits.item[j, 0], traits.item[j, 1]
        x[3], x[4], x[5], x[10] = own[0], own[1], own[2], own[3]
        x[6] = traits.kind[shopper, traits.kind_of[j]]
        x[7] = traits.maker[shopper, traits.maker_of[j]]
        x[8], x[9] = traits.shopper[shopper, 0], traits.shopper[shopper, 1]
        logit = np.float32(0)
        for f in range(size):
            logit += theta[f] * x[f]
        if width > 0:
            square = np.float32(0)
            for column in range(size):
                part = np.float32(0)
                for f in range(column, size):
                    part += factor[f, column] * x[f]
                square += part * part
            logit += width * np.sqrt(square)
        chance[j] = 1 / (1 + np.exp(-logit))


@njit(nogil=True)
def _update(belief, x, answer):  # type: ignore[no-untyped-def]
    """One answer: the logit to its mode, m = before + variance * (answer - sigmoid(m)), by halving."""
    before, spread = belief.mean @ x, belief.covariance @ x
    variance = x @ spread
    low, high = before - variance * (1 - answer), before + variance * answer
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if middle - before < variance * (answer - 1 / (1 + np.exp(-middle))):
            low = middle
        else:
            high = middle
    p = 1 / (1 + np.exp(-high))
    weight = p * (1 - p)
    belief.mean[:] += spread * (answer - p)
    belief.covariance[:] -= np.outer(spread, spread) * (weight / (1 + weight * variance))


@njit(nogil=True)
def _answer(window, shopper, ids, answers):  # type: ignore[no-untyped-def]
    for k in range(len(ids)):
        if ids[k] >= 0:
            answers[k] = 1.0 if np.random.random() < window.chance[shopper, ids[k]] else 0.0


@njit(nogil=True)
def _heard(window, plan, trips, traits, belief, t, ids, answers, drawn, sums):  # type: ignore[no-untyped-def]
    """Learn from the answers of trip t, and credit the sellers."""
    x = np.empty(len(belief.mean))
    for k in range(len(ids)):
        j = ids[k]
        if j >= 0:
            _row(traits, trips.shopper[t], j, x)
            outcome = answers[k] if drawn else 1 / (1 + np.exp(-(belief.mean @ x)))
            _update(belief, x, answers[k])
            s = window.seller[j]
            sums[s] += outcome * window.unit[j] / plan.targets[s]


@njit(nogil=True)
def _learn(window, plan, trips, traits, belief, how, shown):  # type: ignore[no-untyped-def]
    explore, delay, seed, width, drawn = how
    np.random.seed(seed)
    sellers, places, size = len(plan.targets), shown.shape[1], len(belief.mean)
    sums, nu, boost = np.zeros(sellers), np.zeros(sellers), np.zeros(sellers, np.float32)
    worth = np.empty(len(window.reward), np.float32)
    chance = np.empty(len(window.reward), np.float32)
    ids, best = np.empty(places, np.int32), np.empty(places, np.float32)
    answers = np.zeros((len(shown), places), np.float32)
    for t in range(len(shown)):
        _leader(plan, sums, float(max(t - delay, 0)), nu)
        for s in range(sellers):
            boost[s] = nu[s] / plan.targets[s]
        _worth(window.reward, window.unit, window.seller, boost, worth)
        theta, factor = belief.mean, np.zeros((size, size))
        if explore > 0:
            factor = np.linalg.cholesky(belief.covariance)
        if explore == 2:
            theta = belief.mean + factor @ np.random.normal(0.0, 1.0, size)
        _chances(traits, trips.shopper[t], theta.astype(np.float32), factor.astype(np.float32),
                 np.float32(width if explore == 1 else 0.0), chance)  # fmt: skip
        top(chance, worth, ids, best)
        shown[t] = ids
        _answer(window, trips.shopper[t], ids, answers[t])
        if t >= delay:
            then = t - delay
            ids[:] = shown[then]
            _heard(window, plan, trips, traits, belief, then, ids, answers[then], drawn, sums)
