"""Do faces tell that a voice assistant erred? On real gaze, on made-up people, with a trap switched on.

    report = run(Params(people=20))
    console.print(report.terminal()); report.markdown(); report.model_dump_json()

The 21 filmed people of "Look at Me When I Talk to You" (Cuadra et al., arXiv 2104.07153) are not to be
had, so no number here is of that paper. What is real is gaze (badrobotsIRL); what is made up has a known
truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.evals.baselines.reactions import Boosting, Majority, Plain, Traps, whole_clips
from merchgraph.evals.extra import bench
from merchgraph.evals.suites import reactions_stream as stream
from merchgraph.evals.suites.reactions_metrics import MEASURES, Scored
from merchgraph.evals.suites.reactions_report import ReactionsReport
from merchgraph.evals.tables import Cell, Table
from merchgraph.runtime.settings import settings
from merchgraph.tools.reactions import badrobots
from merchgraph.tools.reactions.crowd import emulated, judged
from merchgraph.tools.reactions.cuts import Cut, cut_clips
from merchgraph.tools.reactions.gru import Gru
from merchgraph.tools.reactions.made import Made, made
from merchgraph.tools.reactions.model import Fusion, Logistic, Mil, Scorer, correlations, guarded
from merchgraph.tools.reactions.windows import Floats

Make = Callable[[], Scorer]
Progress = Callable[[int, int], None]
Tell = Callable[[str], Progress]
TRAPS: Mapping[str, Make] = {
    "majority": Majority,
    "length only": lambda: Traps("frames"),
    "position only": lambda: Traps("place", "middle"),
}
MODELS: Mapping[str, Make] = {
    "logistic": Logistic,
    "boosting": Boosting,
    "MIL log-sum-exp": Mil,
    "GRU, attention": Gru,
    "fusion": Fusion,
}
REFERENCE = "position only"
GAZE_SPAN = 8
"""Bins of a span of gaze, 2 s, as long as the data's clips."""


class Params(BaseModel):
    """What is evaluated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    people: Annotated[int, Field(ge=2, le=200, description="Made-up people.")] = 20
    clips: Annotated[int, Field(ge=4, le=200, description="Answers that each gets.")] = 16
    expressiveness: Annotated[
        tuple[float, ...], Field(min_length=1, description="Mean strengths of a reaction.")
    ] = (0.0, 0.5, 1.0, 2.0, 4.0)
    seed: Annotated[int, Field(ge=0)] = 0


def run(params: Params | None = None, *, telling: Tell | None = None) -> ReactionsReport:
    """All tables; those of real gaze are left out, and a note says so, where the data is not there.

    Args:
        params: None is `Params()`.
        telling: begins a stage with a name, and gives what is told of its progress.

    Raises:
        SetupError: the extra bench is not installed.
    """
    params, tell = params or Params(), telling or (lambda name: lambda done, total: None)
    tables, notes = [], []
    with _one_thread():
        if (settings().data / badrobots.FOLDER).is_dir():
            tables += gaze(tell)
        else:
            notes.append(
                f"Real gaze is not there: set MERCHGRAPH_DATA to the folder of {badrobots.FOLDER}."
            )
        usual = Made(people=params.people, clips=params.clips, seed=params.seed)
        known = made(usual)[0]
        about = (
            f"{usual.people} people, {len(known.clips)} answers, half of them errors; strength 1."
        )
        tables.append(compared("Made-up people", cut_clips(known), about, tell("models")))
        tables += [confound(usual, tell("confound")), *recovered(usual, params, tell)]
        tables.append(crowd(usual))
    return ReactionsReport(params=params.model_dump(mode="json"), tables=tables, notes=notes)


def held_out(make: Make, cut: Cut) -> Floats:
    """(N,) probability of each clip by a model of all other people."""
    p = np.zeros(len(cut))
    for person in np.unique(cut.person):
        own = cut.person == person
        p[own] = make().fit(cut[~own]).p(cut[own])
    return p


def compared(title: str, cut: Cut, about: str, progress: Progress) -> Table:
    """Traps and models on the same clips."""
    makes = {**TRAPS, **MODELS}
    found: dict[str, Scored] = {}
    for done, (name, make) in enumerate(makes.items(), start=1):
        found[name] = Scored.of(held_out(make, cut), cut.error, cut.person)
        progress(done, len(makes))
    rows: list[list[Cell]] = []
    for name, scored in found.items():
        means = scored.means()
        gap = None if name == REFERENCE else scored.minus(found[REFERENCE])
        rows.append([name, *(means[measure] for measure in MEASURES), gap])
    columns = ["system", *MEASURES, f"AUC minus {REFERENCE}"]
    return Table(title=title, columns=columns, rows=rows, about=about)


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


def _told(cut: Cut, about: str) -> str:
    people = len(set(cut.person))
    return f"{len(cut):,} spans of {people} people, {cut.error.mean():.0%} positive. {about}"


def clocks(cuts: Mapping[str, Cut]) -> Table:
    """How much of the summaries goes with the place in the video, before the guard and after it."""
    rows: list[list[Cell]] = []
    for title, cut in cuts.items():
        told = cut.told.mean((1, 2))
        kept = guarded(told, cut.error, cut.clues)
        within = told - np.where(cut.error[:, None] > 0, told[cut.error > 0].mean(0),
                                 told[cut.error == 0].mean(0))  # fmt: skip
        sizes = np.max([_within(within, cut, clue) for clue in ("place", "middle")], axis=0)
        rows.append(
            [title, len(kept), int((~kept).sum()), float(sizes.max()), float(sizes[kept].max())]
        )
    return Table(
        title="Place in the video",
        columns=["clips", "summaries", "dropped", "greatest |corr|", "greatest left"],
        rows=rows,
        about="|corr| of a summary with the place in the video or closeness to its middle, within each "
        "label; above .30 it is dropped. Each model does so again on its own training people.",
    )


def _within(told: Floats, cut: Cut, clue: str) -> Floats:
    values = cut.clues[clue]
    means = np.where(cut.error > 0, values[cut.error > 0].mean(), values[cut.error == 0].mean())
    return correlations(told, values - means)


CONFOUND: Mapping[str, Make] = {"length only": TRAPS["length only"], **{
    name: MODELS[name] for name in ("logistic", "boosting", "MIL log-sum-exp", "fusion")
}}  # fmt: skip


def confound(usual: Made, progress: Progress) -> Table:
    """Errors are filmed longer: held-out people cut the same way, and new people cut fairly."""
    rows: list[list[Cell]] = []
    steps, done = 2 * (len(CONFOUND) + 1), 0
    for strength in (0.0, 2.0):
        trained = usual.model_copy(update={"expressiveness": strength, "confound": True})
        fair = trained.model_copy(update={"confound": False, "seed": usual.seed + 1})
        long, even = made(trained)[0], made(fair)[0]
        cut, new = cut_clips(long), cut_clips(even)
        for name in ("unguarded", *CONFOUND):
            if name == "unguarded":
                pair = _unguarded(cut, new, whole_clips(long), whole_clips(even))
            else:
                pair = held_out(CONFOUND[name], cut), CONFOUND[name]().fit(cut).p(new)
            same, fairly = (
                Scored.of(p, of.error, of.person).means()["AUC"]
                for p, of in zip(pair, (cut, new), strict=True)
            )
            rows.append([f"{name}, strength {strength:g}", same, fairly])
            progress(done := done + 1, steps)
    return Table(
        title="The trap switched on",
        columns=[
            "trained where errors are filmed longer",
            "AUC, cut the same way",
            "AUC, cut fairly",
        ],
        rows=rows,
        about="Strength 0: the faces show nothing, so that all above .5 is the trap. Unguarded: sums and "
        "extremes of whole clips.",
    )


def _unguarded(cut: Cut, new: Cut, table: Floats, fair: Floats) -> tuple[Floats, Floats]:
    p = np.zeros(len(cut))
    for person in np.unique(cut.person):
        own = cut.person == person
        p[own] = Plain().fit(table[~own], cut.error[~own]).p(table[own])
    return p, Plain().fit(table, cut.error).p(fair)


def recovered(usual: Made, params: Params, tell: Tell) -> list[Table]:
    """The detector over strengths of planted reactions; its people and costs at the middle one."""
    rows: list[list[Cell]] = []
    middle: list[stream.Heard] = []
    for strength in params.expressiveness:
        clips, planted = made(usual.model_copy(update={"expressiveness": strength}))
        heard = stream.streamed(clips, progress=tell(f"strength {strength:g}"))
        means = stream.scored(heard).means()
        rows.append(
            [f"{strength:g}", means["AUC"], means["macro F1"], *stream.recovery(heard, planted)]
        )
        if strength == sorted(params.expressiveness)[len(params.expressiveness) // 2]:
            middle = heard
    about = (
        "The streaming detector, frame by frame. Strength 1 is a burst of four times the noise, shared "
        "by four action units; found and false alarms at p >= .5 at any time of a clip; medians of time."
    )
    return [
        Table(title="Planted reactions", columns=["strength", "AUC", "macro F1", *stream.RECOVERY],
              rows=rows, about=about),
        Table(title="By person", columns=["person", *stream.PEOPLE], rows=stream.by_person(middle),
              about="The detector at the middle strength."),
        costs(middle),
    ]  # fmt: skip


RATIOS = (1.5, 3.0)
THRESHOLDS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.01)


def costs(heard: list[stream.Heard]) -> Table:
    """What an answer costs where the assistant repairs as soon as p is over a threshold."""
    error = np.array([each.clip.label == "error" for each in heard])
    p = np.array([each.p for each in heard])
    names = {0.0: "always repairs", 1.01: "never repairs"}
    rows: list[list[Cell]] = []
    for threshold in THRESHOLDS:
        missed, needless = (error & (p < threshold)).mean(), (~error & (p >= threshold)).mean()
        costs = (float(ratio * missed + needless) for ratio in RATIOS)
        name = names.get(threshold, f"{threshold:.1f}")
        rows.append([name, float(missed), float(needless), *costs])
    return Table(
        title="Costs over thresholds",
        columns=["p from", "missed", "needless", *(f"cost, a miss is {r:g}" for r in RATIOS)],
        rows=rows,
        about='Per answer; a repair without an error costs 1. That a miss costs more is from "My Bad!" '
        "(CSCW 2021); how much more is a parameter.",
    )


def crowd(usual: Made) -> Table:
    """Emulated raters of the same clips."""
    rows: list[list[Cell]] = []
    for raters in (1, 3, 5, 9):
        clips, planted = made(usual)
        truth = {clip.name: clip.label == "error" for clip in clips.clips}
        told = judged(emulated(planted, raters=raters, seed=usual.seed), truth)
        kappa = None if np.isnan(told.kappa) else told.kappa
        rows.append([
            f"{raters}", told.accuracy, told.single, kappa, told.auc, told.dawid_skene,
        ])  # fmt: skip
    return Table(
        title="Emulated raters",
        columns=["raters a clip", "mean vote", "one rater", "kappa", "AUC", "Dawid-Skene"],
        rows=rows,
        about="Raters whose eye we made up, on made-up people: a check of the measures, not of people.",
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Small products of matrices: threads would wait for each other, ten times as long."""
    with bench("This suite"):
        import sklearn.ensemble  # noqa: F401 — its threads are held back only if they are there
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    with threadpool_limits(1):
        yield
