"""The gaze of people whom a robot did not understand: badrobotsIRL, IRL-CT, MIT licence.

    MERCHGRAPH_DATA/badrobots_gaze/all_participants_rf_0_3.csv.gz    one row a frame; error_times.csv

     frame,participant,binary_label,multiclass_label, gaze_0_x, ..., gaze_angle_x, gaze_angle_y
     314,p10nodbot,1,1,0.061,...

24 people, 30 frames a second, gaze alone. The label is 1 from the first error to the end of the talk:
before it people wait, after it they leave, so closeness to the middle of the video alone gives the label
away. And every answer of the robot was an error: nothing here can tell an error from a success.

    told = as_labelled()       # spans of the whole video, with the label of the data
    pairs = around_errors()    # 2 s as the robot says that it did not understand, and 2 s before
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.runtime.settings import settings
from merchgraph.tools.data.checks import UNREADABLE, reject
from merchgraph.tools.reactions.data import Clip, Clips
from merchgraph.tools.reactions.windows import Floats

FOLDER = "badrobots_gaze"
FRAMES = "all_participants_rf_0_3.csv.gz"
ERRORS = "error_times.csv"
RATE = 30.0
"""Frames a second: the labels begin at the frame of the first error's second times 30."""
SPAN_S = 2.0
AFTER_S = 1.0
"""From the start of the robot's sentence to the start of the span of an error: by then it is heard that
the robot did not understand; the sentence takes two seconds."""
LATEST = 1_000_000
"""Of frames and seconds; more is no talk with a robot."""
WHOSE = re.compile(r"p(\d+)nodbot")


class Video(NamedTuple):
    """One person's recording.

    Attributes:
        times: (n,) seconds.
        values: (n, F).
        label: (n,) 1 from the first error to the end of the talk.
        errors: starts of the robot's sentences, seconds.
    """

    person: str
    times: Floats
    values: Floats
    label: Floats
    errors: list[float]


def as_labelled() -> Clips:
    """Spans of 2 s of each video, one after another: error where the label is 1, correct where it is 0.

    "Correct" is the word of the format: those people wait, or leave.

    Raises:
        SetupError: the data is not there.
        DataError: it has another form.
    """
    features, videos = _videos()
    clips: list[Clip] = []
    for video in videos:
        for begin in np.arange(0.0, video.times[-1] - SPAN_S, SPAN_S):
            inside = (video.times >= begin) & (video.times < begin + SPAN_S)
            if inside.any() and np.ptp(video.label[inside]) == 0:
                name = "error" if video.label[inside][0] else "correct"
                clips.append(_clip(video, float(begin), name))
    return Clips(features, tuple(clips))


def around_errors() -> Clips:
    """Two spans of 2 s for each error: from 1 s after the robot's sentence began, and just before it.

    An error is left out where the second would begin within the first span of the error before.

    Raises:
        SetupError: the data is not there.
        DataError: it has another form.
    """
    features, videos = _videos()
    clips = [
        _clip(video, begin, label)
        for video in videos
        for before, error in pairwise([-math.inf, *sorted(video.errors)])
        if error - SPAN_S >= before + AFTER_S + SPAN_S
        for begin, label in ((error - SPAN_S, "correct"), (error + AFTER_S, "error"))
    ]
    return Clips(features, tuple(clips))


def _clip(video: Video, begin: float, label: str) -> Clip:
    inside = (video.times >= begin) & (video.times < begin + SPAN_S)
    return Clip(
        name=f"{video.person}@{begin:g}",
        person=video.person,
        label=label,
        times=video.times[inside] - begin,
        values=video.values[inside],
        seconds=SPAN_S,
        place=(begin + SPAN_S / 2) / max(float(video.times[-1]), SPAN_S),
    )


def _videos() -> tuple[tuple[str, ...], list[Video]]:
    folder = settings().data / FOLDER
    frames = _table(folder / FRAMES, ("frame", "binary_label"), text="participant")
    errors = _table(folder / ERRORS, ("participant_num", "start"))
    features = tuple(name for name in frames.columns if name.startswith("gaze_"))
    if not features:
        raise DataError(
            f"{folder / FRAMES}: there is no column 'gaze_...'; take it as it was given."
        )
    return features, list(_by_person(frames, errors, features))


def _by_person(
    frames: pl.DataFrame, errors: pl.DataFrame, features: tuple[str, ...]
) -> Iterator[Video]:
    for rows in frames.partition_by("participant", maintain_order=True):
        person = str(rows["participant"][0])
        number = WHOSE.fullmatch(person)
        if number is None:
            raise DataError(f"{FRAMES}: the participant {person!r} is unknown; expected p10nodbot.")
        # one person has five stray rows, labelled out of turn, before the frames begin anew
        rows = rows.unique("frame", keep="last").sort("frame")
        his = errors.filter(pl.col("participant_num") == int(number[1]))
        values = rows.select(features).to_numpy().astype(np.float64)
        values[(values == 0.0).all(1)] = np.nan  # OpenFace writes zeros where it sees no face
        yield Video(
            person,
            rows["frame"].to_numpy() / RATE,
            values,
            rows["binary_label"].to_numpy().astype(np.float64),
            his["start"].to_list(),
        )


def _table(file: Path, columns: tuple[str, ...], text: str = "") -> pl.DataFrame:
    """The columns as numbers, gaze too, and one as text; numbers of a moment are 0 to `LATEST`."""
    if not file.is_file():
        raise SetupError(
            f"There is no {str(file)!r}; set MERCHGRAPH_DATA to the folder of {FOLDER}."
        )
    try:
        table = pl.read_csv(file, infer_schema=False)
        table = table.rename({name: name.strip() for name in table.columns})
        if lacking := [name for name in (text, *columns) if name and name not in table.columns]:
            raise DataError(
                f"{file}: there is no column {lacking[0]!r}; take the file as it was given."
            )
        gaze = [name for name in table.columns if name.startswith("gaze_")]
        table = table.with_columns(pl.col(*columns, *gaze).str.strip_chars().cast(pl.Float64))
    except UNREADABLE as error:
        problem = str(error).strip().splitlines()[0][:200]
        raise DataError(
            f"{file}: it cannot be read as the table of numbers ({problem}); take it as it was given."
        ) from error
    for name in columns:
        wrong = ~pl.col(name).is_between(0, LATEST) | pl.col(name).is_null()
        reject(
            table,
            wrong,
            name,
            f"0 to {LATEST:,} is expected; take it as it was given",
            table=str(file),
        )
    return table
