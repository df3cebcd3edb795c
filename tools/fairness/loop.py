"""Trips served one after another, compiled: score, show the best, see the outcome, move the subsidies.

    shown, subsidies = serve(window, plan, trips, 10)    # (T, K) columns of items, best first; (S,)

Imported only where it is used, since numba takes a second.
Sizes: H shoppers, I items, S sellers, T trips, K places.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from merchgraph.tools.fairness import duals
from merchgraph.tools.fairness.data import Floats, Singles, Whole
from merchgraph.tools.fairness.duals import Plan

Shown = NDArray[np.int32]
_leader = njit(nogil=True)(duals.leader)
_affordable = njit(nogil=True)(duals.affordable)
_best_shares = njit(nogil=True)(duals.best_shares)
_project = njit(nogil=True)(duals.project)


class Window(NamedTuple):
    """What may be shown and what it is worth.

    Attributes:
        chance: (H, I) float32 — probability that a shopper buys an item in a trip.
        reward: (I,) float32 — of a purchase: its price, or 1.
        unit: (I,) float32 — what a purchase counts for its seller: its price, or 1.
        seller: (I,) int64 — place of its seller.
    """

    chance: Singles
    reward: Singles
    unit: Singles
    seller: Whole


@njit(nogil=True, fastmath={"contract", "nsz"})
def top(chance, worth, ids, best):  # type: ignore[no-untyped-def]
    """The K columns with the greatest chance * worth, best first, into `ids`; of equal ones the first.

    Args:
        chance, worth: (I,) float32.
        ids: (K,) int32, overwritten; -1 where there are no K items.
        best: (K,) float32, overwritten by the values.
    """
    places = len(ids)
    for k in range(places):
        best[k] = -np.inf
        ids[k] = -1
    for j in range(len(chance)):
        value = chance[j] * worth[j]
        if value > best[places - 1]:
            k = places - 1
            while k > 0 and best[k - 1] < value:
                best[k] = best[k - 1]
                ids[k] = ids[k - 1]
                k -= 1
            best[k] = value
            ids[k] = j


@njit(nogil=True)
def _worth(reward, unit, seller, boost, worth):  # type: ignore[no-untyped-def]
    for j in range(len(reward)):
        worth[j] = reward[j] + boost[seller[j]] * unit[j]


@njit(nogil=True)
def _credit(window, plan, chance, ids, shares):  # type: ignore[no-untyped-def]
    """Expected outcomes of a list as shares of the targets, (S,)."""
    shares[:] = 0
    for j in ids:
        if j >= 0:
            s = window.seller[j]
            shares[s] += chance[j] * window.unit[j] / plan.targets[s]


@njit(nogil=True)
def _earned(window, chance, ids):  # type: ignore[no-untyped-def]
    """Expected reward of a list."""
    total = 0.0
    for j in ids:
        if j >= 0:
            total += chance[j] * window.reward[j]
    return total


@njit(nogil=True)
def _serve(window, plan, trips, shown, size):  # type: ignore[no-untyped-def]
    """size 0: `leader`; above: gradient steps of that size."""
    sellers, places = len(plan.targets), shown.shape[1]
    sums, shares = np.zeros(sellers), np.zeros(sellers)
    nu, mean, boost = np.zeros(sellers), np.zeros(sellers), np.zeros(sellers, np.float32)
    worth = np.empty(len(window.reward), np.float32)
    ids, best = np.empty(places, np.int32), np.empty(places, np.float32)
    whole, lost = 0.0, 0.0
    for t in range(len(trips)):
        if size == 0:
            _leader(plan, sums, float(t), nu)
            nu *= _affordable(plan, whole, lost, float(t))
        for s in range(sellers):
            boost[s] = nu[s] / plan.targets[s]
            if t >= len(trips) // 2:
                mean[s] += nu[s] / (len(trips) - len(trips) // 2)
        _worth(window.reward, window.unit, window.seller, boost, worth)
        chance = window.chance[trips[t]]
        if plan.budget > 0:  # else nobody reads it, and it would take as long as the list itself
            top(chance, window.reward, ids, best)
            whole += best.sum()
            lost += best.sum()
        top(chance, worth, ids, best)
        shown[t] = ids
        if plan.budget > 0:
            lost -= _earned(window, chance, ids)
        _credit(window, plan, chance, ids, shares)
        sums += shares
        if size > 0:
            free = _best_shares(plan.kind, plan.strength, plan.targets, plan.caps, nu)
            for s in range(sellers):
                nu[s] -= size * (shares[s] - free[s])
            _project(plan.kind, plan.strength, plan.caps, nu)
    return mean


@njit(nogil=True)
def _at(window, shoppers, boost, shown):  # type: ignore[no-untyped-def]
    worth = np.empty(len(window.reward), np.float32)
    ids, best = np.empty(shown.shape[1], np.int32), np.empty(shown.shape[1], np.float32)
    _worth(window.reward, window.unit, window.seller, boost, worth)
    for u in range(len(shoppers)):
        top(window.chance[shoppers[u]], worth, ids, best)
        shown[u] = ids


def serve(
    window: Window, plan: Plan, trips: Whole, k: int, *, size: float = 0.0
) -> tuple[Shown, Floats]:
    """The lists of all trips, in their order, and the mean subsidies of their second half.

    Args:
        window: what may be shown.
        plan: of the goal.
        trips: (T,) int64 — the shopper of each trip, a row of `window.chance`.
        k: places of a list.
        size: 0 is `duals.leader`; above 0, projected gradient steps of this size, which know no budget.

    Returns:
        shown: (T, K) int32 — columns of items, best first.
        subsidies: (S,) float64.
    """
    shown = np.empty((len(trips), k), np.int32)
    mean = _serve(window, plan, trips, shown, float(size))
    return shown, mean


@njit(nogil=True)
def _near(window, shoppers, boost, k, slack):  # type: ignore[no-untyped-def]
    worth = np.empty(len(window.reward), np.float32)
    ids, best = np.empty(k, np.int32), np.empty(k, np.float32)
    _worth(window.reward, window.unit, window.seller, boost, worth)
    rows, columns = [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)]
    for u in range(len(shoppers)):
        chance = window.chance[shoppers[u]]
        top(chance, worth, ids, best)
        for j in range(len(worth)):
            if chance[j] * worth[j] >= best[k - 1] * (1 - slack):
                rows.append(np.int64(u))
                columns.append(np.int64(j))
    return np.array(rows), np.array(columns)


def near(
    window: Window, boost: Floats, shoppers: Whole, k: int, slack: float
) -> tuple[Whole, Whole]:
    """Rows (of `shoppers`) and columns whose value is at most a share of `slack` below the K-th best.

    Args:
        window: what may be shown.
        boost: (S,) subsidy per unit of outcome.
        shoppers: (U,) int64.
        k: places of a list.
        slack: in [0, 1].
    """
    rows, columns = _near(window, shoppers, boost.astype(np.float32), k, slack)
    return rows, columns


def shown_at(window: Window, plan: Plan, subsidies: Floats, shoppers: Whole, k: int) -> Shown:
    """(U, K) int32 — the lists of some shoppers while the subsidies (S,) stay as they are."""
    shown = np.empty((len(shoppers), k), np.int32)
    _at(window, shoppers, (subsidies / plan.targets).astype(np.float32), shown)
    return shown
