"""A face, frame by frame: what a camera tells, and what it says about the assistant's last answer.

    detector = Detector.load(home("reactions", "made"))
    for frame in read_frames(Path("session.csv")):
        reading = detector.see(frame)          # Reading(time=2.4, p_error=0.71, why="")

A stream holds features of a face, never its picture: intensities of action units (OpenFace 2),
blendshapes (MediaPipe), gaze. A CSV has one row a frame:

    time,AU06_r,AU12_r,gaze_angle_x
    0.033,0.12,0.40,-0.044
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from merchgraph.runtime.errors import DataError
from merchgraph.tools.checkpoint import (
    Tensors,
    as_bytes,
    as_texts,
    fitting,
    load,
    save,
    sizes_of,
)
from merchgraph.tools.reactions.config import COMMAND, Config
from merchgraph.tools.reactions.linear import Linear, pooled, probability
from merchgraph.tools.reactions.watch import Face, Watch
from merchgraph.tools.reactions.windows import BIN_S, WIDE, filled, told_of, windows

TIMES = ("time", "timestamp")
"""Names of the column of seconds; OpenFace has the second."""
ASIDE = {*TIMES, "frame", "face_id", "confidence", "success", "participant"}
"""Columns that are no feature of a face: a place in the video, or what the tracker says of itself."""
MOST_FRAMES = 400_000
"""Rows of one file, 3.7 hours at 30 frames a second; more would fill the memory."""


class Frame(NamedTuple):
    """One moment of a face.

    Attributes:
        time: seconds since any moment; later frames have greater times.
        values: feature -> value; one that is missing is absent or NaN, and without a face it is empty.
    """

    time: float
    values: Mapping[str, float]


class Reading(NamedTuple):
    """What a detector says after a frame.

    Attributes:
        time: of the frame.
        p_error: probability that the assistant erred; None where it abstains.
        why: reason of an abstention, a clause for people; empty otherwise.
    """

    time: float
    p_error: float | None
    why: str


class Learnt(NamedTuple):
    """What a detector knows: people in general, weights, and the calibration of its logits (Platt)."""

    face: Face
    linear: Linear
    slope: float
    bias: float


FORM = {
    "features": ":u", "rest": "F:f", "moves": "F:f", "mean": "D:f", "spread": "D:f", "weights": "D:f",
    "numbers": "N:f",
}  # fmt: skip
"""What a file of a detector holds, see `checkpoint.sizes_of`."""


class Detector:
    """Tells from one person's face, frame by frame and from the past alone, whether the assistant erred.

    It looks at the last 3 s since `reset`, in bins of a quarter second, and speaks from 1.5 s on. Where
    fewer than half of the last 1.5 s show the face it abstains. Time and memory a frame do not grow.
    """

    def __init__(self, learnt: Learnt) -> None:
        self.learnt = learnt
        self._watch = Watch(learnt.face)
        self._last = -math.inf
        self._now: tuple[float | None, str] = (None, STARTS)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The detector that `merchgraph train reactions` made.

        Raises:
            SetupError: no model is there; the message has the command that makes one.
            DataError: the file is damaged, or of another version.
        """
        _, tensors = load(folder, Config, COMMAND)
        with fitting(folder, COMMAND):
            sizes = sizes_of(tensors, FORM)
            face = Face(tuple(as_texts(tensors["features"])), tensors["rest"], tensors["moves"])
            bias, slope, shift = (float(number) for number in tensors["numbers"])
            linear = Linear(tensors["mean"], tensors["spread"], tensors["weights"], bias)
            if len(face.features) != sizes["F"] or not sizes["F"]:
                raise ValueError(f"{len(face.features)} features are named, {sizes['F']} are there")
            linear.logits(told_of(np.zeros((WIDE, sizes["F"]))))
            return cls(Learnt(face, linear, slope, shift))

    def save(self, folder: Path, config: Config, card: str) -> None:
        """Keep it where `load` finds it.

        Raises:
            SetupError: the folder cannot be written.
        """
        face, linear, slope, shift = self.learnt
        tensors: Tensors = {
            "features": as_bytes(face.features), "rest": face.mean, "moves": face.spread,
            "mean": linear.mean, "spread": linear.spread, "weights": linear.weights,
            "numbers": np.array([linear.bias, slope, shift]),
        }  # fmt: skip
        save(folder, tensors, config, card)

    def see(self, frame: Frame) -> Reading:
        """Take the next frame, in under 5 ms.

        Raises:
            DataError: its time is no number, or not after that of the frame before.
        """
        if not self._last < frame.time < math.inf:
            raise DataError(
                f"A frame at {frame.time:g} s came after one at {self._last:g} s; give frames in the "
                "order of their times, and another person or recording its own detector."
            )
        self._last = frame.time
        features = self.learnt.face.features
        seen = np.array([frame.values.get(name, math.nan) for name in features], dtype=np.float64)
        if frame.values and not any(name in frame.values for name in features):
            self._watch.add(frame.time, seen)
            self._now = (None, _strange(frame, features))
        elif self._watch.add(frame.time, np.where(np.isfinite(seen), seen, np.nan)):
            self._now = self._judge()
        return Reading(frame.time, *self._now)

    def reset(self) -> None:
        """Begin a new utterance of the assistant; what is known of the person's face stays."""
        self._watch.reset()
        self._now = (None, STARTS)

    def _judge(self) -> tuple[float | None, str]:
        """Probability after a bin, or why there is none."""
        bins = np.stack(self._watch.bins)
        if len(bins) < WIDE:
            return None, STARTS
        seen = np.asarray(~np.isnan(bins).all(1))
        shares = windows(seen[:, None].astype(np.float64))[..., 0].mean(1)
        enough = np.atleast_1d(shares >= LEAST_SEEN)
        if not enough[-1] or not seen[-2:].any():
            return None, GONE
        logits = self.learnt.linear.logits(told_of(filled(bins)))[enough]
        logit = self.learnt.slope * float(pooled(logits)) + self.learnt.bias
        return float(probability(np.array(logit))), ""


LEAST_SEEN = 0.5
"""Share of a window's bins that must show the face."""
STARTS = f"the answer has just begun; {WIDE * BIN_S:g} s of the face are needed"
GONE = f"the face was seen in too little of the last {WIDE * BIN_S:g} s"


def _strange(frame: Frame, features: Sequence[str]) -> str:
    there = ", ".join(repr(name) for name in list(frame.values)[:3])
    return f"the frame holds none of the model's features, such as {features[0]!r}, but {there}"


def read_frames(file: Path) -> list[Frame]:
    """The frames of a CSV: a column `time` (or OpenFace's `timestamp`) in seconds, features beside it.

    An empty cell, or one with NaN, is a missing value; a row without any value, or with OpenFace's
    `success` 0, is a frame without a face. Spaces around names and values do not count.

    Raises:
        DataError: the file cannot be read, or holds something else; names the column and the data row.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            return list(_frames(csv.reader(opened), file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"The stream {str(file)!r} cannot be read ({error}); give a CSV with a column time and one "
            "column a feature."
        ) from error


def _frames(rows: Iterator[list[str]], file: Path) -> Iterator[Frame]:
    names = [name.strip() for name in next(rows, [])]
    _check_header(names, file)
    clock = next(names.index(name) for name in TIMES if name in names)
    found = names.index("success") if "success" in names else None
    features = [(n, name) for n, name in enumerate(names) if name not in ASIDE]
    last, row = -math.inf, 0
    for row, cells in enumerate(rows, start=1):
        if row > MOST_FRAMES:
            raise DataError(f"{file}: there are more than {MOST_FRAMES:,} frames; cut the stream.")
        if len(cells) != len(names):
            raise DataError(
                f"{file}, row {row}: {len(cells)} cells under {len(names)} columns; correct the row."
            )
        time = _number(cells[clock], names[clock], row, file)
        if not time > last:
            raise DataError(
                f"{file}, column {names[clock]!r}, row {row}: {cells[clock].strip()!r} is not after the "
                f"time before it; sort the rows, one face a moment."
            )
        last = time
        faceless = found is not None and _number(cells[found], "success", row, file) == 0
        read = (
            [] if faceless else [(name, _number(cells[n], name, row, file)) for n, name in features]
        )
        yield Frame(time, {name: value for name, value in read if not math.isnan(value)})
    if not row:
        raise DataError(f"{file}: there is no frame in it; give at least one row.")


def _check_header(names: list[str], file: Path) -> None:
    """There is a time, at least one feature, and no name twice."""
    if not any(name in names for name in TIMES):
        raise DataError(
            f"{file}: there is no column 'time' among {', '.join(map(repr, names[:8])) or 'none'}; add "
            "one, in seconds."
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{file}: the column {twice[0]!r} is there twice; leave one.")
    if all(name in ASIDE for name in names):
        raise DataError(f"{file}: there is no column of a feature beside the time; add one.")


def _number(cell: str, column: str, row: int, file: Path) -> float:
    """The cell's number, NaN if it is empty."""
    try:
        value = float(cell) if cell.strip() else math.nan
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise DataError(
            f"{file}, column {column!r}, row {row}: {cell.strip()!r} is not a number; correct it or "
            "leave the cell empty."
        )
    return value
