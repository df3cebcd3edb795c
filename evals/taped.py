"""Evaluations on tape: a suite's recorder that keeps every run in a trace, or serves it from one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from merchgraph.evals.suite import Answer, Case, Outcome
from merchgraph.prompts.load import noting
from merchgraph.runtime.errors import BudgetError, MerchgraphError, SetupError
from merchgraph.runtime.ledger import Usage
from merchgraph.runtime.recorder import Recorder
from merchgraph.runtime.take import Take


@dataclass
class TapedRun:
    """One system at work on one case."""

    take: Take

    def end(self, answer: Answer, metrics: dict[str, float]) -> None:
        """Keep the answer."""
        self.take.answered(answer.value, metrics, answer.usage)


@dataclass
class Taped:
    """Keeps the runs of an evaluation, see `suite.Recorder`."""

    recorder: Recorder

    def done(self, case: Case, system: str) -> Answer | None:
        """The answer that an earlier sitting finished; failures are asked again, a replay asks all."""
        run = self.recorder.trace.runs.get(run_id(case, system))
        if self.recorder.mode == "replay" or run is None or run.end.error:
            return None
        return Answer(value=run.end.answer, usage=run.end.usage)

    def cases(self, prefix: str = "") -> list[Case]:
        """The cases of a trace that is replayed whose id begins so, none while recording."""
        if self.recorder.mode != "replay":
            return []
        found = [Case.model_validate(case) for case in self.recorder.trace.cases.values()]
        return [case for case in found if case.id.startswith(prefix)]

    @contextmanager
    def run(self, case: Case, system: str) -> Iterator[TapedRun]:
        """Record what the system asks, or serve it; a system that fails is kept as failed."""
        failed: MerchgraphError | None = None
        opened = self.recorder.run(run_id(case, system), case=case.model_dump(), system=system)
        with opened as take, noting() as take.prompts:
            try:
                yield TapedRun(take)
            except (SetupError, BudgetError):
                raise
            except MerchgraphError as error:
                failed = error
                take.failed(str(error) or type(error).__name__, Usage.of(error.calls))
        if failed is not None:
            raise failed


@runtime_checkable
class Concluding(Protocol):
    """A suite that measures something of all answers together."""

    async def conclude(self, recorder: Taped, outcomes: Sequence[Outcome]) -> None:
        """Called once after the last case, and before `tables`; what it reads goes onto the tape."""


def run_id(case: Case, system: str) -> str:
    """The id of a run in the trace."""
    return f"{case.id}/{system}"
