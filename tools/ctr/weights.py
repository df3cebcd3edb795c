"""From a model's reply to weights that may be served: check, clip, rescale, shrink, calibrate.

    found = checked({"aisle: dairy": 0.4, "aisle: moon": 9}, names, {"aisle: dairy": "+"})
    w = normalise(found.vector(names), Near(neighbours, cosines, low, high), share=0.7).weights
    b = intercept(pool.users @ np.array(w), rate(rates, cosines))

LLM-HYPER (arXiv 2604.12096) normalises the weights and calibrates the intercept to the range of its
production model; its formulas are not published, and these are ours. Sizes: F features, K neighbours
among retired ads, R reference users. All weights are for standardised features (`pool.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Doubles = NDArray[np.float64]
Direction = Literal["+", "-", "0"]
Level = Literal["--", "-", "0", "+", "++"]

LEVELS: dict[Level, float] = {"--": 0.05, "-": 0.25, "0": 0.5, "+": 0.75, "++": 0.95}
"""What a level of `choose` stands for: a quantile of the feature's weights in the pool."""
RANGE = (0.01, 0.99)
"""Quantiles of the pool's weights between which a written weight may lie."""
FROM, TO = -15.0, 5.0
"""Where an intercept is looked for."""
STEPS = 40
"""Halvings of that interval, to 2e-11."""
DIGITS = 6
"""Kept of a weight: its hash and its tape are then the same on every processor."""
PRINTED = 2
"""Digits of weights in prompts; what rounds to 0 with these says 0."""


class Checked(BaseModel):
    """A reply's weights, and what was wrong with it.

    Attributes:
        weights: feature -> weight, every feature that was asked for, in its order.
        missing: features that the reply left out; they weigh 0.
        unknown: keys of the reply that are no features; they are dropped.
        unusable: features whose weight is no finite number; they weigh 0.
        contrary: features whose weight contradicts the reason given for it; they weigh 0.
        reasons: how many features had a reason with a direction.
        agreeing: of them, whose weight had that direction.
    """

    model_config = ConfigDict(frozen=True)

    weights: dict[str, float] = {}
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()
    contrary: tuple[str, ...] = ()
    reasons: int = 0
    agreeing: int = 0

    @property
    def consistency(self) -> float | None:
        """Share of the reasons whose direction the weight had; None without reasons."""
        return self.agreeing / self.reasons if self.reasons else None

    def vector(self, names: Sequence[str]) -> Doubles:
        """(F,) — the weights in the order of `names`; NaN where nothing was written."""
        return np.array([self.weights.get(name, math.nan) for name in names], dtype=np.float64)

    def __add__(self, other: Checked) -> Checked:
        """The check of another reply beside this one's."""
        return Checked(
            weights=self.weights | other.weights,
            missing=self.missing + other.missing,
            unknown=self.unknown + other.unknown,
            unusable=self.unusable + other.unusable,
            contrary=self.contrary + other.contrary,
            reasons=self.reasons + other.reasons,
            agreeing=self.agreeing + other.agreeing,
        )


def checked(
    reply: Mapping[str, object], names: Sequence[str], directions: Mapping[str, Direction]
) -> Checked:
    """Keep what can be used of a reply's weights.

    Args:
        reply: key -> what the model wrote for it, whatever that is.
        names: the features that were asked for.
        directions: feature -> the direction that the model's reason gave it, for reasons it gave.
    """
    found = {name: _number(reply[name]) for name in names if name in reply}
    told = {name: direction for name, direction in directions.items() if name in names}
    heard = {name: _sign(found.get(name) or 0.0) == way for name, way in told.items()}
    contrary = [name for name, agrees in heard.items() if not agrees and found.get(name)]
    kept = {name: value for name, value in found.items() if value is not None}
    return Checked(
        weights={name: 0.0 if name in contrary else kept.get(name, 0.0) for name in names},
        missing=tuple(name for name in names if name not in reply),
        unknown=tuple(key for key in reply if key not in names),
        unusable=tuple(name for name, value in found.items() if value is None),
        contrary=tuple(contrary),
        reasons=len(heard),
        agreeing=sum(heard.values()),
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number of a thousand digits
        return None
    return number if math.isfinite(number) else None


def _sign(weight: float) -> Direction:
    rounded = round(weight, PRINTED)
    return "+" if rounded > 0 else "-" if rounded < 0 else "0"


def clip(weights: Doubles, low: Doubles, high: Doubles) -> Doubles:
    """(F,) — each weight within [low, high] of its feature; 0 is always within.

    That 0 is, is ours: no weight changes its sign, and a feature that was left out stays at 0.
    """
    return np.clip(weights, np.minimum(low, 0), np.maximum(high, 0))


def usual_norm(neighbours: Doubles) -> float:
    """The median L2 norm of (K, F) weight vectors."""
    return float(np.median(np.linalg.norm(neighbours, axis=1)))


def rescale(weights: Doubles, norm: float) -> Doubles:
    """(F,) — the same direction with this L2 norm; a vector of zeros as it is."""
    length = float(np.linalg.norm(weights))
    return weights * (norm / length) if length > 0 else weights


def shrink(weights: Doubles, towards: Doubles, share: float) -> Doubles:
    """(F,) — share * weights + (1 - share) * towards; the share is lambda, 0 to 1."""
    return share * weights + (1 - share) * towards


@dataclass(frozen=True, eq=False)
class Near:
    """What a new ad's weights are held against.

    Attributes:
        weights: (K, F) of its neighbours.
        cosines: (K,) to them.
        low, high: (F,) `RANGE` of each feature's weights in the pool.
    """

    weights: Doubles
    cosines: Sequence[float]
    low: Doubles
    high: Doubles


class Normalised(BaseModel):
    """The steps from written weights to those that are kept, each (F,).

    Attributes:
        clipped: into the pool's range; 0 where nothing was written.
        scaled: to the norm that the neighbours' weights usually have, and into the range once more.
        neighbours: their mean.
        weights: share * scaled + (1 - share) * neighbours; the neighbours' where nothing was written.
        norm: that of the second step.
        share: lambda of the fourth.
    """

    model_config = ConfigDict(frozen=True)

    clipped: tuple[float, ...]
    scaled: tuple[float, ...]
    neighbours: tuple[float, ...]
    weights: tuple[float, ...]
    norm: float
    share: float


def normalise(written: Doubles, near: Near, share: float) -> Normalised:
    """All steps from written weights (F,), NaN where nothing was written, to those that are kept."""
    own = ~np.isnan(written)
    norm = usual_norm(near.weights[:, own])
    clipped = clip(np.where(own, written, 0.0), near.low, near.high)
    # few and small weights would be stretched beyond what any ad ever had
    scaled = clip(rescale(clipped, norm), near.low, near.high)
    neighbours = mean(near.weights, near.cosines)
    kept = np.where(own, shrink(scaled, neighbours, share), neighbours)
    steps = {"clipped": clipped, "scaled": scaled, "neighbours": neighbours, "weights": kept}
    rounded = {name: tuple(np.round(step, DIGITS).tolist()) for name, step in steps.items()}
    return Normalised(**rounded, norm=round(norm, DIGITS), share=share)


def mean(values: Doubles, cosines: Sequence[float]) -> Doubles:
    """The mean of K neighbours' weights (K, F), weighted by similarity; cosines below 0 count as 0.

    Plain where no neighbour is alike at all.
    """
    near = np.maximum(np.asarray(cosines, dtype=np.float64), 0)
    weights = near / near.sum() if near.sum() > 0 else np.full(len(near), 1 / len(near))
    return np.asarray(weights @ values, dtype=np.float64)


def rate(rates: Doubles, cosines: Sequence[float]) -> float:
    """p0 = sum_k sim_k rate_k / sum_k sim_k, the clicks per exposure to be expected; see `mean`."""
    return float(mean(rates, cosines))


def first_guess(logits: Doubles, wanted: float) -> float:
    """logit(wanted) - mean(logits): the intercept if the sigmoid were a line."""
    share = min(max(wanted, 1e-9), 1 - 1e-9)
    return round(math.log(share / (1 - share)) - float(np.mean(logits)), DIGITS)


def intercept(logits: Doubles, wanted: float) -> float:
    """b with mean of sigmoid(b + logits) = wanted, by bisection on [-15, 5].

    The mean grows with b; where `wanted` is out of its reach, b is the nearer end.

    Args:
        logits: (R,) w . z of reference users.
        wanted: the mean probability of a click, 0 to 1.
    """
    low, high = FROM, TO
    for _ in range(STEPS):
        middle = (low + high) / 2
        if predicted(logits, middle) < wanted:
            low = middle
        else:
            high = middle
    return round((low + high) / 2, DIGITS)


def predicted(logits: Doubles, b: float) -> float:
    """The mean probability of a click over users whose log-odds without the intercept are `logits`."""
    return float(np.mean(1 / (1 + np.exp(-np.clip(logits + b, -60, 60)))))


def level_of(weight: float, values: Mapping[Level, float]) -> Level:
    """The level whose value is nearest to a weight."""
    return min(values, key=lambda level: abs(values[level] - weight))


def expected(odds: Mapping[Level, float], values: Mapping[Level, float]) -> float:
    """The mean weight under the probabilities of its levels."""
    return sum(odds[level] * values[level] for level in values)


def hand_over(written: Doubles, trained: Doubles, clicks: int, prior: float) -> Doubles:
    """(n0 w_written + n w_trained) / (n0 + n): trained weights take over as clicks arrive.

    Args:
        written: (F,) or a single number, what the ad began with.
        trained: the same of a model trained on the ad's own clicks.
        clicks: n, that the trained model has seen.
        prior: n0 > 0, clicks at which both count the same.
    """
    return (prior * written + clicks * trained) / (prior + clicks)
