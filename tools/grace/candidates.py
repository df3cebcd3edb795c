"""What the copy path can name: what a shopper has had, and what others buy with it.

    candidates(goods, told, near=64).item       # codes, the own ones first

Neighbours are those of the item-kNN: cosines over journeys to all that the shopper had, a journey
counting half after ten more; features also have the sums of shorter and longer memories. They are counted
over the whole log that is learned from; where a journey of it is to be told, what its shopper did from
then on is taken off the counts, since an item that a household comes to like is soon counted beside all
that it has. Sizes: I items, M candidates, F features.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.tools.grace.data import Floats, Goods, History, Ints, Later

Doubles = NDArray[np.float64]
OWN = 256
"""Own items that can be copied, at most: the most frequent, the latest first among equals."""
RECENT, LATELY = 5, 20
"""Journeys that count as the latest ones."""
HALF_LIVES = (10.0, 3.0, 1000.0)
"""Journeys after which an item counts half for its neighbours; the first chooses them."""
FAINT = 0.01
"""Added to a sum of cosines before its logarithm is taken."""
FEATURES = (
    "count", "count of 5", "count of 20", "journeys ago", "share of journeys", "due", "in the last",
    "popularity", "bought again", "journeys", "had", "beside", "beside of late", "beside of old",
)  # fmt: skip


class Candidates(NamedTuple):
    """Items that can be copied.

    Attributes:
        item: (M,) codes.
        features: (M, F) float32; see `FEATURES`.
    """

    item: Ints
    features: Floats


def candidates(goods: Goods, told: History, near: int, later: Later | None = None) -> Candidates:
    """The distinct items of a history, at most `OWN`, and its `near` best neighbours.

    Args:
        goods: what they are.
        told: the history.
        near: neighbours, at most.
        later: what the counts of neighbours hold of this shopper and must not tell; None is nothing.
    """
    if not len(told.item):
        return Candidates(np.zeros(0, np.int64), np.zeros((0, len(FEATURES)), np.float32))
    items, place, count = np.unique(told.item, return_inverse=True, return_counts=True)
    ago = told.journey[-1] - told.journey
    latest = np.full(len(items), ago[0] + 1)
    np.minimum.at(latest, place, ago)
    beside = np.zeros((len(HALF_LIVES), len(goods.items)))
    for row, half in zip(beside, HALF_LIVES if near else (), strict=False):
        weight = np.asarray(np.bincount(place, 0.5 ** (ago / half)), np.float64)
        row[:] = _beside(goods, items, weight, later)
    own = np.lexsort((latest, -count))[:OWN]
    others = _others(beside[0].copy(), items, near)
    chosen = np.concatenate([items[own], others])
    features = np.zeros((len(chosen), len(FEATURES)), np.float32)
    features[:, 3] = np.log1p(ago[0] + 1) / 2
    features[: len(own), :7] = _had(told, items, place, count, latest)[own]
    features[:, 7] = np.log1p(goods.counts[chosen]) / 5
    features[:, 8] = 2 * goods.again[chosen]
    features[:, 9] = np.log1p(ago[0] + 1) / 3
    features[: len(own), 10] = 1
    features[:, 11:] = np.log(beside[:, chosen] + FAINT).T / 3
    return Candidates(chosen, features)


def _had(told: History, items: Ints, place: Ints, count: Ints, latest: Ints) -> Floats:
    """(own items, 7) float32 — the features of what was had."""
    ago = told.journey[-1] - told.journey
    first = np.zeros(len(items), np.int64)
    np.maximum.at(first, place, ago)
    columns = [
        np.log1p(count),
        np.log1p(np.bincount(place[ago < RECENT], minlength=len(items))),
        np.log1p(np.bincount(place[ago < LATELY], minlength=len(items))),
        np.log1p(latest) / 2,
        count / (ago[0] + 1),
        np.log((latest + 1) * count / (first + 1)) / 2,
        latest == 0,
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _beside(goods: Goods, items: Ints, weight: Doubles, later: Later | None) -> Doubles:
    """(I,) weighed sum of cosines to some items, as it was before what came later."""
    found = goods.near.sums(items, weight)
    if later is None:
        return found
    mass = np.zeros(len(found))
    mass[items] = weight / later.lengths[items]
    each = mass[later.item]
    whole = np.bincount(later.journey, each)[later.journey]
    sizes = np.bincount(later.journey)[later.journey]
    off = (whole - each) / sizes / later.lengths[later.item]
    return np.maximum(found - np.bincount(later.item, off, minlength=len(found)), 0)


def _others(beside: Doubles, had: Ints, near: int) -> Ints:
    """(at most `near`,) codes of the best neighbours that were not had, best first."""
    beside[had] = 0
    # sorting the few that are good enough takes a fifth of the time of sorting all
    floor = np.partition(beside, -near)[-near] if 0 < near < len(beside) else 0.0
    some = np.flatnonzero((beside >= floor) & (beside > 0))
    return some[np.argsort(-beside[some], kind="stable")[:near]]
