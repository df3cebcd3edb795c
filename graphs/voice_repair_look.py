"""Which seconds of a stream are watched, and what the detector says of them.

The detector knows the past alone. Before the answer it may see up to `BASELINE_S` seconds of the face, to
know how it is when nothing happened; then the answer begins, and each frame gives one reading.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from merchgraph.graphs.voice_repair_lines import speech_s
from merchgraph.graphs.voice_repair_state import Context, Decision, Look, Repair, Seen, Turn
from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.reactions.stream import Detector, Frame, read_frames

BASELINE_S = 60.0


class Span(BaseModel):
    """From when to when a file has frames, in seconds; of none, nothing is in it."""

    model_config = ConfigDict(frozen=True)

    first: float = 0.0
    last: float = -1.0


def following(
    turns: Sequence[Turn],
    decisions: Sequence[Decision],
    repairs: Sequence[Repair],
    span: Span,
    context: Context,
) -> Look | None:
    """The next look, or None where nothing is left to see.

    Args:
        turns: the exchange so far.
        decisions: of the looks so far.
        repairs: said so far.
        span: of the file; an empty one without a file.
        context: says how long a look is.
    """
    if not decisions:
        return _answer(0, turns, context)
    last = decisions[-1].look
    ends = _last(turns[last.turn], span)
    if decisions[-1].action == "unsure" and not last.again and ends > last.end:
        end = last.end + context.watch_s
        return last.model_copy(update={"end": end, "again": True})
    if last.turn + 1 < len(turns):
        return _answer(last.turn + 1, turns, context)
    if decisions[-1].action != "repair":
        return None
    start = decisions[-1].at + speech_s(repairs[-1].line)
    if ends <= start:
        return None
    return Look(turn=last.turn, what="repair", start=start, end=start + context.watch_s)


def span_of(file: Path) -> Span:
    """The times of the first and the last frame. Blocks.

    Raises:
        DataError: as `read_frames`.
    """
    frames = _frames(file)
    return Span(first=frames[0].time, last=frames[-1].time)


def readings_of(file: Path, look: Look, detector: str) -> list[Seen]:
    """What a detector says of the frames of a window, one reading a frame. Blocks.

    Args:
        file: CSV, see `read_frames`.
        look: the window.
        detector: its folder.

    Raises:
        SetupError: no detector is named, or none is there.
        DataError: as `read_frames`.
    """
    if not detector:
        raise SetupError(
            "A file of features needs a detector, and none is named; set detector to the folder of one, "
            "which `merchgraph train reactions` makes, or give each turn its readings."
        )
    frames, watching = _frames(file), Detector.load(Path(detector))
    for frame in frames:
        if look.start - BASELINE_S <= frame.time < look.start:
            watching.see(frame)
    watching.reset()
    found = [watching.see(frame) for frame in frames if look.start <= frame.time <= look.end]
    return [_seen(one.time, one.p_error, one.why) for one in found]


def _answer(number: int, turns: Sequence[Turn], context: Context) -> Look:
    start = turns[number].at
    return Look(turn=number, start=start, end=start + context.watch_s)


def _last(turn: Turn, span: Span) -> float:
    """Until when there is something to see of a turn."""
    if turn.readings is None:
        return span.last
    return turn.readings[-1].time if turn.readings else -1.0


def _seen(time: float, p_error: float | None, why: str) -> Seen:
    if p_error is not None and not math.isfinite(p_error):
        return Seen(time=time, why="the detector gave no number")
    return Seen(time=time, p_error=p_error, why=why)


def _frames(file: Path) -> list[Frame]:
    try:
        kept = file.stat()
    except OSError as error:
        raise DataError(
            f"The stream {str(file)!r} cannot be read ({error.strerror}); name a CSV of features."
        ) from error
    return _read(file, kept.st_mtime_ns, kept.st_size)


@lru_cache(maxsize=1)
def _read(file: Path, changed: int, size: int) -> list[Frame]:
    """The frames of a file as it is now: each look reads them."""
    return read_frames(file)
