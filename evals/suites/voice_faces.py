"""What is seen in a face: p(error) as a random walk of evidence, or of our detector on made-up faces.

A detector whose evidence has an AUC of Phi(d / sqrt 2) sees, over a window of T seconds, a log likelihood
ratio that drifts by +d^2/2 after an error and by -d^2/2 after a right answer, with variance d^2 (Wald's
sequential test of two normal means). With the log odds of an error added, its p is right at every moment:
of all moments at which it says 0.6, 60 % follow an error. So what is compared is how much a face tells,
and nothing else. The detector that `merchgraph train reactions` makes is less tidy; it watches people
from whom it has not learnt (`tools/reactions/made.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.evals.metrics.cuts import auc_of
from merchgraph.graphs.voice_repair_state import Seen
from merchgraph.tools.reactions.made import Made, made
from merchgraph.tools.reactions.stream import Detector
from merchgraph.tools.reactions.train import fit_detector

MADE = Made(people=24, clips=16, rate=12.0)
"""Of the people to learn from, and of as many others to watch."""
BETWEEN_S = 1.0


def distance(auc: float) -> float:
    """d of an AUC in [0.5, 1)."""
    return math.sqrt(2) * NormalDist().inv_cdf(auc)


def walk(
    auc: float, share: float, normals: NDArray[np.float64], *, wrong: bool
) -> NDArray[np.float64]:
    """p(error) after each step.

    Args:
        auc: of the whole window's evidence, in [0.5, 1).
        share: of answers that are wrong.
        normals: (S,) standard normal.
        wrong: whether this one is.

    Returns:
        (S,) in (0, 1).
    """
    d, steps = distance(auc), len(normals)
    drift = (0.5 if wrong else -0.5) * d * d / steps
    evidence = np.cumsum(drift + d / math.sqrt(steps) * normals)
    p: NDArray[np.float64] = 1 / (1 + np.exp(-(evidence + math.log(share / (1 - share)))))
    return p


def seen(levels: NDArray[np.float64], seconds: float) -> list[Seen]:
    """Readings at equal steps over a window that begins at 0."""
    step = seconds / len(levels)
    return [Seen(time=(n + 1) * step, p_error=float(p)) for n, p in enumerate(levels)]


class Watched(NamedTuple):
    """Readings of clips after errors, and after right answers; the window begins at 0."""

    wrong: list[list[Seen]]
    right: list[list[Seen]]

    def draw(self, place: float, *, wrong: bool) -> list[Seen]:
        """One of them, by a number in [0, 1)."""
        clips = self.wrong if wrong else self.right
        return clips[int(place * len(clips))]

    def auc(self, until: float) -> float:
        """How well the last p(error) before a moment tells the two apart, of which both are there."""
        after, before = ([_last(clip, until) for clip in clips] for clips in self)
        found = auc_of(after, before)
        assert found is not None
        return found


def watched(expressiveness: float, seed: int) -> Watched:
    """Our detector, learnt from some made-up people, watches others.

    Args:
        expressiveness: of both, see `Made`.
        seed: of those to learn from; the others have the next.
    """
    told = MADE.model_copy(update={"expressiveness": expressiveness})
    learning, _ = made(told.model_copy(update={"seed": 2 * seed}))
    others, _ = made(told.model_copy(update={"seed": 2 * seed + 1}))
    knows = fit_detector(learning).learnt
    found = Watched([], [])
    for person in others.people:
        detector, begin = Detector(knows), 0.0
        for clip in others.of(person).clips:
            detector.reset()
            readings = [detector.see(frame) for frame in others.frames(clip, begin)]
            listed = [
                Seen(time=one.time - begin, p_error=one.p_error, why=one.why) for one in readings
            ]
            (found.wrong if clip.label == "error" else found.right).append(listed)
            begin += clip.seconds + BETWEEN_S
    return found


def _last(clip: Sequence[Seen], until: float) -> float:
    known = [one.p_error for one in clip if one.p_error is not None and one.time <= until]
    return known[-1] if known else 0.5
