"""Rank fusion: the order of a slate by a weighted sum of signals, and what each of them added.

    fuse(["a", "b"], {"rank": [1.0, 0.5], "nli": [-0.2, 0.9]}, {"rank": 0.4, "nli": 1.1}).ranking

Each signal is brought to mean 0 and standard deviation 1 within the slate, so that a weight means the
same for all of them; one that says the same of every item, or nothing, adds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from merchgraph.tools.trained import ToolName

ToolSignal = Literal["semantic", "similar", "copurchase", "frequency", "popularity"]
Signal = Literal["rank", "nli", ToolSignal, ToolName]
TOOL_SIGNALS: frozenset[ToolSignal] = frozenset(get_args(ToolSignal))
"""What `tools/signals.py` knows of an item, and `TRAINED_SIGNALS` `tools/trained.py`; the others are the
agents': "rank" is 1 / the ranker's place, "nli" the logit of s_NLI."""
TRAINED_SIGNALS: frozenset[ToolName] = frozenset(get_args(ToolName))


class Share(BaseModel):
    """One signal of one item.

    Attributes:
        value: as measured; None where nobody could tell.
        adds: weight x normalised value, its part of the sum that orders the slate.
    """

    model_config = ConfigDict(frozen=True)

    value: float | None
    adds: float


class Fused(BaseModel):
    """A slate in its final order, and item -> signal -> what it added."""

    model_config = ConfigDict(frozen=True)

    ranking: list[str]
    shares: dict[str, dict[Signal, Share]]


def normalised(values: Sequence[float | None]) -> list[float]:
    """Values with mean 0 and standard deviation 1; None counts as the mean, equal values are all 0."""
    known = [value for value in values if value is not None]
    if not known:
        return [0.0] * len(values)
    mean = math.fsum(known) / len(known)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / len(known))
    if spread <= 1e-9 * max(1.0, abs(mean)):  # equal but for the noise of adding up
        return [0.0] * len(values)
    return [0.0 if value is None else (value - mean) / spread for value in values]


def fuse(
    items: Sequence[str],
    signals: Mapping[Signal, Sequence[float | None]],
    weights: Mapping[Signal, float],
) -> Fused:
    """The items by their weighted sum, best first; equal sums as given.

    Args:
        items: a slate, each item once.
        signals: one value per item, for every signal that has a weight.
        weights: by signal; 0 shows a signal and lets it decide nothing.
    """
    shares: dict[str, dict[Signal, Share]] = {item: {} for item in items}
    for name, weight in weights.items():
        values = signals[name]
        for item, value, place in zip(items, values, normalised(values), strict=True):
            # rounded, so that float noise makes no order
            shares[item][name] = Share(value=value, adds=round(weight * place, 9))
    sums = {item: math.fsum(share.adds for share in shares[item].values()) for item in items}
    return Fused(ranking=sorted(items, key=lambda item: -round(sums[item], 9)), shares=shares)
