"""Windows of a face: bins of a fixed time, and what is told of some bins in a row.

    bins = binned(times, values, begin=2.0, count=12)       # (T, F), whatever the frame rate
    told = told_of(filled(bins))                            # (W, S * F), named by `names`

Nothing here depends on the number of frames or on the length of a video: both can give a label away
(clip length alone scored macro F1 .70 on the BAD videos). A reaction is a spike of a second or two, so
dynamics are told beside levels, as by the teams of ERR@HRI.

Sizes: n frames, F features, T bins of a span, K bins of a window, W windows of a span, S summaries.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BIN_S = 0.25
"""Seconds of a bin."""
WIDE = 6
"""K: bins of a window, 1.5 s."""
HOP = 2
"""Bins from one window to the next."""
SPAN = 12
"""T: bins that are looked at together, 3 s."""
BASE = 2
"""Bins at the start of a span that its windows are held against."""
SUMMARIES = ("level", "rise", "spread", "range", "slope", "speed", "top", "when")
"""Mean; mean minus that of the span's first half second; standard deviation; maximum minus minimum; least
squares slope; greatest step between bins; mean of the two highest bins; place of the highest, 0 to 1."""
TOP = 2
LEAST_SD = 1e-3
"""Below this a feature of a person is taken for constant, and tells nothing."""


def names(features: Sequence[str]) -> list[str]:
    """(S * F,) what `summaries` gives: 'level AU12_r', ..."""
    return [f"{summary} {feature}" for summary in SUMMARIES for feature in features]


def binned(times: Floats, values: Floats, begin: float, count: int) -> Floats:
    """Means of the frames in each of `count` bins from `begin` on.

    Args:
        times: (n,) seconds.
        values: (n, F), NaN where missing.
        begin: seconds.
        count: T.

    Returns:
        (T, F), NaN where a bin has no value of a feature.
    """
    place = np.floor((times - begin) / BIN_S)
    inside = (place >= 0) & (place < count)
    member = (place[inside][None] == np.arange(count)[:, None]).astype(np.float64)
    seen = values[inside]
    there = ~np.isnan(seen)
    counts = member @ there
    sums = member @ np.where(there, seen, 0.0)
    return np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))


def windows(bins: Floats) -> Floats:
    """(..., T, F) -> (..., W, K, F): every second run of K bins, the last one included."""
    runs = np.lib.stride_tricks.sliding_window_view(bins, WIDE, axis=-2)
    return np.moveaxis(runs[..., (bins.shape[-2] - WIDE) % HOP :: HOP, :, :], -1, -2)


def filled(bins: Floats) -> Floats:
    """Bins (..., T, F) without NaN: the mean of the span stands in, or 0 where it has none."""
    there = ~np.isnan(bins)
    known = np.where(there, bins, 0.0)
    means = known.sum(-2, keepdims=True) / np.maximum(there.sum(-2, keepdims=True), 1)
    return np.asarray(np.where(there, bins, means))


def summaries(bins: Floats, base: Floats) -> Floats:
    """Level and dynamics of windows.

    Args:
        bins: (..., K, F) without NaN.
        base: (..., F) level before any reaction.

    Returns:
        (..., S * F) in the order of `names`.
    """
    k = bins.shape[-2]
    steps = np.arange(k) - (k - 1) / 2
    level = bins.mean(-2)
    top = np.partition(bins, k - TOP, axis=-2)[..., k - TOP :, :].mean(-2)
    told = (
        level,
        level - base,
        bins.std(-2),
        bins.max(-2) - bins.min(-2),
        np.einsum("...kf,k->...f", bins, steps) / (steps @ steps),
        np.abs(np.diff(bins, axis=-2)).max(-2),
        top,
        bins.argmax(-2) / (k - 1),
    )
    return np.concatenate(told, axis=-1)


def told_of(bins: Floats) -> Floats:
    """(..., T, F) normalised bins without NaN -> (..., W, D) summaries of the windows in them."""
    cut = windows(bins)
    base = bins[..., :BASE, :].mean(-2)[..., None, :]
    return summaries(cut, np.broadcast_to(base, cut.shape[:-2] + base.shape[-1:]))


def scale(values: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation (F,) of a person's frames (n, F), NaN left out.

    A feature without a value, or that never moves, has the deviation infinity: normalised, it is 0.
    """
    there = ~np.isnan(values)
    count = np.maximum(there.sum(0), 1)
    mean = np.where(there, values, 0.0).sum(0) / count
    spread = np.sqrt(np.where(there, (values - mean) ** 2, 0.0).sum(0) / count)
    return mean, np.where(spread < LEAST_SD, np.inf, spread)
