"""Rankers that other work offers for fairness to sellers, made from descriptions, not from their code.

    worst_first(window, plan, trips, k)           all subsidy goes to the seller that is worst off now
    p_mmf(window, sizes, trips, k, quotas)        quotas of exposure with dual prices, by batches

Sizes: T trips, K places, I items, S sellers. Each gives (T, K) int32 columns of items. They read the
chances of all items, as the tool does; `p_mmf` cares for exposure, not for outcomes. FairRec is in
`fairness_deal.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from merchgraph.tools.fairness.data import Floats, Whole
from merchgraph.tools.fairness.duals import Plan
from merchgraph.tools.fairness.loop import Shown, Window, _credit, _worth, top

MOMENTUM = 0.1
"""Share of a new gradient in the one that is stepped along."""


def worst_first(window: Window, plan: Plan, trips: Whole, k: int) -> Shown:
    """The minimum regulariser: the gradient of strength * min share at the outcomes so far.

    Our reading of the baseline "min-regularizer" of P-MMF (WWW 2023), for outcomes: an item of the worst
    seller has strength * outcome / target more; nobody else has anything.
    """
    shown = np.empty((len(trips), k), np.int32)
    _worst_first(window, plan, trips, shown)
    return shown


@njit(nogil=True)
def _worst_first(window, plan, trips, shown):  # type: ignore[no-untyped-def]
    sellers, places = len(plan.targets), shown.shape[1]
    sums, shares, boost = np.zeros(sellers), np.zeros(sellers), np.zeros(sellers, np.float32)
    worth = np.empty(len(window.reward), np.float32)
    ids, best = np.empty(places, np.int32), np.empty(places, np.float32)
    for t in range(len(trips)):
        worst = np.argmin(sums)
        boost[:] = 0
        boost[worst] = plan.strength / plan.targets[worst]
        _worth(window.reward, window.unit, window.seller, boost, worth)
        chance = window.chance[trips[t]]
        top(chance, worth, ids, best)
        shown[t] = ids
        _credit(window, plan, chance, ids, shares)
        sums += shares


class Quotas(NamedTuple):
    """Settings of `p_mmf`.

    Attributes:
        strength: lambda.
        rate: eta before its division by sqrt(batch).
        batch: trips between two moves of the prices.
    """

    strength: float
    rate: float = 1e-3
    batch: int = 256


def p_mmf(window: Window, sizes: Floats, trips: Whole, k: int, quotas: Quotas) -> Shown:
    """P-MMF (Xu et al., WWW 2023) as its public code is described: provider max-min of exposure.

    score = reward - mu of the seller; sellers whose quota is used up are out; after each batch
    mu <- project(mu - rate / sqrt(batch) * gradient / rho^2), whose negative parts, times rho, sum to at
    least -strength.

    Args:
        window: what may be shown.
        sizes: (S,) shares of the sellers, which sum to 1; the quota is (1 + 1 / S) times that.
        trips: (T,) shoppers.
        k: places of a list.
        quotas: its settings.
    """
    rho = np.maximum((1 + 1 / len(sizes)) * sizes, 1e-9)
    step = quotas.rate / np.sqrt(quotas.batch) / rho**2
    left, gradient, mu = len(trips) * k * rho, np.zeros(len(sizes)), np.zeros(len(sizes))
    shown = np.empty((len(trips), k), np.int32)
    for start in range(0, len(trips), quotas.batch):
        some = trips[start : start + quotas.batch]
        lists = shown[start : start + quotas.batch]
        _with_prices(window, some, mu, left > 0, lists)
        given = np.bincount(window.seller[lists[lists >= 0]], minlength=len(sizes)).astype(float)
        quota = left / (len(trips) * k)
        gradient = MOMENTUM * (quota - given / (len(some) * k)) + (1 - MOMENTUM) * gradient
        left = left - given
        mu = _kept(mu - step * gradient, rho, quotas.strength)
    return shown


def _kept(mu: Floats, rho: Floats, strength: float) -> Floats:
    """mu with the negative parts of rho * mu shrunk by one amount until they sum to -strength."""
    scaled = mu * rho
    low, high = 0.0, float(max(0.0, -scaled.min()))
    if -np.minimum(scaled, 0).sum() <= strength:
        return mu
    for _ in range(60):
        middle = (low + high) / 2
        if -np.minimum(scaled + middle, 0).sum() > strength:
            low = middle
        else:
            high = middle
    kept: Floats = np.where(scaled < 0, np.minimum(scaled + high, 0), scaled) / rho
    return kept


@njit(nogil=True)
def _with_prices(window, trips, mu, there, shown):  # type: ignore[no-untyped-def]
    """Lists by reward - mu of the seller, without the sellers that are not there, best reward first."""
    places, items = shown.shape[1], len(window.reward)
    score, one = np.empty(items, np.float32), np.ones(items, np.float32)
    ids, best = np.empty(places, np.int32), np.empty(places, np.float32)
    for t in range(len(trips)):
        chance = window.chance[trips[t]]
        for j in range(items):
            s = window.seller[j]
            score[j] = chance[j] * window.reward[j] - mu[s] if there[s] else -np.inf
        top(score, one, ids, best)
        shown[t] = ids
