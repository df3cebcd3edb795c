"""From a trained model to lists: beams and copies, each with its whole probability.

    pairs = listed(model, batch, Ask(width=10))      # per shopper, by behaviour and item
    anyhow(pairs[0])                                 # by item
    told(model, batch, torch.tensor([[3, 7]]))       # of these items, exactly

Beams are the decoder's own; the most likely copies are told by the decoder, too, so that both get the
sum of both ways to name an item. Of the other candidates only the way through the copy path counts, which
is a bound from below. What is asked about by name is told whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from merchgraph.tools.grace.beam import Found, search
from merchgraph.tools.grace.candidates import FEATURES
from merchgraph.tools.grace.data import Floats
from merchgraph.tools.grace.model import Copies, Grace, Read
from merchgraph.tools.grace.samples import Batch

NOTHING = float("-inf")
ANY = -1


class Ask(NamedTuple):
    """What is asked for.

    Attributes:
        width: beams of each behaviour, and copies that the decoder tells, too.
        behaviour: the only one; None is all of them.
        fresh: whether what the shopper has had is left out.
    """

    width: int = 10
    behaviour: int | None = None
    fresh: bool = False


class Answer(NamedTuple):
    """One thing that comes next.

    Attributes:
        item: its code.
        behaviour: its code, `ANY` for any.
        score: log probability.
    """

    item: int
    behaviour: int
    score: float


@torch.no_grad()
def listed(model: Grace, batch: Batch, ask: Ask) -> list[list[Answer]]:
    """What comes next for each shopper, behaviour and item together, best first.

    Items that are off the beams and no candidates are left out.
    """
    model.eval()
    ways = _weighed(model, model.read(batch), batch, ask)
    found = [_once([way[row] for way in ways]) for row in range(len(batch.item))]
    if not ask.fresh:
        return found
    own = np.where(_had(batch.features), batch.candidates, ANY)
    return [
        [one for one in row if one.item not in had] for row, had in zip(found, own, strict=True)
    ]


def anyhow(answers: list[Answer]) -> list[Answer]:
    """Items by any behaviour, best first: probabilities of the same item added up."""
    sums: dict[int, float] = {}
    for one in answers:
        before = sums.get(one.item, NOTHING)
        top = max(before, one.score)
        sums[one.item] = top + math.log(math.exp(before - top) + math.exp(one.score - top))
    return [Answer(item, ANY, score) for item, score in _best(sums.items())]


@torch.no_grad()
def told(model: Grace, batch: Batch, items: Tensor) -> Tensor:
    """(B, S) log probability that each of the items (B, S) comes next, by any behaviour."""
    model.eval()
    read, kinds = model.read(batch), model.predicted
    item = items.repeat_interleave(kinds, dim=1)
    done = torch.arange(kinds, device=item.device).repeat(items.shape[1]).expand_as(item)
    score = model.told_paths(read, item, done)
    if model.config.copies:
        copied = torch.from_numpy(batch.candidates).to(item.device)
        score = _merged(Found(item, done, score), copied, model.copies(read, batch)).score
    return score.view(*items.shape, kinds).logsumexp(2)


def _had(features: Floats) -> NDArray[np.bool_]:
    """(..., M) which of the candidates the shopper has had."""
    return np.asarray(features[..., FEATURES.index("had")] > 0, np.bool_)


def _weighed(model: Grace, read: Read, batch: Batch, ask: Ask) -> list[list[list[Answer]]]:
    """Per way of finding, per shopper, the answers with log P(behaviour, item)."""
    beams = search(model, read, ask.width, ask.behaviour)
    if not model.config.copies:
        return [_answers(beams)]
    copies, device = model.copies(read, batch), read.states.device
    copied = torch.from_numpy(batch.candidates).to(device)
    shares = copies.gate[:, None, None] + copies.share
    if ask.fresh:
        had = torch.from_numpy(_had(batch.features)).to(device)
        shares = shares.masked_fill(had[..., None], NOTHING)
    if ask.behaviour is not None:
        shares = shares[..., ask.behaviour : ask.behaviour + 1]
    merged = _merged(beams, copied, copies)
    flat = shares.flatten(1)
    score, place = flat.topk(min(ask.width * shares.shape[2], flat.shape[1]), dim=1)
    item = copied.gather(1, place // shares.shape[2])
    done = (
        place % shares.shape[2] if ask.behaviour is None else torch.full_like(place, ask.behaviour)
    )
    told = model.told_paths(read, item.clamp(min=0), done)
    both = torch.logaddexp(score, copies.rest[:, None] + told)
    both = both.masked_fill((item < 0) | (score == NOTHING), NOTHING)
    rest = _rest(copied, shares, place, ask.behaviour)
    return [_answers(one) for one in (Found(item, done, both), merged, rest)]


def _merged(beams: Found, copied: Tensor, copies: Copies) -> Found:
    """Beams with the share that the copy path gives them."""
    same = beams.item[:, :, None] == copied[:, None, :]
    mine, place = same.any(2), same.int().argmax(2)
    rows = torch.arange(len(copied), device=copied.device)[:, None]
    share = copies.gate[:, None] + copies.share[rows, place, beams.behaviour]
    share = share.masked_fill(~mine, NOTHING)
    return beams._replace(score=torch.logaddexp(share, copies.rest[:, None] + beams.score))


def _rest(copied: Tensor, shares: Tensor, taken: Tensor, behaviour: int | None) -> Found:
    """Candidates that the decoder was not asked about."""
    flat = shares.flatten(1).scatter(1, taken, NOTHING)
    behaviours = shares.shape[2]
    item = copied.repeat_interleave(behaviours, dim=1)
    done = torch.arange(flat.shape[1], device=copied.device) % behaviours
    done = done if behaviour is None else torch.full_like(done, behaviour)
    return Found(item, done.expand_as(item), flat.masked_fill(item < 0, NOTHING))


def _answers(found: Found) -> list[list[Answer]]:
    rows = zip(*(part.tolist() for part in found), strict=True)
    return [
        [Answer(*one) for one in zip(*row, strict=True) if one[0] >= 0 and one[2] > NOTHING]
        for row in rows
    ]


def _once(ways: list[list[Answer]]) -> list[Answer]:
    """Each pair once: of several ways to find it the greatest score, best first."""
    pairs: dict[tuple[int, int], float] = {}
    for one in (answer for way in ways for answer in way):
        key = one.item, one.behaviour
        pairs[key] = max(pairs.get(key, NOTHING), one.score)
    return [Answer(*key, score) for key, score in _best(pairs.items())]


Key = TypeVar("Key", int, tuple[int, int])


def _best(scores: Iterable[tuple[Key, float]]) -> list[tuple[Key, float]]:
    """By score, and by code where scores are equal."""
    return sorted(scores, key=lambda pair: (-pair[1], pair[0]))
