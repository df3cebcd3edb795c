"""Clips of people whom an assistant answered, as features of their faces; a folder of them on disk.

    FOLDER/labels.csv           clip,person,start,end,label
                                p07_03,p07,12.4,17.9,error
    FOLDER/p07_03.csv           features of its frames: a stream as `stream.py` has it, or OpenFace 2

    clips = read_clips(Path("FOLDER"))
    forget(Path("FOLDER"), "p07")

`start` and `end` are seconds in the clip's file, from the end of the request to 4 s after the answer
begins; several rows may name one file, of one person. The label is correct, error, no_response or other.
No picture of a face is read or written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import polars as pl

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.data.checks import UNREADABLE
from merchgraph.tools.reactions.stream import Frame, read_frames
from merchgraph.tools.reactions.windows import Floats

LABELS_FILE = "labels.csv"
RATINGS_FILE = "ratings.csv"
TABLES = (RATINGS_FILE, LABELS_FILE)
"""Tables with a column `clip`; the labels last, since they know who is who."""
Label = Literal["correct", "error", "no_response", "other"]
LABELS: tuple[str, ...] = get_args(Label)
LONGEST_NAME = 200
"""Of a clip, in bytes: it names a file."""
COLUMNS = ("clip", "person", "start", "end", "label")
OPENFACE = re.compile(r"AU\d\d_r|gaze_angle_[xy]|pose_R[xyz]")
"""What is read of OpenFace's 700 columns: 17 intensities, gaze, turn of the head. Not the place of head
and landmarks in the picture, nor the presences AUxx_c, which say less than the intensities."""


@dataclass(frozen=True, eq=False)
class Clip:
    """One answer of the assistant, and the face of whom it was given to.

    Attributes:
        name: unique.
        times: (n,) seconds, rising; 0 is the start of the clip.
        values: (n, F), NaN where missing.
        seconds: length of the clip.
        place: middle of the clip in its recording, 0 to 1; known to traps and guards, to no model.
    """

    name: str
    person: str
    label: str
    times: Floats
    values: Floats
    seconds: float
    place: float = 0.5


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips with the same features, (F,), in the order in which they were recorded."""

    features: tuple[str, ...]
    clips: tuple[Clip, ...]

    @property
    def people(self) -> list[str]:
        """Each person once, in order of appearance."""
        return list(dict.fromkeys(clip.person for clip in self.clips))

    def of(self, *people: str) -> Clips:
        """The clips of some people."""
        return Clips(self.features, tuple(clip for clip in self.clips if clip.person in people))

    def only(self, features: Sequence[str]) -> Clips:
        """The same clips with some of the features.

        Raises:
            SetupError: one is not there.
        """
        if lacking := [name for name in features if name not in self.features]:
            raise SetupError(
                f"There is no feature {lacking[0]!r}; there is {', '.join(self.features[:40])}."
            )
        at = [self.features.index(name) for name in features]
        clips = (replace(clip, values=clip.values[:, at]) for clip in self.clips)
        return Clips(tuple(features), tuple(clips))

    def frames(self, clip: Clip, begin: float = 0.0) -> list[Frame]:
        """A clip as a stream whose first second is `begin`."""
        return [
            Frame(begin + float(time), {
                name: float(value)
                for name, value in zip(self.features, row, strict=True)
                if not np.isnan(value)
            })
            for time, row in zip(clip.times, clip.values, strict=True)
        ]  # fmt: skip


class Row(NamedTuple):
    """A row of labels.csv."""

    clip: str
    person: str
    start: float
    end: float
    label: str

    @property
    def name(self) -> str:
        """Of its `Clip`, and of its ratings: a file may hold several."""
        return f"{self.clip}@{self.start:g}"


def read_clips(folder: Path) -> Clips:
    """The labelled clips of a folder.

    Raises:
        SetupError: the folder, its labels or a clip's file is not there.
        DataError: a file breaks its form; the message names file, column and row.
    """
    rows = read_labels(folder)
    streams = {name: _stream(folder, name) for name in dict.fromkeys(row.clip for row in rows)}
    first, features = rows[0].clip, _features(streams[rows[0].clip])
    for name, stream in streams.items():
        there = {key for frame in stream for key in frame.values}
        if lacking := [key for key in features if key not in there]:
            raise DataError(
                f"{folder / name}.csv: there is no value of {lacking[0]!r}, which {first}.csv has; give "
                "all clips the same features."
            )
    clips = [_clip(row, n, streams[row.clip], features, folder) for n, row in enumerate(rows, 1)]
    return Clips(features, tuple(clips))


def read_labels(folder: Path) -> list[Row]:
    """The rows of a folder's labels.csv, checked.

    Raises:
        SetupError: it is not there.
        DataError: it breaks its form.
    """
    file = folder / LABELS_FILE
    if not file.is_file():
        raise SetupError(
            f"There is no {str(file)!r}; give a folder with {LABELS_FILE}: {','.join(COLUMNS)}."
        )
    table = read_table(file, COLUMNS)
    rows = [_row(cells, n, file) for n, cells in enumerate(table.select(COLUMNS).rows(), start=1)]
    if not rows:
        raise DataError(f"{file}: there is no clip in it; give at least one row.")
    owners: dict[str, str] = {}
    for n, row in enumerate(rows, start=1):
        if owners.setdefault(row.clip, row.person) != row.person:
            raise DataError(
                f"{file}, column 'person', row {n}: the clip {row.clip!r} is of {owners[row.clip]!r} "
                f"and of {row.person!r}; give each person files of their own."
            )
    return rows


def read_table(file: Path, columns: Sequence[str]) -> pl.DataFrame:
    """A table of a folder, as text, with at least these columns; spaces around names are taken away.

    Raises:
        DataError: it cannot be read, or lacks a column.
    """
    try:
        table = pl.read_csv(file, infer_schema=False)
        table = table.rename({name: name.strip() for name in table.columns})
    except UNREADABLE as error:
        problem = str(error).strip().splitlines()[0][:200]
        raise DataError(
            f"{file}: it cannot be read as CSV in UTF-8 ({problem}); correct it."
        ) from error
    if lacking := [name for name in columns if name not in table.columns]:
        raise DataError(f"{file}: there is no column {lacking[0]!r}; give {', '.join(columns)}.")
    return table


def forget(folder: Path, person: str) -> list[Path]:
    """Delete a person from a folder: their rows of all its tables, and every file of their clips.

    Ratings are kept by a clip's start, which may have been corrected since: those of any start go.
    What a model has learnt from them stays in the model until it is trained anew.

    Returns:
        the files that were deleted.

    Raises:
        SetupError: the folder has no such person, or cannot be written.
        DataError: a table breaks its form; nothing was deleted.
    """
    rows = read_labels(folder)
    clips = {row.clip for row in rows if row.person == person}
    if not clips:
        known = ", ".join(sorted({row.person for row in rows})[:20])
        raise SetupError(f"There is no person {person!r} in {str(folder)!r}; there is {known}.")
    left = {file: _without(file, clips) for name in TABLES if (file := folder / name).is_file()}
    gone = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.stem in clips]
    try:
        for file in gone:
            file.unlink()
        for file, table in left.items():
            part = file.with_name(f".{file.name}.part")
            table.write_csv(part)
            part.replace(file)
    except OSError as error:
        raise SetupError(
            f"{person!r} cannot be deleted from {str(folder)!r} ({error}); the same command goes on."
        ) from error
    return gone


def _without(file: Path, clips: Iterable[str]) -> pl.DataFrame:
    """A table less the rows of these clips."""
    clip = pl.col("clip").str.strip_chars()
    whose = clip.str.replace("@[^@]*$", "") if file.name == RATINGS_FILE else clip
    return read_table(file, ("clip",)).filter(whose.is_in(list(clips)).not_().fill_null(value=True))


def _row(cells: Sequence[str | None], n: int, file: Path) -> Row:
    found = {name: (cell or "").strip() for name, cell in zip(COLUMNS, cells, strict=True)}

    def wrong(column: str, expected: str) -> DataError:
        return DataError(f"{file}, column {column!r}, row {n}: {found[column]!r}; {expected}.")

    for column in ("clip", "person"):
        name = found[column]
        odd = Path(name).name != name or len(name.encode()) > LONGEST_NAME
        if not name or odd or f"{name}.csv" in TABLES:
            raise wrong(column, "a name is expected, with no folder, and not that of a table")
    if found["label"] not in LABELS:
        raise wrong("label", f"one of {', '.join(LABELS)} is expected")
    try:
        start, end = float(found["start"]), float(found["end"])
    except ValueError:
        raise wrong("start", f"seconds are expected, and in 'end' {found['end']!r}") from None
    if not 0 <= start < end < np.inf:
        raise wrong("end", f"a time after the start {found['start']!r} is expected, both from 0")
    return Row(found["clip"], found["person"], start, end, found["label"])


def _stream(folder: Path, name: str) -> list[Frame]:
    file = folder / f"{name}.csv"
    if not file.is_file():
        raise SetupError(f"There is no {str(file)!r}, which {LABELS_FILE} names; add it, or make it of "
                         f"a video by merchgraph data faces.")  # fmt: skip
    return read_frames(file)


def _features(stream: list[Frame]) -> tuple[str, ...]:
    there = dict.fromkeys(key for frame in stream for key in frame.values)
    known = tuple(key for key in there if OPENFACE.fullmatch(key))
    return known if any(key.startswith("AU") for key in known) else tuple(there)


def _clip(row: Row, n: int, stream: list[Frame], features: Sequence[str], folder: Path) -> Clip:
    inside = [frame for frame in stream if row.start <= frame.time < row.end]
    if not inside:
        raise DataError(
            f"{folder / LABELS_FILE}, row {n}: {row.clip}.csv has no frame from {row.start:g} to "
            f"{row.end:g} s; it has {stream[0].time:g} to {stream[-1].time:g} s."
        )
    span = max(stream[-1].time - stream[0].time, row.end - row.start)
    return Clip(
        name=row.name,
        person=row.person,
        label=row.label,
        times=np.array([frame.time for frame in inside]) - row.start,
        values=np.array([[frame.values.get(key, np.nan) for key in features] for frame in inside]),
        seconds=row.end - row.start,
        place=min(1.0, max(0.0, ((row.start + row.end) / 2 - stream[0].time) / span)),
    )
