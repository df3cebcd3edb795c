"""Do faces tell that a voice assistant erred? On real gaze, on made-up people, on a folder of clips.

    report = run(Params(people=20))
    report = run(Params(folder="clips"))      # your own, with a labels.csv; see `tools/reactions/data.py`
    console.print(report.terminal()); report.markdown(); report.model_dump_json()

The 21 filmed people of "Look at Me When I Talk to You" (Cuadra et al., arXiv 2104.07153) are not to be
had, so no number here is of that paper. What is real is gaze (badrobotsIRL); what is made up has a known
truth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.report_text import interval
from merchgraph.evals.suites import reactions_stream as stream
from merchgraph.evals.suites.reactions_made import confound, costs, crowd, recovered
from merchgraph.evals.suites.reactions_models import (
    REFERENCE,
    TRAPS,
    Tell,
    clocks,
    compared,
    one_thread,
)
from merchgraph.evals.suites.reactions_report import ReactionsReport
from merchgraph.evals.tables import Cell, Table
from merchgraph.runtime.errors import DataError
from merchgraph.runtime.settings import settings
from merchgraph.tools.reactions import badrobots
from merchgraph.tools.reactions.cuts import Cut, cut_clips
from merchgraph.tools.reactions.data import Clips, read_clips
from merchgraph.tools.reactions.made import Made, made

GAZE_SPAN = 8
"""Bins of a span of gaze, 2 s, as long as the spans cut around the errors."""
CHANCE = 0.5
THAN = {"better": "does better", "worse": "does worse", "unclear": "is not shown to do better"}
"""What a paired difference to the place in the video says of a model."""
FEWEST_PEOPLE = 3
"""One is held out, and the detector is calibrated between the others."""


class Params(BaseModel):
    """What is evaluated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    people: Annotated[int, Field(ge=FEWEST_PEOPLE, le=200, description="Made-up people.")] = 20
    clips: Annotated[int, Field(ge=4, le=200, description="Answers that each gets.")] = 16
    expressiveness: Annotated[
        tuple[float, ...], Field(min_length=1, description="Mean strengths of a reaction.")
    ] = (0.0, 0.5, 1.0, 2.0, 4.0)
    seed: Annotated[int, Field(ge=0)] = 0
    folder: Annotated[Path | None, Field(description="Clips to evaluate instead of all that.")] = (
        None
    )


def run(params: Params | None = None, *, telling: Tell | None = None) -> ReactionsReport:
    """All tables; those of real gaze are left out, and a note says so, where the data is not there.

    Args:
        params: None is `Params()`.
        telling: begins a stage with a name, and gives what is told of its progress.

    Raises:
        SetupError: the extra bench is not installed, or there is no such folder of clips.
        DataError: the folder breaks its form, or has too few people.
    """
    params, tell = params or Params(), telling or (lambda name: lambda done, total: None)
    with one_thread():
        if params.folder is not None:
            told = {"folder": str(params.folder)}
            return ReactionsReport(params=told, tables=filmed(read_clips(params.folder), tell))
        tables: list[Table] = []
        notes = [f"No real gaze: set MERCHGRAPH_DATA to the folder of {badrobots.FOLDER}."]
        if (settings().data / badrobots.FOLDER).is_dir():
            tables = gaze(tell)
            notes = says(tables)
        usual = Made(people=params.people, clips=params.clips, seed=params.seed)
        known = made(usual)[0]
        about = (
            f"{usual.people} people, {len(known.clips)} answers, half of them errors; strength 1."
        )
        tables.append(compared("Made-up people", cut_clips(known), about, tell("models")))
        tables += [
            confound(usual, tell("confound")),
            *recovered(usual, params.expressiveness, tell),
        ]
        tables.append(crowd(usual))
    told = params.model_dump(mode="json", exclude={"folder"})
    return ReactionsReport(params=told, tables=tables, notes=notes)


def gaze(tell: Tell) -> list[Table]:
    """Real gaze with the labels of the data, then around each error; and what goes with the place."""
    cuts = {
        "Real gaze, as labelled": (cut_clips(badrobots.as_labelled(), span=GAZE_SPAN),
            "Spans of 2 s, labelled by whether the talk with its errors is on; nearly all that is "
            "learnt is in which part of the video a span lies."),
        "Real gaze, around errors": (cut_clips(badrobots.around_errors(), span=GAZE_SPAN),
            "2 s as the robot says that it did not understand, against the 2 s before. No answer was "
            "correct, so this is listening to a failure against speaking, not error against success."),
    }  # fmt: skip
    tables = [
        compared(title, cut, _told(cut, about), tell(title.split(", ")[1]))
        for title, (cut, about) in cuts.items()
    ]
    return [*tables, clocks({title: cut for title, (cut, _) in cuts.items()})]


def says(tables: list[Table]) -> list[str]:
    """What gaze alone can tell and what it cannot, as the figures have it.

    Args:
        tables: those of `gaze`: as labelled, around errors.
    """
    around = {row[0]: row for row in tables[1].rows}
    model, gap = map(_estimate, around["MIL log-sum-exp"][-2:])
    place = _estimate(around[REFERENCE][-2])
    able = "can tell" if model.low > CHANCE else "is not shown to tell"
    return [
        f"Gaze alone {able}, better than chance, whether a person hears the robot fail or speaks before "
        f"it does (AUC {interval(model, model.n)}), and it {THAN[gap.verdict]} than the place in the "
        f"video alone ({interval(place, place.n)}).",
        "It cannot be said to tell an error from a success, since no answer of this robot was one; and "
        f"with the labels of the data as they are, {_of_place(tables[0])}.",
    ]


def _of_place(table: Table) -> str:
    """How the place in the video stands to the models of a table, by their paired differences."""
    gaps = {f"{row[0]}": _estimate(row[-1]).verdict for row in table.rows if row[0] not in TRAPS}
    ahead = [name for name, verdict in gaps.items() if verdict == "better"]
    level = [name for name, verdict in gaps.items() if verdict == "unclear"]
    if ahead:
        return f"place alone is beaten by {', '.join(ahead)}"
    if level:
        return f"place alone is not shown to beat {', '.join(level)}"
    return "place alone beats every model"


def _estimate(cell: Cell) -> Estimate:
    assert isinstance(cell, Estimate)
    return cell


def filmed(clips: Clips, tell: Tell) -> list[Table]:
    """The tables of a folder of clips.

    Raises:
        DataError: it has too few people, or none of one label.
    """
    cut = cut_clips(clips)
    people = len(np.unique(cut.person))
    if people < FEWEST_PEOPLE:
        raise DataError(
            f"The clips are of {people} people; give at least {FEWEST_PEOPLE} with an error or a correct "
            "answer: each is scored by models of the others, and each training fold needs both labels."
        )
    title = "Clips"
    compare = compared(title, cut, _told(cut, "Errors against correct answers."), tell("models"))
    heard = stream.streamed(clips, progress=tell("stream"))
    known = [each for each in heard if each.clip.label in ("error", "correct")]
    means = stream.scored(known).means()
    row = [title, means["AUC"], means["macro F1"], *stream.recovery(known, {})]
    columns = ["clips", "AUC", "macro F1", *stream.RECOVERY]
    about = "The streaming detector, frame by frame; found and false alarms at p >= .5; medians of time."
    by_person = Table(
        title="By person", columns=["person", *stream.PEOPLE], rows=stream.by_person(known, {})
    )
    streamed = Table(title="As a stream", columns=columns, rows=[row], about=about)
    return [compare, clocks({title: cut}), streamed, by_person, costs(known)]


def _told(cut: Cut, about: str) -> str:
    people = len(set(cut.person))
    return f"{len(cut):,} spans of {people} people, {cut.error.mean():.0%} positive. {about}"
