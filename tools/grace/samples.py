"""What one batch of the model holds, made of histories.

    batch = collate([told], goods, config, rng)                 # to answer
    batch, targets = sample(log, journeys, config, rng)         # to learn

Histories are right-aligned behind the start, so that the newest interactions are the last ones; items of
one journey come in an order drawn by `rng`.

Sizes: B batch, n + 1 interactions with the start, M candidates, F their features, K targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.tools.grace.candidates import FEATURES, Candidates, candidates
from merchgraph.tools.grace.config import Config
from merchgraph.tools.grace.data import Floats, Goods, History, Ints, Later, Log

NOWHERE = -1


class Batch(NamedTuple):
    """Histories of B shoppers.

    Attributes:
        item, behaviour: (B, n + 1) int64; -1 is the start or padding.
        journey: (B, n + 1) int64; the start has one of its own.
        ago: (B, n + 1) int64 — journeys ago, 0 is the latest.
        there: (B, n + 1) bool; the start is always there.
        candidates: (B, M) int64 items that can be copied, -1 is padding.
        features: (B, M, F) float32.
    """

    item: Ints
    behaviour: Ints
    journey: Ints
    ago: Ints
    there: NDArray[np.bool_]
    candidates: Ints
    features: Floats


class Targets(NamedTuple):
    """What came next.

    Attributes:
        item, behaviour: (B, K) int64; -1 is padding.
        copy: (B, K) int64 — where the item is among the candidates, -1 if nowhere.
    """

    item: Ints
    behaviour: Ints
    copy: Ints


def collate(
    told: Sequence[History],
    goods: Goods,
    config: Config,
    rng: np.random.Generator,
    later: Sequence[Later] = (),
) -> Batch:
    """A batch of histories; the latest `interactions` of each are read, candidates are of all."""
    near = config.near if config.copies else 0
    copied = [candidates(goods, one, near, untold) for one, untold in zip_longest(told, later)]
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
    items, features = _padded(copied)
    return Batch(item, behaviour, journey, ago, there, items, features)


def sample(
    log: Log, journeys: Ints, config: Config, rng: np.random.Generator
) -> tuple[Batch, Targets]:
    """Journeys to predict, and what came before each."""
    told = [log.before(int(one)) for one in journeys]
    later = [log.later(int(one)) for one in journeys]
    batch = collate(told, log.goods, config, rng, later)
    shape = len(journeys), config.targets
    item, behaviour, copy = (np.full(shape, NOWHERE) for _ in range(3))
    for row, one in enumerate(journeys):
        items, done = log.targets(int(one))
        drawn = rng.permutation(len(items))[: config.targets]
        item[row, : len(drawn)], behaviour[row, : len(drawn)] = items[drawn], done[drawn]
        found = items[drawn, None] == batch.candidates[row]
        copy[row, : len(drawn)] = np.where(found.any(1), found.argmax(1), NOWHERE)
    return batch, Targets(item, behaviour, copy)


def _padded(copied: Sequence[Candidates]) -> tuple[Ints, Floats]:
    size = max([1, *(len(one.item) for one in copied)])
    items = np.full((len(copied), size), NOWHERE)
    features = np.zeros((len(copied), size, len(FEATURES)), np.float32)
    for row, one in enumerate(copied):
        items[row, : len(one.item)], features[row, : len(one.item)] = one
    return items, features
