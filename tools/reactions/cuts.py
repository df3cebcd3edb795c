"""Clips cut to spans of the same time for a model: normalised by person, blind to a clip's length.

    cut = cut_clips(clips)             # errors and correct answers
    model.fit(cut[train]); model.p(cut[test])

Every clip gives the same number of spans of the same length, and a model scores spans: the
score of a clip is their mean. Windows spread over a whole clip would overlap more in a short one, and so
tell its length (with the confound of `made.py` and faces that show nothing, an AUC of .83).

Sizes: N clips, C spans of a clip, T bins, F features, W windows, D = S * F summaries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import DataError
from merchgraph.tools.reactions.data import Clip, Clips
from merchgraph.tools.reactions.windows import (
    BIN_S,
    SPAN,
    Floats,
    binned,
    filled,
    names,
    scale,
    told_of,
)

SPANS = 3
"""C: spans of a clip."""
POSITION = 0.98
"""|corr| of a feature with the time of its clip, or the place in the recording, from which it is no
feature of a face but a clock."""


@dataclass(frozen=True, eq=False)
class Cut:
    """What a model learns from.

    Attributes:
        features: (F,) names.
        bins: (N, C, T, F) person-normalised, without NaN.
        told: (N, C, W, D) summaries of each window.
        error: (N,) 1.0 where the assistant erred.
        person: (N,) names.
        clues: name -> (N,), what a feature may not tell: number of frames, place in the recording. No
            model is fed with them; guards and traps are.
    """

    features: tuple[str, ...]
    bins: Floats
    told: Floats
    error: Floats
    person: NDArray[np.str_]
    clues: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.error)

    def __getitem__(self, which: NDArray[Any]) -> Cut:
        """The clips with these numbers, or where this is True."""
        clues = {name: clue[which] for name, clue in self.clues.items()}
        return Cut(self.features, self.bins[which], self.told[which], self.error[which],
                   self.person[which], clues)  # fmt: skip

    def only(self, features: Sequence[str]) -> Cut:
        """The same clips with some of the features."""
        at = [self.features.index(name) for name in features]
        every = names(self.features)
        columns = [every.index(name) for name in names(features)]
        return Cut(tuple(features), self.bins[..., at], self.told[..., columns], self.error,
                   self.person, self.clues)  # fmt: skip


def cut_clips(clips: Clips, *, span: int = SPAN) -> Cut:
    """The clips labelled error or correct; the others teach nothing about either.

    Args:
        clips: none shorter than a span.
        span: T.

    Raises:
        DataError: there are no clips of both labels, one is too short, or a feature is a clock.
    """
    kept = [clip for clip in clips.clips if clip.label in ("error", "correct")]
    for label in ("error", "correct"):
        if not any(clip.label == label for clip in kept):
            raise DataError(f"No clip is labelled {label!r}; give some of error and of correct.")
    refuse_clocks(clips)
    scales = {
        person: scale(np.concatenate([clip.values for clip in clips.of(person).clips]))
        for person in clips.people
    }
    bins = np.stack([_spans(clip, *scales[clip.person], span) for clip in kept])
    place = np.array([clip.place for clip in kept])
    return Cut(
        features=clips.features,
        bins=bins,
        told=told_of(bins),
        error=np.array([float(clip.label == "error") for clip in kept]),
        person=np.array([clip.person for clip in kept]),
        clues={
            "frames": np.array([float(len(clip.times)) for clip in kept]),
            "seconds": np.array([clip.seconds for clip in kept]),
            "place": place,
            "middle": -np.abs(place - 0.5),
        },
    )


def refuse_clocks(clips: Clips) -> None:
    """Refuse a feature that tells the time of its clip and nothing else: a frame number, a position.

    Raises:
        DataError: names the feature.
    """
    for n, feature in enumerate(clips.features):
        found = [_clock(clip, n) for clip in clips.clips if len(clip.times) > 2]
        if found and np.median(found) > POSITION:
            raise DataError(
                f"The feature {feature!r} is a clock: it goes with the time of its clip (median |corr| "
                f"{np.median(found):.2f}), so it tells where in the video a frame is and not what the "
                "face does; leave the column out."
            )


def _clock(clip: Clip, feature: int) -> float:
    values = clip.values[:, feature]
    there = ~np.isnan(values)
    if there.sum() < 3 or np.ptp(values[there]) == 0:
        return 0.0
    return float(abs(np.corrcoef(clip.times[there], values[there])[0, 1]))


def _spans(clip: Clip, mean: Floats, spread: Floats, span: int) -> Floats:
    """(C, T, F)."""
    free = clip.seconds - span * BIN_S
    if free < -1e-9:
        raise DataError(
            f"The clip {clip.name!r} lasts {clip.seconds:.2f} s, but a span is {span * BIN_S:g} s; "
            "leave it out of the labels, or give it a later end."
        )
    values = (clip.values - mean) / spread
    begins = np.linspace(0.0, max(free, 0.0), SPANS)
    return np.stack([filled(binned(clip.times, values, begin, span)) for begin in begins])
