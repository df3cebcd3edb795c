"""Run every graph of a trace again on its tape, and compare what comes out with what was recorded.

    replay = asyncio.run(replay_file("x.jsonl.zst"))
    replay.same, replay.differences, replay.report

No model, server, shop or index is asked. What differs is told run by run; a prompt that was edited
since the recording is named first, since it explains the rest.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from merchgraph.evals.report import Report
from merchgraph.evals.session import Telling, make, silent
from merchgraph.evals.suite import Case, evaluate
from merchgraph.evals.taped import Concluding, Taped, TapedRun, run_id
from merchgraph.graphs.front import checked
from merchgraph.graphs.registry import module
from merchgraph.runtime.errors import MerchgraphError, SetupError, TapeError
from merchgraph.runtime.nearest import words_changed
from merchgraph.runtime.recorder import Recorder
from merchgraph.runtime.software import changed_prompts
from merchgraph.runtime.take import Take
from merchgraph.runtime.trace import Run

SHOWN = 200
"""Characters of a value in a difference."""
MOST = 4
"""Differences told of one part of a run."""


class Difference(BaseModel):
    """What came out otherwise in one run, in a sentence or some lines."""

    model_config = ConfigDict(frozen=True)

    run: str
    told: str


class Replay(BaseModel):
    """A replay's result.

    Attributes:
        runs: how many runs were played; a case that not every system has answered is none of them.
        differences: in the order of the runs.
        prompts: files whose text was changed since the recording.
        problems: what of the file could not be read.
        unfinished: the recording was broken off; what it had finished was played.
        seconds, recorded_seconds: for the runs together, now and then.
        report: of a suite's trace.
    """

    path: str
    runs: int
    calls: int
    differences: list[Difference]
    prompts: list[str]
    problems: list[str]
    unfinished: bool
    seconds: float
    recorded_seconds: float
    report: Report | None = None

    @property
    def same(self) -> bool:
        """Whether everything was readable and came out as recorded."""
        return not (self.differences or self.problems)


class Differs(MerchgraphError):
    """A run whose replay could not go on; the others still can."""


async def replay_file(path: str | Path, *, telling: Telling = silent) -> Replay:
    """Replay a trace.

    Args:
        path: the trace.
        telling: draws the progress.

    Raises:
        SetupError: it is no trace, or of a graph or suite that is not here.
    """
    player = _Player(Recorder(path, "replay"))
    trace, began, report = player.recorder.trace, time.monotonic(), None
    if not (trace.headers and trace.runs):
        why = trace.problems[0] if trace.problems else "no run was finished while it was recorded."
        raise SetupError(f"The trace {str(path)!r} holds nothing that can be replayed: {why}")
    about = trace.headers[-1].params
    if "suite" in about:
        report = await _suite(player, about, telling)
    else:
        await _graphs(player, telling)
    return Replay(
        path=str(path),
        runs=len(player.played),
        calls=sum(len(run.calls) for run in player.played),
        differences=player.differences,
        prompts=changed_prompts(trace.headers[-1].prompts, trace.prompts),
        problems=trace.problems,
        unfinished=not trace.closed,
        seconds=time.monotonic() - began,
        recorded_seconds=sum(run.end.seconds for run in player.played),
        report=report,
    )


class _Player(Taped):
    """Plays the runs of a trace, and takes down what differs."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self.differences: list[Difference] = []
        self.played: list[Run] = []

    @contextmanager
    def run(self, case: Case, system: str) -> Iterator[TapedRun]:
        """As `Taped`; a run that asks what is not on its tape ends there, and the others go on."""
        take: Take | None = None
        wrong: MerchgraphError | None = None
        try:
            with super().run(case, system) as played:
                take = played.take
                yield played
        except TapeError as error:
            wrong = error
            raise Differs(str(error)) from error
        finally:
            self.compare(run_id(case, system), take, wrong)

    def compare(self, run: str, take: Take | None, wrong: MerchgraphError | None) -> None:
        """Take down what of a run came out otherwise."""
        told = [str(wrong)] if wrong is not None else []
        recorded = self.recorder.trace.runs.get(run)
        if recorded is not None:
            self.played.append(recorded)
            told += _changes(recorded, take) if take is not None and take.over else []
        if told:
            self.differences.append(Difference(run=run, told="\n".join(told)))


async def _suite(player: _Player, about: Mapping[str, Any], telling: Telling) -> Report:
    name, params, trace = str(about["suite"]), dict(about.get("params", {})), player.recorder.trace
    systems = [system.name for system in make(name, params).systems()]
    finished = [
        Case.model_validate(case)
        for key, case in trace.cases.items()
        if all(f"{key}/{system}" in trace.runs for system in systems)
    ]
    if not finished:
        remedy = "Record on: the same `merchgraph eval` goes on where it stopped."
        raise SetupError(
            f"The trace {trace.path!r} has no case that all {len(systems)} systems have answered. "
            f"{trace.problems[0] if trace.problems else remedy}"
        )
    suite = make(name, params, finished)
    await suite.prepare(player, telling("fitting"))
    outcomes = await evaluate(
        suite, recorder=player, progress=telling("cases"), at_once=suite.at_once
    )
    if isinstance(suite, Concluding):
        await suite.conclude(player, outcomes)
    return Report.of(suite, outcomes, notes=suite.notes)


async def _graphs(player: _Player, telling: Telling) -> None:
    """Runs outside a suite, each by its graph."""
    runs, progress = player.recorder.trace.runs, telling("runs")
    for done, run in enumerate(list(runs.values()), start=1):
        graph, take = module(run.begin.graph), None
        wrong: MerchgraphError | None = None
        try:
            with player.recorder.run(run.id) as take:
                request = checked(graph.Request, run.begin.request)
                await graph.arun(request, checked(graph.Context, run.begin.context))
        except MerchgraphError as error:
            wrong = error
        player.compare(run.id, take, wrong)
        progress(done, len(runs))


def _changes(was: Run, take: Take) -> Iterator[str]:
    """What differs, in the order in which a person would look for it."""
    now = take.end
    pairs: list[tuple[str, Any, Any]] = [
        ("request", was.begin.request, take.begin.request),
        ("context", was.begin.context, take.begin.context),
        ("error", was.end.error, now.error),
        ("answer", was.end.answer, now.answer),
        ("metrics", was.end.metrics, now.metrics),
        ("usage", was.end.usage.model_dump(), now.usage.model_dump()),
        ("output", was.end.output, now.output),
    ]
    for name, before, after in pairs:
        yield from list(_unlike(name, before, after))[:MOST]


def _unlike(place: str, was: Any, now: Any) -> Iterator[str]:
    """Where two JSON values differ; fields that a later version added are no difference."""
    if isinstance(was, dict) and isinstance(now, dict):
        for name, value in was.items():
            yield from _unlike(f"{place}.{name}", value, now.get(name))
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for number, (one, other) in enumerate(zip(was, now, strict=True)):
            yield from _unlike(f"{place}[{number}]", one, other)
    elif was != now:
        if isinstance(was, str) and isinstance(now, str):
            yield f"{place}: {words_changed(was, now)}"
        else:
            yield f"{place}: recorded {was!r:.{SHOWN}}, now {now!r:.{SHOWN}}"
