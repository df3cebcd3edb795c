"""Linear click models at work: X W^T + b for users times ads, in microseconds.

    scorer = store.scorer()
    scorer.scores(raw)                        # (U, n) probabilities of a click
    slate = scorer.slate(["a1", "a2", "new"]) # what one page may show; "new" by the median weights
    slate.top(raw[0], k=5)

A scorer never changes; after new weights came, ask the store for another one. Sizes: U users, n ads,
F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from merchgraph.runtime.errors import DataError
from merchgraph.tools.ctr.pool import REACH

Floats = NDArray[np.float32]

ROWS = 64
"""Users per step of a large batch: their scores for some hundred ads stay in the processor's cache."""


class Scored(NamedTuple):
    """An ad and the probability that a user clicks it."""

    ad: str
    probability: float


@dataclass(frozen=True, eq=False)
class Scorer:
    """The click models of n ads.

    Attributes:
        ads: n ids.
        weights: (n, F) for standardised features.
        intercepts: (n,)
        centre, spread: (F,) that standardise raw features.
        cold: (F + 1,) weights and intercept of an ad that has none of its own: LR_cold, the median of
            the pool.
        unknown: ads of a slate that are scored by `cold`.

    Raises:
        DataError: shapes that do not fit together, or a number that is not finite.
    """

    ads: tuple[str, ...]
    weights: Floats
    intercepts: Floats
    centre: Floats
    spread: Floats
    cold: Floats
    unknown: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        n, width = len(self.ads), len(self.centre)
        shapes = {"weights": (n, width), "intercepts": (n,), "spread": (width,)}
        shapes["cold"] = (width + 1,)
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape or not np.isfinite(array).all():
                raise DataError(
                    f"A scorer's {name} have the shape {array.shape} or a number that is not finite; "
                    f"{n} ads and {width} features need {shape}."
                )

    @cached_property
    def _columns(self) -> Floats:
        """(F, n) in the order in which the product reads it."""
        return np.ascontiguousarray(self.weights.T)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {ad: place for place, ad in enumerate(self.ads)}

    def standardised(self, raw: ArrayLike) -> Floats:
        """(U, F) raw features in [0, 1], or (F,) of one user, as the weights read them.

        Raises:
            DataError: another number of features, or a number that is not finite.
        """
        values = np.asarray(raw, dtype=np.float32)
        if values.ndim not in (1, 2) or values.shape[-1] != len(self.centre):
            raise DataError(
                f"The users' features have the shape {values.shape}; expected (users, "
                f"{len(self.centre)}) or ({len(self.centre)},)."
            )
        if not np.isfinite(values).all():
            raise DataError("The users' features hold a number that is not finite.")
        z = (values - self.centre) / self.spread
        return np.clip(z, -REACH, REACH, out=z)

    def scores(self, raw: ArrayLike) -> Floats:
        """Probabilities of a click: (U, n) for (U, F) raw features, (n,) for those of one user.

        Raises:
            DataError: as `standardised`.
        """
        z = self.standardised(raw)
        if z.ndim == 1:
            return _sigmoid(z @ self._columns + self.intercepts)
        scores = np.empty((len(z), len(self.ads)), dtype=np.float32)
        for start in range(0, len(z), ROWS):
            part = scores[start : start + ROWS]
            np.matmul(z[start : start + ROWS], self._columns, out=part)
            part += self.intercepts
            _sigmoid(part)
        return scores

    def top(self, raw: ArrayLike, k: int) -> list[Scored]:
        """The k ads that one user most likely clicks, best first; equal scores in the order of `ads`."""
        scores = self.scores(np.asarray(raw, dtype=np.float32).reshape(-1))
        order = np.argsort(-scores, kind="stable")[:k]
        return [Scored(self.ads[place], float(scores[place])) for place in order]

    def slate(self, ads: Sequence[str]) -> Scorer:
        """These ads, in this order; an ad without weights has those of `cold`."""
        places = [self._places.get(ad, -1) for ad in ads]
        weights = np.vstack([self.weights, self.cold[None, :-1]])[places]
        return Scorer(
            tuple(ads), weights, np.append(self.intercepts, self.cold[-1])[places],
            self.centre, self.spread, self.cold,
            frozenset(ad for ad, place in zip(ads, places, strict=True) if place < 0),
        )  # fmt: skip


def _sigmoid(logits: Floats) -> Floats:
    """In place; log-odds are kept within 80, where a float32 exp stays finite."""
    np.clip(logits, -80, 80, out=logits)
    np.negative(logits, out=logits)
    np.exp(logits, out=logits)
    logits += 1
    return np.reciprocal(logits, out=logits)
