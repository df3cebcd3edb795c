"""The detector as it runs: each person's clips as one stream, judged by a detector of the other people.

heard = streamed(clips)         # one per clip
recovery(heard, planted)        # found, false alarms, seconds after the planted reaction began
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median
from typing import NamedTuple

import numpy as np

from merchgraph.evals.suites.reactions_metrics import Scored
from merchgraph.evals.tables import Cell
from merchgraph.tools.reactions.data import Clip, Clips
from merchgraph.tools.reactions.made import Planted
from merchgraph.tools.reactions.stream import Detector
from merchgraph.tools.reactions.train import BETWEEN_S, fit_detector

THRESHOLD = 0.5


class Heard(NamedTuple):
    """What a detector said during one clip.

    Attributes:
        p: highest probability of an error, 0 where it always abstained.
        over: seconds into the clip at which it was over the threshold.
        blind: share of frames without a reading.
    """

    clip: Clip
    p: float
    over: tuple[float, ...]
    blind: float

    def after(self, begin: float) -> float | None:
        """Seconds into the clip when it first was over the threshold from `begin` on; None if never."""
        return next((time for time in self.over if time >= begin), None)


def streamed(
    clips: Clips,
    *,
    threshold: float = THRESHOLD,
    progress: Callable[[int, int], None] | None = None,
) -> list[Heard]:
    """All clips, each person by a detector that was fitted to the others."""
    found: list[Heard] = []
    for done, person in enumerate(clips.people, start=1):
        others = [other for other in clips.people if other != person]
        detector, begin = fit_detector(clips.of(*others)), 0.0
        for clip in clips.of(person).clips:
            detector.reset()
            found.append(_heard(clips, clip, detector, begin, threshold))
            begin += clip.seconds + BETWEEN_S
        if progress:
            progress(done, len(clips.people))
    return found


def _heard(clips: Clips, clip: Clip, detector: Detector, begin: float, threshold: float) -> Heard:
    readings = [detector.see(frame) for frame in clips.frames(clip, begin)]
    said = [(reading.time - begin, reading.p_error) for reading in readings]
    known = [(time, p) for time, p in said if p is not None]
    return Heard(
        clip=clip,
        p=max((p for _, p in known), default=0.0),
        over=tuple(time for time, p in known if p >= threshold),
        blind=1 - len(known) / max(1, len(readings)),
    )


def scored(heard: Sequence[Heard]) -> Scored:
    """Errors against correct answers, by the highest probability of each clip."""
    return Scored.of(
        [each.p for each in heard],
        [each.clip.label == "error" for each in heard],
        [each.clip.person for each in heard],
    )


RECOVERY = ("found", "false alarms", "s after it began", "share of clip", "no reading")


def recovery(heard: Sequence[Heard], planted: Mapping[str, Planted | None]) -> list[Cell]:
    """The cells under `RECOVERY`; an error is found by a p over the threshold once the reaction began.

    The times are medians over the errors that were found. Where nothing is planted the start of the clip
    counts as that of the reaction.
    """
    errors = [each for each in heard if each.clip.label == "error"]
    correct = [each for each in heard if each.clip.label == "correct"]
    late: list[float] = []
    shares: list[float] = []
    for each in errors:
        reaction = planted.get(each.clip.name)
        begin = reaction.begin if reaction else 0.0
        if (at := each.after(begin)) is not None:
            late.append(at - begin)
            shares.append(at / each.clip.seconds)
    return [
        len(late) / len(errors),
        sum(bool(each.over) for each in correct) / len(correct),
        median(late) if late else None,
        median(shares) if shares else None,
        fmean(each.blind for each in heard),
    ]


PEOPLE = ("clips", "AUC", "found", "false alarms", "no reading")


def by_person(heard: Sequence[Heard], planted: Mapping[str, Planted | None]) -> list[list[Cell]]:
    """A row per person, see `PEOPLE`; found is counted as in `recovery`."""
    rows: list[list[Cell]] = []
    for person in dict.fromkeys(each.clip.person for each in heard):
        own = [each for each in heard if each.clip.person == person]
        errors = {each.clip.label == "error" for each in own}
        if len(errors) < 2:
            rows.append([person, len(own), None, None, None, None])
            continue
        auc = float(scored(own).measured(np.ones((1, 1)))["AUC"][0])
        found, alarms, _, _, blind = recovery(own, planted)
        rows.append([person, len(own), auc, found, alarms, blind])
    return rows
