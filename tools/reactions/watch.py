"""One person's face as normalised bins, from the past alone: what a detector and its training look at.

    watch = Watch(Face(features, mean, spread))
    watch.add(0.04, values)      # how many bins of a quarter second it completed
    watch.bins                   # the last bins of this answer, at most a span

What is known of a person begins with people in general and gives way to their own face: the general mean
counts as one bin, the general deviation as ten seconds. No label is needed.

Sizes: F features, T bins.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np

from merchgraph.tools.reactions.windows import BIN_S, LEAST_SD, SPAN, Floats

OF_MEAN = 1.0
"""Bins that people in general count for in a person's mean."""
OF_SPREAD = 40.0
"""And in their deviation."""
MEMORY = 2_400
"""Bins, ten minutes, after which older ones fade: light and seats change."""


class Face(NamedTuple):
    """People in general: features (F,), mean (F,) and deviation (F,) of their bins."""

    features: tuple[str, ...]
    mean: Floats
    spread: Floats


class Watch:
    """Bins of a stream of one person; memory and time a frame do not grow.

    Attributes:
        bins: (F,) each, normalised, NaN where missing; oldest first.
    """

    def __init__(self, face: Face) -> None:
        self.face = face
        self.bins: deque[Floats] = deque(maxlen=SPAN)
        self._count = np.zeros(len(face.features))
        self._mean = face.mean.copy()
        self._squares = np.zeros(len(face.features))
        self.reset()

    def reset(self) -> None:
        """Begin a new answer: its bins start with the next frame, what is known of the person stays."""
        self.bins.clear()
        self._begin = math.nan
        self._sums = np.zeros(len(self.face.features))
        self._there = np.zeros(len(self.face.features))

    def add(self, time: float, values: Floats) -> int:
        """Take a frame.

        Args:
            time: seconds, after that of the frame before.
            values: (F,), NaN where missing.

        Returns:
            how many bins it completed; those in a gap are without values.
        """
        if math.isnan(self._begin):
            self._begin = time
        passed = math.floor((time - self._begin) / BIN_S + 1e-9)
        if passed:
            self._close()
            empty = np.full(len(self.face.features), np.nan)
            self.bins.extend(empty for _ in range(min(passed - 1, SPAN)))
            self._begin += passed * BIN_S
        there = ~np.isnan(values)
        self._there += there
        self._sums += np.where(there, values, 0.0)
        return passed

    def _close(self) -> None:
        """Learn from the bin what the person's face is like, then keep it, normalised."""
        there = self._there > 0
        value = np.where(there, self._sums / np.maximum(self._there, 1), self._mean)
        fades = np.where(self._count >= MEMORY, (MEMORY - 1) / MEMORY, 1.0)
        self._count = np.where(there, np.minimum(self._count + 1, MEMORY), self._count)
        before = value - self._mean
        self._mean = self._mean + before / (self._count + OF_MEAN)
        self._squares = np.where(
            there, self._squares * fades + before * (value - self._mean), self._squares
        )
        general = OF_SPREAD * self.face.spread**2
        spread = np.sqrt((general + self._squares) / (OF_SPREAD + self._count))
        self.bins.append(
            np.where(there, (value - self._mean) / np.maximum(spread, LEAST_SD), np.nan)
        )
        self._sums[:] = 0.0
        self._there[:] = 0.0
