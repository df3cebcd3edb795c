"""What one batch of the model holds, made of histories.

    batch = collate([told], goods, config, rng)                 # to answer
    batch, targets = sample(log, journeys, config, rng)         # to learn

Histories are right-aligned behind the start, so that the newest interactions are the last ones; items of
one journey come in an order drawn by `rng`.

Sizes: B batch, n + 1 interactions with the start, M own items, F their features, K targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.tools.grace.config import Config
from merchgraph.tools.grace.data import FEATURES, Floats, Goods, History, Ints, Log, Own

NOWHERE = -1


class Batch(NamedTuple):
    """Histories of B shoppers.

    Attributes:
        item, behaviour: (B, n + 1) int64; -1 is the start or padding.
        journey: (B, n + 1) int64; the start has one of its own.
        ago: (B, n + 1) int64 — journeys ago, 0 is the latest.
        there: (B, n + 1) bool; the start is always there.
        own: (B, M) int64 own items, -1 is padding.
        features: (B, M, F) float32.
    """

    item: Ints
    behaviour: Ints
    journey: Ints
    ago: Ints
    there: NDArray[np.bool_]
    own: Ints
    features: Floats


class Targets(NamedTuple):
    """What came next.

    Attributes:
        item, behaviour: (B, K) int64; -1 is padding.
        copy: (B, K) int64 — where the item is among the own ones, -1 if nowhere.
    """

    item: Ints
    behaviour: Ints
    copy: Ints


def collate(
    told: Sequence[History], goods: Goods, config: Config, rng: np.random.Generator
) -> Batch:
    """A batch of histories; the latest `interactions` of each are read, the own items are of all."""
    own = [goods.own(one) for one in told]
    size = 1 + max([min(config.interactions, len(one.item)) for one in told], default=0)
    shape = len(told), size
    item, behaviour = np.full(shape, NOWHERE), np.full(shape, NOWHERE)
    journey, ago = np.full(shape, NOWHERE), np.zeros(shape, np.int64)
    there = np.zeros(shape, np.bool_)
    there[:, 0] = True
    for row, one in enumerate(told):
        order = np.lexsort((rng.random(len(one.item)), one.journey))[-config.interactions :]
        place = slice(size - len(order), size)
        item[row, place], behaviour[row, place] = one.item[order], one.behaviour[order]
        journey[row, place] = one.journey[order]
        ago[row, place] = one.journey[-1] - one.journey[order] if len(order) else 0
        there[row, place] = True
    items, features = _padded(own)
    return Batch(item, behaviour, journey, ago, there, items, features)


def sample(
    log: Log, journeys: Ints, config: Config, rng: np.random.Generator
) -> tuple[Batch, Targets]:
    """Journeys to predict, and what came before each."""
    batch = collate([log.before(int(one)) for one in journeys], log.goods, config, rng)
    shape = len(journeys), config.targets
    item, behaviour, copy = (np.full(shape, NOWHERE) for _ in range(3))
    for row, one in enumerate(journeys):
        items, done = log.targets(int(one))
        drawn = rng.permutation(len(items))[: config.targets]
        item[row, : len(drawn)], behaviour[row, : len(drawn)] = items[drawn], done[drawn]
        found = items[drawn, None] == batch.own[row]
        copy[row, : len(drawn)] = np.where(found.any(1), found.argmax(1), NOWHERE)
    return batch, Targets(item, behaviour, copy)


def _padded(own: Sequence[Own]) -> tuple[Ints, Floats]:
    size = max([1, *(len(one.item) for one in own)])
    items = np.full((len(own), size), NOWHERE)
    features = np.zeros((len(own), size, len(FEATURES)), np.float32)
    for row, one in enumerate(own):
        items[row, : len(one.item)], features[row, : len(one.item)] = one
    return items, features
