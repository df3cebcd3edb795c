"""FairRec and FairRec+, made from their descriptions: each seller is promised places, dealt in turn.

    fair_rec(window, sellers, trips, k, share)         whose turn it is never changes
    fair_rec_plus(window, sellers, trips, k, share)    trips trade what they envy after each round

Sizes: T trips, K places, I items, S sellers, U distinct shoppers. Each gives (T, K) int32 columns of
items. They must know all trips beforehand, and care for exposure, not for outcomes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from merchgraph.tools.fairness.data import Whole
from merchgraph.tools.fairness.loop import Shown, Window, top


def fair_rec(window: Window, sellers: int, trips: Whole, k: int, share: float) -> Shown:
    """FairRec (Patro et al., WWW 2020) with sellers as producers: a promise of places, then the best.

    Each seller is promised floor(share * T * K / S) places. They are dealt in turn: in each round every
    trip takes the item that earns most of the sellers whose promise is open. What is left of the lists
    goes to the items that earn most.

    Args:
        window: what may be shown.
        sellers: S.
        trips: (T,) shoppers.
        k: places of a list.
        share: alpha, in [0, 1].
    """
    return _dealt(window, _promised(sellers, len(trips) * k, share), trips, k, trade=False)


def fair_rec_plus(window: Window, sellers: int, trips: Whole, k: int, share: float) -> Shown:
    """FairRec+ (Biswas et al., TWEB 2022): `fair_rec` without cycles of envy; arguments as there.

    A trip envies another one whose dealt items would earn more with its own shopper than its own do.
    After each round items go round the cycles of envy until there is none, and those whom nobody envies
    take first in the next round. Which cycle goes first is free: here every trip asks for the items that
    it likes best of those not yet given away (top trading cycles).
    """
    return _dealt(window, _promised(sellers, len(trips) * k, share), trips, k, trade=True)


def _promised(sellers: int, places: int, share: float) -> Whole:
    return np.full(sellers, int(share * places / sellers))


def _dealt(window: Window, promised: Whole, trips: Whole, k: int, *, trade: bool) -> Shown:
    """Rounds until the promises are kept, then the best."""
    shown = np.full((len(trips), k), -1, np.int32)
    order = np.arange(len(trips))
    for place in range(k):
        if promised.sum() == 0:
            break
        _deal(window, trips, order, promised, shown[:, place], shown)
        if trade and not place:
            order = order[::-1].copy()  # who took after others envies nobody but them
        elif trade:
            gets, order = _trades(window, trips, shown)
            shown = shown[gets]
    _fill(window, trips, shown)
    return shown


@njit(nogil=True)
def _deal(window, trips, order, promised, place, shown):  # type: ignore[no-untyped-def]
    """One round: in their order, trips take an item of an open promise into a column of `shown`."""
    score, one = np.empty(len(window.reward), np.float32), np.ones(len(window.reward), np.float32)
    ids, best = np.empty(1, np.int32), np.empty(1, np.float32)
    for t in order:
        if promised.sum() == 0:
            break
        _open(window, window.chance[trips[t]], promised, shown[t], score)
        top(score, one, ids, best)
        if ids[0] >= 0:
            place[t] = ids[0]
            promised[window.seller[ids[0]]] -= 1


@njit(nogil=True)
def _fill(window, trips, shown):  # type: ignore[no-untyped-def]
    """The places that are left go to the items that earn most."""
    items, places = len(window.reward), shown.shape[1]
    score, one = np.empty(items, np.float32), np.ones(items, np.float32)
    rest, values = np.empty(places, np.int32), np.empty(places, np.float32)
    everyone = np.ones(window.seller.max() + 1, np.int64)
    for t in range(len(trips)):
        _open(window, window.chance[trips[t]], everyone, shown[t], score)
        top(score, one, rest, values)
        place = 0
        for k in range(places):
            if shown[t, k] < 0:
                shown[t, k] = rest[place]
                place += 1


@njit(nogil=True)
def _open(window, chance, promised, taken, score):  # type: ignore[no-untyped-def]
    """Rewards of the items whose seller has a promise open and that the list has not yet."""
    for j in range(len(score)):
        score[j] = -np.inf
        if promised[window.seller[j]] > 0:
            score[j] = chance[j] * window.reward[j]
    for j in taken:
        if j >= 0:
            score[j] = -np.inf


def _trades(window: Window, trips: Whole, shown: Shown) -> tuple[Whole, Whole]:
    """Whose items each trip gets (T,), and the trips, those whom nobody envies first (T,)."""
    shoppers, of = np.unique(trips, return_inverse=True)
    liked = _liked(window, shoppers, shown)
    gets, left = _cycles(window, trips, of, shown, liked)
    # who leaves early has the best of what was there, so that envy only looks back
    return gets, left[::-1].copy()


@njit(nogil=True)
def _worth(window, shopper, items):  # type: ignore[no-untyped-def]
    """What some items would earn with a shopper."""
    total = 0.0
    for j in items:
        if j >= 0:
            total += window.chance[shopper, j] * window.reward[j]
    return total


@njit(nogil=True)
def _liked(window, shoppers, shown):  # type: ignore[no-untyped-def]
    """(U, T) int32 — the trips by what their items would earn with each shopper, best first."""
    found = np.empty((len(shoppers), len(shown)), np.int32)
    worth = np.empty(len(shown))
    for u in range(len(shoppers)):
        for t in range(len(shown)):
            worth[t] = -_worth(window, shoppers[u], shown[t])
        found[u] = np.argsort(worth)
    return found


@njit(nogil=True)
def _cycles(window, trips, of, shown, liked):  # type: ignore[no-untyped-def]
    """Top trading cycles: whose items each trip gets, and the trips in the order in which they leave."""
    n = len(trips)
    gets, left, gone = np.full(n, -1), np.empty(n, np.int64), np.zeros(n, np.bool_)
    at, asks = np.zeros(len(liked), np.int64), np.empty(n, np.int64)
    path, step, out = np.empty(n, np.int64), np.full(n, -1), 0
    for start in range(n):
        length, t = 0, start
        while not gone[start]:
            u = of[t]
            while gone[liked[u, at[u]]]:
                at[u] += 1
            best = liked[u, at[u]]
            if _worth(window, trips[t], shown[best]) <= _worth(window, trips[t], shown[t]):
                best = t
            asks[t], path[length], step[t] = best, t, length
            length += 1
            if step[best] < 0:
                t = best
                continue
            for m in range(step[best], length):
                gets[path[m]], gone[path[m]], left[out] = asks[path[m]], True, path[m]
                out += 1
            length = step[best]
            if length:  # whoever asked for one of them asks again
                length -= 1
                t = path[length]
                step[t] = -1
    return gets, left
