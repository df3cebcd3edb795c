"""The fluid optimum: the best that any ranker could reach who knows all trips beforehand.

    best = fluid(window, plan, shoppers, counts, k=10)
    best.objective, best.bound            # reached by a plan of fractional lists; no ranker is above it

A linear program by HiGHS for max_min and the shortfalls. It holds, of each shopper, only the items that
come near its list at the present subsidies; the dual value at the program's own subsidies bounds the
whole problem from above, and items are added until both agree. For proportional, which is not linear,
both numbers come from the dual alone. Sizes: U shoppers, S sellers, N pairs of a shopper and an item.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import ToolError
from merchgraph.tools.fairness.data import Floats, Whole
from merchgraph.tools.fairness.duals import MAX_MIN, PROPORTIONAL, Plan, conjugate, fairness
from merchgraph.tools.fairness.loop import Window, near, serve, shown_at

ROUNDS = 25
CLOSE = 1e-5
"""Relative gap between the two numbers at which the search ends."""
WIDE, NARROW = 0.1, 0.02
"""Share below the last place of a list at which items still count as near: at first, and later."""
DRAWN = 12_000
"""Trips of the walk that finds the first subsidies."""
FEW = 200_000
"""Pairs up to which the program holds all items at once."""


class Fluid(NamedTuple):
    """Per trip.

    Attributes:
        objective: reward + strength * R of the best plan found; a lower end.
        bound: a dual value, so that no plan and no ranker has more; an upper end.
        reward: of that plan.
        outcomes: (S,) of that plan.
        subsidies: (S,) where the bound was found.
    """

    objective: float
    bound: float
    reward: float
    outcomes: Floats
    subsidies: Floats


def fluid(window: Window, plan: Plan, shoppers: Whole, counts: Floats, k: int) -> Fluid:
    """The optimum over all trips, which are `counts` of each shopper.

    Args:
        window: what may be shown.
        plan: of the goal; its step plays no part.
        shoppers: (U,) int64, rows of `window.chance`, each once.
        counts: (U,) float64 — trips of each; only their shares matter.
        k: places of a list.

    Raises:
        ToolError: the solver found no optimum.
    """
    weights = counts / counts.sum()
    subsidies = _walked(window, plan, shoppers, weights, k)
    if plan.kind == PROPORTIONAL:
        value, outcomes, reward = dual(window, plan, subsidies, shoppers, weights, k)
        reached = reward + plan.strength * fairness(plan, outcomes)
        return Fluid(reached, value, reward, outcomes, subsidies)
    best = Fluid(-np.inf, np.inf, 0.0, np.zeros(len(plan.targets)), subsidies)
    slack = 1.0 if len(shoppers) * len(window.reward) <= FEW else WIDE
    pairs = np.zeros(0, np.int64)
    for _ in range(ROUNDS):
        for at in (subsidies, best.subsidies):
            rows, columns = near(window, at / plan.targets, shoppers, k, slack)
            pairs = np.union1d(pairs, rows * len(window.reward) + columns)
        found = _solved(window, plan, shoppers, weights, k, pairs)
        subsidies = found.subsidies
        value, _, _ = dual(window, plan, subsidies, shoppers, weights, k)
        if value > best.bound:
            found = found._replace(bound=best.bound, subsidies=best.subsidies)
        else:
            found = found._replace(bound=value)
        best, slack = found, NARROW
        if best.bound - best.objective <= CLOSE * abs(best.bound):
            break
    return best


def dual(
    window: Window, plan: Plan, subsidies: Floats, shoppers: Whole, weights: Floats, k: int
) -> tuple[float, Floats, float]:
    """The dual value D(nu), and the outcomes (S,) and the reward a trip of the lists that reach it."""
    shown = shown_at(window, plan, subsidies, shoppers, k)
    outcomes, reward = outcomes_of(window, shoppers, shown, len(plan.targets), weights)
    gain = float(subsidies / plan.targets @ outcomes)
    return reward + gain + conjugate(plan, subsidies), outcomes, reward


def outcomes_of(
    window: Window, trips: Whole, shown: NDArray[np.int32], sellers: int, weights: Floats
) -> tuple[Floats, float]:
    """Expected outcomes a trip (S,), and the reward a trip, of lists that were shown.

    Args:
        window: what was known.
        trips: (T,) int64 — shoppers.
        shown: (T, K) int32 — columns, -1 for an empty place.
        sellers: S.
        weights: (T,) float64 — of the trips; they sum to 1.
    """
    there = shown >= 0
    columns = np.where(there, shown, 0)
    chance = window.chance[trips[:, None], columns].astype(np.float64) * there * weights[:, None]
    outcomes = np.bincount(
        window.seller[columns].ravel(), (chance * window.unit[columns]).ravel(), sellers
    ).astype(np.float64)
    return outcomes, float((chance * window.reward[columns]).sum())


def _walked(window: Window, plan: Plan, shoppers: Whole, weights: Floats, k: int) -> Floats:
    """Subsidies near the best ones (S,): the mean of a walk over drawn trips, begun anew from there."""
    rng = np.random.default_rng(0)
    found = np.zeros(len(plan.targets))
    for pace in (3.0, 1.0):
        walk = plan._replace(step=pace / np.sqrt(DRAWN))
        if plan.kind == MAX_MIN and pace < 3:
            shares = np.append(found, max(0.0, plan.strength - found.sum())) + CLOSE
            walk = walk._replace(lead=np.log(shares / shares.sum()))
        trips = rng.choice(shoppers, DRAWN, p=weights)
        _, found = serve(window, walk, trips, k)
    return found


def _solved(
    window: Window, plan: Plan, shoppers: Whole, weights: Floats, k: int, pairs: Whole
) -> Fluid:
    """The optimum over some pairs, without its bound.

    Variables: how often each pair is shown (N), then R's share: one for max_min, else one per seller.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, vstack

    rows, columns = np.divmod(pairs, len(window.reward))
    sellers, n = len(plan.targets), len(pairs)
    chance = window.chance[shoppers[rows], columns] * weights[rows]
    reward, outcome = chance * window.reward[columns], chance * window.unit[columns]
    of = window.seller[columns]
    gains = np.array([plan.strength]) if plan.kind == MAX_MIN else plan.caps
    place = n + (np.zeros(sellers, np.int64) if plan.kind == MAX_MIN else np.arange(sellers))
    fair = csr_array(
        (np.append(-outcome / plan.targets[of], np.ones(sellers)),
         (np.append(of, np.arange(sellers)), np.append(np.arange(n), place))),
        shape=(sellers, n + len(gains)),
    )  # fmt: skip
    lists = csr_array((np.ones(n), (rows, np.arange(n))), shape=(len(shoppers), n + len(gains)))
    room = np.append(np.zeros(sellers), np.full(len(shoppers), float(k)))
    solved = linprog(
        -np.append(reward, gains),
        A_ub=vstack([fair, lists]),
        b_ub=room,
        bounds=(0, 1),
        method="highs",
    )
    if not solved.success:
        raise ToolError(f"The linear program of {n:,} pairs has no optimum: {solved.message}")
    outcomes = np.bincount(of, outcome * solved.x[:n], sellers).astype(np.float64)
    subsidies = np.maximum(-solved.ineqlin.marginals[:sellers], 0)
    return Fluid(-solved.fun, np.inf, float(reward @ solved.x[:n]), outcomes, subsidies)
