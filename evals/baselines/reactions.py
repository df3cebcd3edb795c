"""What an error's detector must beat, and the traps: label shares, clip length, place in the video.

    Traps("place", "middle").fit(cut[train]).p(cut[test])     # sees no face at all
    Boosting().fit(cut[train]).p(cut[test])                   # trees, on what `Logistic` sees
    seen = carelessly(cut, clips)                             # whole clips, as long as they are
    Careless().fit(seen[train]).p(seen[test])

A trap that scores well says that the clips give their labels away, not that faces do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from merchgraph.evals.extra import bench
from merchgraph.tools.reactions.cuts import Cut
from merchgraph.tools.reactions.data import Clips
from merchgraph.tools.reactions.linear import Linear, fit_linear, probability
from merchgraph.tools.reactions.model import guarded, whole
from merchgraph.tools.reactions.windows import Floats


class Majority:
    """The more frequent label of the training clips, whatever is seen."""

    def fit(self, cut: Cut) -> Self:
        """Count."""
        self.error = float(cut.error.mean() >= 0.5)
        return self

    def p(self, cut: Cut) -> Floats:
        """(N,) 1 or 0, the same for all."""
        return np.full(len(cut), self.error)


class Traps:
    """Logistic regression on clues that no model may see.

    Args:
        clues: names as in `Cut.clues`.
    """

    def __init__(self, *clues: str) -> None:
        self.clues = clues

    def fit(self, cut: Cut) -> Self:
        """Learn how the label goes with the clues."""
        self.plain = Plain().fit(self._columns(cut), cut.error)
        return self

    def p(self, cut: Cut) -> Floats:
        """(N,) probability of an error."""
        return self.plain.p(self._columns(cut))

    def _columns(self, cut: Cut) -> Floats:
        return np.stack([cut.clues[name] for name in self.clues], axis=1)


class Plain:
    """Logistic regression on a table (N, D), with nothing guarded."""

    linear: Linear

    def fit(self, table: Floats, error: Floats) -> Self:
        """Learn."""
        keep = np.ones(table.shape[1], dtype=bool)
        self.linear = fit_linear(table[:, None, None], error, keep)
        return self

    def p(self, table: Floats) -> Floats:
        """(N,) probability of an error."""
        return probability(self.linear.logits(table))


class Careless:
    """`Plain` on whole clips; see `carelessly`."""

    def fit(self, cut: Cut) -> Self:
        """Learn."""
        self.plain = Plain().fit(cut.told[:, 0, 0], cut.error)
        return self

    def p(self, cut: Cut) -> Floats:
        """(N,) probability of an error."""
        return self.plain.p(cut.told[:, 0, 0])


BINS = 32
"""Values that a tree tells apart of a summary; few clips allow no more, and fits are fast."""


@dataclass
class Boosting:
    """Gradient-boosted trees of scikit-learn on the summaries of spans, with the guard of ours."""

    rounds: int = 30
    leaves: int = 8
    seed: int = 0

    def fit(self, cut: Cut) -> Self:
        """Learn; each span is an example.

        Raises:
            SetupError: the extra bench is not installed.
        """
        with bench("Gradient boosting"):
            from sklearn.ensemble import HistGradientBoostingClassifier
        table = whole(cut)[:, :, 0]
        self.keep = guarded(table.mean(1), cut.error, cut.clues)
        self.trees = HistGradientBoostingClassifier(
            max_iter=self.rounds, max_leaf_nodes=self.leaves, learning_rate=0.1,
            l2_regularization=1.0, max_bins=BINS, class_weight="balanced", random_state=self.seed,
        )  # fmt: skip
        examples = table[..., self.keep]
        spans = examples.shape[1]
        self.trees.fit(np.concatenate(examples), np.repeat(cut.error, spans))
        return self

    def p(self, cut: Cut) -> Floats:
        """(N,) mean over the spans of the probability of an error."""
        table = whole(cut)[:, :, 0][..., self.keep]
        found = self.trees.predict_proba(np.concatenate(table))[:, 1]
        return np.asarray(found.reshape(table.shape[:2]).mean(1))


def carelessly(cut: Cut, clips: Clips) -> Cut:
    """A cut of these clips with `whole_clips` for its summaries: one span, one window."""
    return replace(cut, told=whole_clips(clips)[:, None, None])


def whole_clips(clips: Clips) -> Floats:
    """(N, 6 F) what a careless model looks at: sums and extremes of clips as long as they happen to be.

    Sum, maximum, range, way travelled, number of frames above the mean, second of the maximum; clips of
    the labels error and correct, as in a `Cut`.
    """
    kept = [clip for clip in clips.clips if clip.label in ("error", "correct")]
    return np.stack([_careless(clip.values, clip.times) for clip in kept])


def _careless(values: Floats, times: Floats) -> Floats:
    there = ~np.isnan(values)
    mean = np.where(there, values, 0).sum(0) / np.maximum(there.sum(0), 1)
    full = np.where(there, values, mean)
    top, low = full.max(0), full.min(0)
    way = np.abs(np.diff(full, axis=0)).sum(0)
    return np.concatenate(
        [full.sum(0), top, top - low, way, (full > mean).sum(0), times[full.argmax(0)]]
    )
