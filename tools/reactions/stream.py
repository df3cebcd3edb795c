"""A face, frame by frame: what a camera tells, and what it says about the assistant's last answer.

    detector = Detector.load(home("reactions", "made"))
    for frame in read_frames(Path("session.csv")):
        reading = detector.see(frame)          # Reading(time=2.4, p_error=0.71, why="")

A stream holds features of a face, never its picture: intensities of action units (OpenFace 2), blendshapes
(MediaPipe), gaze. A CSV has one row a frame:

    time,AU06_r,AU12_r,gaze_angle_x
    0.033,0.12,0.40,-0.044
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from merchgraph.runtime.errors import DataError

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


class Detector:
    """Tells from one person's face, frame by frame and from the past alone, whether the assistant erred.

    Args:
        folder: of a model.
    """

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The detector that `merchgraph train reactions` made.

        Raises:
            SetupError: no model is there; the message has the command that makes one.
        """
        raise NotImplementedError

    def see(self, frame: Frame) -> Reading:
        """Take the next frame, in under 5 ms.

        Raises:
            DataError: its time is no number, or not after that of the frame before.
        """
        raise NotImplementedError

    def reset(self) -> None:
        """Begin a new utterance of the assistant; what is known of the person's face stays."""


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
