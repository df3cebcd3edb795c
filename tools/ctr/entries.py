"""The lines of a weight store: what all weights of one store are for, and weights with their key.

A line is the CRC-32 of its JSON in eight hex digits, a blank, the JSON, and a line end.
"""

from __future__ import annotations

import zlib
from typing import Annotated, Literal, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from merchgraph.tools.ctr.pool import Pool
from merchgraph.tools.ctr.weights import intercept

LARGEST = 100.0
"""Of a weight or intercept, in log-odds: a number beyond it is a fault, whoever wrote it."""
Bounded = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Vector = tuple[Bounded, ...]
Key = tuple[str, str, str, str]
Origin = Literal["model", "mixed", "neighbours", "clicks"]
"""Who wrote weights: the model; the model in part; the neighbours' mean in its place; clicks."""
L = TypeVar("L", bound=BaseModel)


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Basis(_Line):
    """What all weights of one store are for.

    Attributes:
        features: F names, in the order of every weight vector.
        centre, spread: (F,) that standardise raw features.
        cold: (F,) weights of an ad that has none of its own: LR_cold, the median of retired ads.
        cold_intercept: with it the reference users click such an ad at the pool's mean rate.
    """

    features: tuple[str, ...]
    centre: Vector
    spread: Vector
    cold: Vector
    cold_intercept: Bounded

    @classmethod
    def of(cls, pool: Pool) -> Self:
        """The basis of weights that are written from a pool."""
        cold = np.median(pool.weights, axis=0)
        return cls(
            features=tuple(feature.name for feature in pool.features),
            centre=tuple(pool.centre.tolist()),
            spread=tuple(pool.spread.tolist()),
            cold=tuple(cold.tolist()),
            cold_intercept=intercept(pool.users @ cold, float(pool.rates.mean())),
        )


class Draft(_Line):
    """Weights to be kept.

    Attributes:
        ad, content, prompt, model: the key: the ad's id, the hash of its text and image, the version
            of the prompts, and the model's name.
        weights: (F,), each within -100 to 100, as is the intercept.
        origin: who wrote them.
        clicks: that trained weights in them have seen.
    """

    ad: str = Field(min_length=1)
    content: str
    prompt: str
    model: str
    weights: tuple[Bounded, ...]
    intercept: Bounded
    origin: Origin = "model"
    clicks: Annotated[int, Field(ge=0)] = 0

    @property
    def key(self) -> Key:
        """What its versions are counted under."""
        return self.ad, self.content, self.prompt, self.model


class Entry(Draft):
    """Kept weights; `version` counts those of one key from 1."""

    version: Annotated[int, Field(ge=1)]


def as_line(values: BaseModel) -> bytes:
    """An object as a line."""
    text = values.model_dump_json().encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def of_line(line: bytes, kind: type[L]) -> L | None:
    """The object of a line; None where the line is damaged or holds something else."""
    checksum, _, text = line.removesuffix(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        return kind.model_validate_json(text)
    except ValidationError:
        return None
