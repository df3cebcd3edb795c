"""What tells an error from a face: weighted sums of summaries, pooled over windows; and a fusion of them.

    model = Mil().fit(cut[train])
    model.p(cut[test])                  # (N,) probability that the assistant erred

The guard drops a summary that goes with a clue (number of frames, place in the recording) by |corr| > .30
among the training clips, a rule of ERR@HRI 3.0. Ours looks within each label: where errors are
filmed longer, every true sign of an error goes with the length, too, and would be lost.

Sizes: N clips, C spans, W windows, D summaries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import DataError
from merchgraph.tools.reactions.cuts import Cut
from merchgraph.tools.reactions.linear import (
    PENALTY,
    fit_linear,
    platt,
    pooled,
    probability,
)
from merchgraph.tools.reactions.windows import Floats

LIMIT = 0.30
"""|corr| with a clue from which a summary is dropped."""
FOLDS = 4
FAMILIES = {
    "smile": r"AU(06|12|14|25)_r|mouth(Smile|Dimple).*|cheek.*",
    "brow and lid": r"AU(01|02|04|05|07)_r|brow.*|eye(Wide|Squint).*",
    "gaze and head": r"gaze_.*|pose_.*|eyeLook.*",
    "rest of the face": r".*",
}
"""Features by where they stand in the face, for the fusion; each belongs to the first that it fits."""


class Scorer(Protocol):
    """What learns from clips and scores others."""

    def fit(self, cut: Cut) -> Self:
        """Learn; the clips are of both labels."""
        ...

    def p(self, cut: Cut) -> Floats:
        """(N,) probability of an error."""
        ...


def guarded(
    told: Floats, error: Floats, clues: Mapping[str, Floats], limit: float = LIMIT
) -> NDArray[np.bool_]:
    """(D,) True for each summary that no clue goes with, within the labels.

    Args:
        told: (N, D).
        error: (N,) labels.
        clues: name -> (N,).
        limit: |corr| above which a summary is dropped.
    """
    kept = np.ones(told.shape[-1], dtype=bool)
    for clue in clues.values():
        kept &= correlations(_within(told, error), _within(clue, error)) <= limit
    return kept


def _within(values: Floats, error: Floats) -> Floats:
    """(N, ...) minus the mean of the clips with the same label."""
    means = {label: values[error == label].mean(0) for label in np.unique(error)}
    return np.asarray(values - np.stack([means[label] for label in error]))


def correlations(columns: Floats, clue: Floats) -> Floats:
    """(D,) |corr| of columns (N, D) with a clue (N,); 0 for what never varies."""
    a, b = columns - columns.mean(0), clue - clue.mean()
    size = np.sqrt((a**2).sum(0) * (b**2).sum())
    return np.asarray(np.abs(b @ a) / np.where(size > 0, size, np.inf))


@dataclass
class Mil:
    """Each window has a logit, the span their log-sum-exp (multiple-instance learning)."""

    penalty: float = PENALTY
    limit: float = LIMIT

    def fit(self, cut: Cut) -> Self:
        """Learn from the summaries that the guard leaves."""
        keep = guarded(cut.told.mean((1, 2)), cut.error, cut.clues, self.limit)
        self.linear = fit_linear(cut.told, cut.error, keep, penalty=self.penalty)
        return self

    def logits(self, cut: Cut) -> Floats:
        """(N, C) of each span."""
        return pooled(self.linear.logits(cut.told))

    def p(self, cut: Cut) -> Floats:
        """(N,) probability of an error, of the mean over the spans."""
        return probability(self.logits(cut).mean(-1))


def whole(cut: Cut) -> Floats:
    """(N, C, 1, 2 D): mean and maximum of each summary over the windows of a span."""
    return np.concatenate([cut.told.mean(2), cut.told.max(2)], axis=-1)[:, :, None]


@dataclass
class Logistic:
    """Logistic regression on the summaries of a whole span."""

    penalty: float = PENALTY
    limit: float = LIMIT

    def fit(self, cut: Cut) -> Self:
        """Learn from the summaries that the guard leaves."""
        told = whole(cut)
        keep = guarded(told.mean((1, 2)), cut.error, cut.clues, self.limit)
        self.linear = fit_linear(told, cut.error, keep, penalty=self.penalty)
        return self

    def logits(self, cut: Cut) -> Floats:
        """(N, C) of each span."""
        return self.linear.logits(whole(cut))[..., 0]

    def p(self, cut: Cut) -> Floats:
        """(N,) probability of an error, of the mean over the spans."""
        return probability(self.logits(cut).mean(-1))


@dataclass
class Fusion:
    """One logistic regression per part of the face, calibrated on people it has not seen, then combined.

    Late fusion of calibrated scores beat one model of everything on the few clips of ERR@HRI 3.0.
    """

    penalty: float = PENALTY

    def fit(self, cut: Cut) -> Self:
        """Learn the parts on all clips, and how to combine them on held-out people's."""
        self.parts = families(cut.features)
        outside = np.stack([
            out_of_fold(lambda: Logistic(self.penalty), cut.only(part)).mean(-1)
            for part in self.parts
        ], axis=1)  # fmt: skip
        self.scale = [platt(column, cut.error) for column in outside.T]
        logits = self._calibrated(outside)[:, None, None]
        keep = np.ones(len(self.parts), dtype=bool)
        self.top = fit_linear(logits, cut.error, keep, penalty=self.penalty)
        self.models = [Logistic(self.penalty).fit(cut.only(part)) for part in self.parts]
        return self

    def p(self, cut: Cut) -> Floats:
        """(N,) probability of an error."""
        pairs = zip(self.models, self.parts, strict=True)
        logits = np.stack([model.logits(cut.only(part)).mean(-1) for model, part in pairs], axis=1)
        return probability(self.top.logits(self._calibrated(logits)))

    def _calibrated(self, logits: Floats) -> Floats:
        slopes, biases = np.array(self.scale).T
        return np.asarray(logits * slopes + biases)


def families(features: Sequence[str]) -> list[tuple[str, ...]]:
    """The features of each part of the face that has any; see `FAMILIES`."""
    first = [
        next(name for name, form in FAMILIES.items() if re.fullmatch(form, feature))
        for feature in features
    ]
    groups = [
        tuple(f for f, n in zip(features, first, strict=True) if n == name) for name in FAMILIES
    ]
    return [group for group in groups if group]


class _Logits(Protocol):
    def fit(self, cut: Cut) -> Self: ...

    def logits(self, cut: Cut) -> Floats: ...


def out_of_fold(make: Callable[[], _Logits], cut: Cut, folds: int = FOLDS) -> Floats:
    """(N, C) logits of each span by a model that has not seen its person.

    Raises:
        DataError: there are too few people for that.
    """
    people = list(dict.fromkeys(cut.person))
    if len(people) < 2:
        raise DataError(
            "Models are held against people they have not seen; give clips of at least 2."
        )
    fold = np.array([people.index(person) % folds for person in cut.person])
    found = np.zeros(cut.told.shape[:2])
    for number in np.unique(fold):
        held = fold == number
        found[held] = make().fit(cut[~held]).logits(cut[held])
    return found
