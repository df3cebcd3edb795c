"""One sitting of an evaluation: run a suite, recorded; or run it again from its trace.

    report = asyncio.run(run_suite(Arag(Params()), limit=50, path=Path("x.jsonl.zst")))

A recording that was stopped goes on where it was: the same command again asks only what is missing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from merchgraph.evals.report import Report
from merchgraph.evals.suite import Case, Outcome, Progress, Suite, evaluate
from merchgraph.evals.taped import Concluding, Taped
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.recorder import Recorder
from merchgraph.runtime.trace import JsonObject

SUITES = {
    "arag": "merchgraph.evals.suites.arag",
    "carts": "merchgraph.evals.suites.carts",
    "copy": "merchgraph.evals.suites.copywriting",
    "hyper": "merchgraph.evals.suites.hyper",
    "lens": "merchgraph.evals.suites.lens",
}
"""Suite -> its module, which has `make(params, recorded)`."""
Telling = Callable[[str], Progress]
"""Begins a stage of some name, and gives what is told of its progress."""


class Prepared(Suite, Protocol):
    """A suite that has something to do before its first case."""

    @property
    def at_once(self) -> int:
        """How many cases run at the same time."""

    @property
    def notes(self) -> Sequence[str]:
        """What the report says below its tables."""

    async def prepare(self, recorder: Taped, progress: Progress | None = None) -> None:
        """Fit what has to be fitted, on data from before the test."""


def silent(stage: str) -> Progress:
    """Tells nobody."""
    return lambda done, total: None


def make(name: str, params: JsonObject, recorded: Sequence[Case] = ()) -> Prepared:
    """The suite of a name.

    Args:
        name: one of `SUITES`.
        params: its settings.
        recorded: the cases of a trace; no data is read then.

    Raises:
        SetupError: there is none, or a setting is wrong.
    """
    if name not in SUITES:
        raise SetupError(f"There is no suite {name!r}; there is {', '.join(SUITES)}.")
    return cast(Prepared, import_module(SUITES[name]).make(params, recorded))


async def run_suite(
    suite: Prepared,
    *,
    limit: int | None = None,
    path: Path | None = None,
    telling: Telling = silent,
) -> Report:
    """Run a suite on a sample of its cases.

    Args:
        suite: the evaluation.
        limit: how many cases; all without it.
        path: the trace that is recorded; None keeps none.
        telling: draws the progress.

    Raises:
        SetupError: the trace holds something else, or what a system needs is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = path or Path(folder) / "trace.jsonl.zst"
        params = {"suite": suite.name, "params": suite.params.model_dump(mode="json")}
        recorder = Recorder(file, "record_missing", params=params, share=True)
        try:
            outcomes = await _outcomes(suite, Taped(recorder), limit, telling)
        except BaseException:
            recorder.stop()
            raise
        recorder.close()
    return Report.of(suite, outcomes, notes=suite.notes)


async def _outcomes(
    suite: Prepared, taped: Taped, limit: int | None, telling: Telling
) -> list[Outcome]:
    await suite.prepare(taped, telling("fitting"))
    outcomes = await evaluate(
        suite, limit=limit, recorder=taped, progress=telling("cases"), at_once=suite.at_once
    )
    if isinstance(suite, Concluding):
        await suite.conclude(taped, outcomes)
    return outcomes
