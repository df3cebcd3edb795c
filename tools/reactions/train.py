"""Training of the detector, on what it will see: bins that were normalised from the past alone.

    detector = fit_detector(clips)
    train(clips, Config(), home("reactions", "made"))      # the same, kept with a card

Each person's clips are watched in their order; every clip gives the same number of spans of 3 s.
Calibration is by spans of people who were held out (Platt 1999): a detector reads single spans, and their
mean over a clip is surer of itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from merchgraph.runtime.errors import DataError
from merchgraph.tools.reactions.config import Config
from merchgraph.tools.reactions.cuts import Cut, cut_clips
from merchgraph.tools.reactions.data import Clip, Clips
from merchgraph.tools.reactions.linear import platt
from merchgraph.tools.reactions.model import Mil, out_of_fold
from merchgraph.tools.reactions.stream import Detector, Learnt
from merchgraph.tools.reactions.watch import Face, Watch
from merchgraph.tools.reactions.windows import (
    BIN_S,
    LEAST_SD,
    SPAN,
    Floats,
    binned,
    filled,
    told_of,
)

__all__ = ["Config", "fit_detector", "train"]
Progress = Callable[[int, int, str], None]
BETWEEN_S = 1.0
"""Seconds that lie between two clips of a person when they are watched in a row."""


def train(
    clips: Clips, config: Config, folder: Path, *, progress: Progress | None = None
) -> Detector:
    """Fit a detector and keep it in a folder.

    Raises:
        DataError: there are clips of one label only, of fewer than 2 people, or too short ones.
        SetupError: a feature of the config is not there, or the folder cannot be written.
    """
    tell = progress or (lambda done, total, told: None)
    tell(0, 1, f"{len(clips.clips):,} clips of {len(clips.people):,} people")
    detector = fit_detector(clips, config)
    detector.save(folder, config, _card(clips, config))
    tell(1, 1, "kept")
    return detector


def fit_detector(clips: Clips, config: Config | None = None) -> Detector:
    """A detector for people like these.

    Raises:
        DataError: there are clips of one label only, of fewer than 2 people, or too short ones.
        SetupError: a feature of the config is not there.
    """
    config = config or Config()
    if config.features:
        clips = clips.only(config.features)
    face = general(clips)
    cut = watched(clips, face)

    def make() -> Mil:
        return Mil(config.penalty, config.guard)

    outside = out_of_fold(make, cut)
    told = platt(outside.ravel(), np.repeat(cut.error, outside.shape[1]))
    return Detector(Learnt(face, make().fit(cut).linear, *told))


def general(clips: Clips) -> Face:
    """People in general: the mean of their means, and the mean deviation of a bin within a person.

    Raises:
        DataError: nobody has a value of some feature.
    """
    means, spreads = [], []
    for person in clips.people:
        bins = np.concatenate([_raw_bins(clip) for clip in clips.of(person).clips])
        there = ~np.isnan(bins)
        count = np.maximum(there.sum(0), 1)
        mean = np.where(there, bins, 0).sum(0) / count
        spread = np.sqrt(np.where(there, (bins - mean) ** 2, 0).sum(0) / count)
        means.append(np.where(there.any(0), mean, np.nan))
        spreads.append(np.where(there.any(0), spread, np.nan))
    known = ~np.isnan(means)
    if not known.any(0).all():
        lacking = clips.features[int(np.argmin(known.any(0)))]
        raise DataError(f"No clip has a value of {lacking!r}; leave the feature out.")
    mean, spread = (np.where(known, each, 0).sum(0) / known.sum(0) for each in (means, spreads))
    return Face(clips.features, mean, np.maximum(spread, LEAST_SD))


def watched(clips: Clips, face: Face) -> Cut:
    """The clips as a detector sees them; like `cut_clips`, but normalised from the past alone."""
    cut = cut_clips(clips)
    bins: list[Floats] = []
    for person in clips.people:
        watch, begin = Watch(face), 0.0
        for clip in clips.of(person).clips:
            seen = _watched(clip, watch, begin)
            begin += clip.seconds + BETWEEN_S
            if clip.label in ("error", "correct"):
                starts = np.linspace(0, len(seen) - SPAN, cut.bins.shape[1]).round().astype(int)
                bins.append(np.stack([filled(seen[at : at + SPAN]) for at in starts]))
    by_person = [n for person in clips.people for n in np.flatnonzero(cut.person == person)]
    ordered = np.stack(bins)
    cut = cut[np.array(by_person)]
    return Cut(cut.features, ordered, told_of(ordered), cut.error, cut.person, cut.clues)


def _watched(clip: Clip, watch: Watch, begin: float) -> Floats:
    """(T, F) all whole bins of a clip, at least a span."""
    watch.reset()
    bins: list[Floats] = []
    for time, values in zip(clip.times, clip.values, strict=True):
        if new := watch.add(begin + float(time), values):
            bins.extend(list(watch.bins)[-new:])
    empty = np.full(len(watch.face.features), np.nan)
    bins.extend(empty for _ in range(SPAN - len(bins)))
    return np.stack(bins)


def _raw_bins(clip: Clip) -> Floats:
    return binned(clip.times, clip.values, 0.0, max(1, int(clip.seconds / BIN_S)))


def _card(clips: Clips, config: Config) -> str:
    errors = sum(clip.label == "error" for clip in clips.clips)
    return f"""# Errors of a voice assistant from a face

Trained on {len(clips.clips):,} clips of {len(clips.people):,} people, {errors:,} of them errors, by
{len(clips.features)} features: {", ".join(clips.features)}.

It says how probable it is that the assistant's last answer was an error, where errors are as frequent as
among these clips. It does not know why a person smiles. Not for people who did not agree to be watched,
not for judging people.
A person who is deleted from the clips stays in this model until it is trained anew.

Settings: {config.model_dump_json()}
"""
