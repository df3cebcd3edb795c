"""Trie-constrained beam search, batched over shoppers, with the keys of what was read and told kept.

    found = search(model, read, width=10)                # behaviour and item together
    found = search(model, read, width=10, behaviour=0)   # items, given a behaviour

A path can only go on along the trie, so what ends is an item; the width is that of each behaviour. A
model whose config has no trie may tell a path that no item has: such a beam ends as item -1.

Sizes: B shoppers, W beams of each, V tokens of a slot.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from merchgraph.tools.grace.layers import Cache
from merchgraph.tools.grace.model import Grace, Read

NOTHING = float("-inf")


class Found(NamedTuple):
    """What a search tells, best first for each behaviour.

    Attributes:
        item: (B, W) int64, -1 where there is none.
        behaviour: (B, W) int64.
        score: (B, W) log probability; -inf where there is none.
    """

    item: Tensor
    behaviour: Tensor
    score: Tensor


class _Beams(NamedTuple):
    """Paths under way.

    Attributes:
        token: (B, W) the last one told, 0 is the start.
        node: (B, W) of the trie, -1 is off it.
        score: (B, W).
        cache: what was read and told.
    """

    token: Tensor
    node: Tensor
    score: Tensor
    cache: Cache


@torch.no_grad()
def search(model: Grace, read: Read, width: int, behaviour: int | None = None) -> Found:
    """The most likely paths after each history.

    Args:
        model: in its evaluation mode.
        read: histories of B shoppers.
        width: beams for each behaviour.
        behaviour: the only one asked for; None tells all that can be predicted.
    """
    if not model.config.behaviours:
        return _items(model, read, width, None)
    asked = range(model.predicted) if behaviour is None else [behaviour]
    found = [_items(model, read, width, one) for one in asked]
    return Found(*(torch.cat(parts, dim=1) for parts in zip(*found, strict=True)))


def _items(model: Grace, read: Read, width: int, behaviour: int | None) -> Found:
    shoppers = len(read.states)
    zeros = torch.zeros((shoppers, 1), dtype=torch.int64, device=read.states.device)
    beams = _Beams(zeros, zeros, zeros.float(), model.cache(read))
    first = 0
    if behaviour is not None:
        states, cache = _step(model, read, beams, 0)
        score = model.logs(states, 0, None)[..., behaviour]
        beams = _Beams(zeros + model.offsets[0] + behaviour, zeros, score, cache)
        first = 1
    for place in range(first, len(model.sizes)):
        beams = _grown(model, read, beams, place, width)
    leaves = torch.from_numpy(model.paths.leaves).to(zeros.device)
    real = (beams.node >= 0) & (beams.score > NOTHING)
    item = torch.where(real, leaves[beams.node.clamp(min=0)], -1)
    score = beams.score.masked_fill(~real, NOTHING)
    return Found(item, torch.full_like(item, behaviour or 0), score)


def _grown(model: Grace, read: Read, beams: _Beams, place: int, width: int) -> _Beams:
    """One token more for the best beams."""
    states, cache = _step(model, read, beams, place)
    depth = place - (len(model.sizes) - len(model.paths.slots))
    logs = model.logs(states, place, beams.node.clamp(min=0))
    total = (beams.score[..., None] + logs).flatten(1)
    score, best = total.topk(min(width, total.shape[1]), dim=1)
    parent, token = best // logs.shape[-1], best % logs.shape[-1]
    node = beams.node.gather(1, parent)
    after = model.table(f"after{depth}")[node.clamp(min=0), token]
    return _Beams(
        token=token + model.offsets[place],
        node=torch.where(node >= 0, after, -1),
        score=score,
        cache=cache.of(parent),
    )


def _step(model: Grace, read: Read, beams: _Beams, place: int) -> tuple[Tensor, Cache]:
    """(B, W, D) states that tell the token of a slot, and what is known then."""
    states = (model.embed(beams.token) + model.slot[place])[:, :, None]
    told, path = model.decoder(states, beams.cache.history, read.there, beams.cache)
    return told[:, :, 0], Cache(beams.cache.history, path)
