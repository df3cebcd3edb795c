"""How well clips are scored: macro F1, balanced accuracy, AUC, with intervals that draw whole people.

    scored = Scored.of(p, error, person)
    scored.means()["AUC"]; scored.minus(other)            # the second is paired: the same people

Clips of one person are alike, so a bootstrap draws people, with repetition, 9,999 times, and the measure
is taken of all clips of those drawn. People are held out one by one: each p is of a model that has not
seen its person. Sizes: N clips, P people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from merchgraph.evals.metrics.bootstrap import DRAWS, LEVEL, SEED, Estimate

Floats = NDArray[np.float64]
MEASURES = ("macro F1", "balanced accuracy", "AUC")
"""F1 of errors and of the rest, averaged; mean of the shares of both that are found, both at p >= 0.5;
probability that an error scores higher than a clip without, ties counting half. Chance has .5 of the last
two."""


class Scored(NamedTuple):
    """Counts by person, of which every measure is a ratio.

    Attributes:
        cells: (4, P) errors found, errors missed, false alarms, rightly left alone.
        wins: (P, P) pairs (error of one, clip without of another) in the right order; ties count half.
        pairs: (P, P) all such pairs.
    """

    cells: Floats
    wins: Floats
    pairs: Floats

    @classmethod
    def of(cls, p: ArrayLike, error: ArrayLike, person: Sequence[str] | NDArray[np.str_]) -> Scored:
        """Count.

        Args:
            p: (N,) probabilities, finite.
            error: (N,) 1 or 0, both there.
            person: (N,).
        """
        score, true = np.round(np.asarray(p, dtype=np.float64), 9), np.asarray(error, dtype=bool)
        whose = np.unique(np.asarray(person), return_inverse=True)[1]
        member = np.eye(whose.max() + 1)[whose]
        said = score >= 0.5
        masks = (said & true, ~said & true, said & ~true, ~said & ~true)
        cells = np.stack([member[mask].sum(0) for mask in masks])
        ahead = (np.sign(score[true][:, None] - score[~true][None]) + 1) / 2
        wins = member[true].T @ ahead @ member[~true]
        pairs = np.outer(member[true].sum(0), member[~true].sum(0))
        return cls(cells, wins, pairs)

    def measured(self, weights: Floats) -> dict[str, Floats]:
        """Measures of people drawn (draws, P) times; NaN where a draw has one label only."""
        hit, missed, alarm, calm = (weights @ self.cells.T).T
        with np.errstate(invalid="ignore", divide="ignore"):
            f1 = (2 * hit / (2 * hit + missed + alarm) + 2 * calm / (2 * calm + missed + alarm)) / 2
            balanced = (hit / (hit + missed) + calm / (calm + alarm)) / 2
            auc = _both(weights, self.wins) / _both(weights, self.pairs)
        return {"macro F1": f1, "balanced accuracy": balanced, "AUC": auc}

    def means(self) -> dict[str, Estimate]:
        """Each measure with its interval; n counts people."""
        drawn = self.measured(self._draws())
        once = self.measured(np.ones((1, self.cells.shape[1])))
        return {
            name: _estimate(once[name][0], drawn[name], self.cells.shape[1]) for name in MEASURES
        }

    def minus(self, other: Scored, name: str = "AUC") -> Estimate:
        """The difference of a measure, over the same draws of the same people."""
        draws, one = self._draws(), np.ones((1, self.cells.shape[1]))
        gaps = self.measured(draws)[name] - other.measured(draws)[name]
        gap = self.measured(one)[name][0] - other.measured(one)[name][0]
        return _estimate(gap, gaps, self.cells.shape[1])

    def _draws(self) -> Floats:
        people = self.cells.shape[1]
        rng = np.random.default_rng(SEED)
        return rng.multinomial(people, np.full(people, 1 / people), size=DRAWS).astype(np.float64)


def _both(weights: Floats, table: Floats) -> Floats:
    """(draws, P), (P, P) -> (draws,)."""
    return np.asarray(((weights @ table) * weights).sum(1))


def _estimate(middle: float, drawn: Floats, n: int) -> Estimate:
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.nanpercentile(drawn, [tail, 100 - tail])
    ends = (round(float(value), 9) for value in (middle, low, high))
    return Estimate(**dict(zip(("mean", "low", "high"), ends, strict=True)), n=n)
