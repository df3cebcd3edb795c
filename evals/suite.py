"""An evaluation: cases, the systems that answer them, and metrics per case.

    cases -> (for each, one after the other) systems -> score -> Outcome     -> Report.of(suite, outcomes)
       several cases at once            recorder: what was asked, what was answered

A suite module gives an object of the shape `Suite`. All systems answer the same cases, so that their
differences are paired. What was finished before is taken from the recorder, so that a run that was cut
goes on where it stopped; a recorder sees each answer as soon as it is there.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from merchgraph.evals.tables import Table
from merchgraph.runtime.errors import BudgetError, MerchgraphError, SetupError
from merchgraph.runtime.ledger import Usage

AT_ONCE = 4
"""Cases in the air: enough that an endpoint's queue is never empty."""


class Case(BaseModel):
    """One question of a suite, JSON only: it is written into the trace as it is.

    Attributes:
        id: unique within the suite.
        segment: one label; the report compares the systems within each.
        request: what the systems get.
        truth: what only the metrics see.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    segment: str = ""
    request: dict[str, Any]
    truth: dict[str, Any]


class Answer(BaseModel):
    """What a system answers to a case, JSON only, and what it took."""

    model_config = ConfigDict(frozen=True)

    value: dict[str, Any]
    usage: Usage = Usage()


@dataclass(frozen=True)
class System:
    """One competitor.

    Attributes:
        name: as the report prints it; unique within the suite.
        answer: never blocks for long; raises a MerchgraphError where it has no answer.
        kind: a baseline, the method without a part, the method, or a bound that knows the answers.
        about: one line for the report.
    """

    name: str
    answer: Callable[[Case], Awaitable[Answer]]
    kind: Literal["baseline", "ablation", "method", "bound"]
    about: str = ""


class Suite(Protocol):
    """An evaluation; `reference` names the system that paired differences are taken against."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def params(self) -> BaseModel:
        """The settings, JSON only: they stand in the head of the report."""

    @property
    def reference(self) -> str: ...  # noqa: D102

    def cases(self) -> Sequence[Case]:
        """All cases, the same ones at every call."""

    def systems(self) -> Sequence[System]:
        """In the order of the report: baselines, ablations, methods."""

    def score(self, case: Case, answer: Answer) -> dict[str, float]:
        """Metric name to value, 0 (worst) to 1 (best); NaN where a metric is undefined.

        The first metric is the one that the report draws and judges by.
        """


class Outcome(BaseModel):
    """How one system did on one case.

    Attributes:
        metrics: without those that are undefined for the case; empty after a failure, which the
            report counts as 0 in every metric of the system.
        usage: model calls, those before a failure included.
        error: why there is no answer; empty if there is one.
        answer: what was answered, for the tables of a suite that is `Tabled`; empty for any other.
    """

    model_config = ConfigDict(frozen=True)

    case: str
    segment: str = ""
    system: str
    metrics: dict[str, float]
    usage: Usage = Usage()
    error: str = ""
    answer: dict[str, Any] = {}


@runtime_checkable
class Tabled(Protocol):
    """A suite with tables of its own, whose outcomes keep their answers."""

    def tables(self, outcomes: Sequence[Outcome]) -> Sequence[Table]: ...  # noqa: D102


class Run(Protocol):
    """One system at work on one case, as the recorder sees it."""

    def end(self, answer: Answer, metrics: dict[str, float]) -> None:
        """Called once, after the answer; not called when the block ends by an exception."""


class Recorder(Protocol):
    """Where a run is kept while it goes on."""

    def done(self, case: Case, system: str) -> Answer | None:
        """The answer that was finished earlier, or None."""

    def run(self, case: Case, system: str) -> AbstractContextManager[Run]:
        """A block; what the system asks inside is recorded."""


class Unrecorded:
    """The recorder that keeps nothing."""

    def done(self, case: Case, system: str) -> Answer | None:
        """Nothing was finished."""
        return None

    def run(self, case: Case, system: str) -> AbstractContextManager[Run]:
        """A block that does nothing."""
        return nullcontext(self)

    def end(self, answer: Answer, metrics: dict[str, float]) -> None:
        """Forget the answer."""


Progress = Callable[[int, int], None]
"""Called after each answer with the number of answers so far, and of all that there will be."""


def draw(cases: Sequence[Case], *, limit: int | None = None, seed: int = 0) -> list[Case]:
    """A random sample of cases that grows with its limit: the first 50 of 200 are those of 50.

    The order comes from a hash of seed and id, so that it is the same in every process and a case
    keeps its place when others come or go.

    Raises:
        SetupError: a limit below 1, or a suite without cases.
        ValueError: two cases with one id.
    """
    if limit is not None and limit < 1:
        raise SetupError(f"The limit is the number of cases, at least 1, not {limit}.")
    if not cases:
        raise SetupError("The suite has no case; choose another shop or setting.")
    if len({case.id for case in cases}) < len(cases):
        raise ValueError("two cases of the suite have the same id")

    def place(case: Case) -> bytes:
        return hashlib.sha256(f"{seed}/{case.id}".encode()).digest()

    return sorted(cases, key=place)[:limit]


async def evaluate(
    suite: Suite,
    *,
    limit: int | None = None,
    seed: int = 0,
    recorder: Recorder | None = None,
    progress: Progress | None = None,
    at_once: int = AT_ONCE,
) -> list[Outcome]:
    """Let every system of a suite answer a sample of its cases.

    Several cases run at once; the systems of a case run one after the other, since they share
    requests, which a tape answers once. A system that fails on a case has an outcome that says so.

    Args:
        suite: the evaluation.
        limit: how many cases; all without it.
        seed: which cases, see `draw`.
        recorder: keeps what is asked and answered, and knows what was finished earlier.
        progress: told after each answer.
        at_once: how many cases run at the same time.

    Returns:
        By case in the order of `draw`, then by system in the order of the suite.

    Raises:
        SetupError: from a system: no case could do better. What was finished is recorded.
        BudgetError: the same; systems that were not asked have not failed.
        ValueError: a suite whose names clash, or whose reference is none of its systems; nothing
            at once.
    """
    if at_once < 1:
        raise ValueError(f"at least one case must run at once, not {at_once}")
    drawn = draw(suite.cases(), limit=limit, seed=seed)
    systems = _checked(suite)
    race = _Race(suite, systems, recorder or Unrecorded(), progress, len(drawn) * len(systems))
    waiting = iter(drawn)

    async def worker() -> None:
        for case in waiting:
            await race.run(case)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(drawn))):
                group.create_task(worker())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [race.found[case.id, system.name] for case in drawn for system in systems]


def _checked(suite: Suite) -> Sequence[System]:
    systems = suite.systems()
    names = [system.name for system in systems]
    if len(set(names)) < len(names):
        raise ValueError(f"two systems of the suite have the same name: {names}")
    if suite.reference not in names:
        raise ValueError(f"the reference {suite.reference!r} is none of the systems {names}")
    return systems


@dataclass
class _Race:
    """One evaluation under way; `found` holds the outcomes by case and system."""

    suite: Suite
    systems: Sequence[System]
    recorder: Recorder
    progress: Progress | None
    total: int
    found: dict[tuple[str, str], Outcome] = field(default_factory=dict)

    async def run(self, case: Case) -> None:
        for system in self.systems:
            try:
                outcome = await self._outcome(case, system)
            except (SetupError, BudgetError):
                raise
            except MerchgraphError as error:
                outcome = Outcome(
                    case=case.id,
                    segment=case.segment,
                    system=system.name,
                    metrics={},
                    usage=Usage.of(error.calls),
                    error=str(error) or type(error).__name__,
                )
            self.found[case.id, system.name] = outcome
            if self.progress:
                self.progress(len(self.found), self.total)

    async def _outcome(self, case: Case, system: System) -> Outcome:
        answer = self.recorder.done(case, system.name)
        if answer is not None:
            metrics = self._metrics(case, answer)
        else:
            with self.recorder.run(case, system.name) as run:
                answer = await system.answer(case)
                metrics = self._metrics(case, answer)
                run.end(answer, metrics)
        kept = answer.value if isinstance(self.suite, Tabled) else {}
        return Outcome(case=case.id, segment=case.segment, system=system.name, metrics=metrics,
                       usage=answer.usage, answer=kept)  # fmt: skip

    def _metrics(self, case: Case, answer: Answer) -> dict[str, float]:
        scores = self.suite.score(case, answer)
        return {name: value for name, value in scores.items() if not math.isnan(value)}
