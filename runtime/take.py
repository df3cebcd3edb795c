"""One run on its way into a trace, or out of one: the graph and the suite say what it is and became."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from merchgraph.runtime.errors import TapeError
from merchgraph.runtime.ledger import Usage
from merchgraph.runtime.tape import Answer, Tape
from merchgraph.runtime.trace import CallLine, EndLine, JsonObject, Run, RunLine
from merchgraph.runtime.wire import as_plain, hide


@dataclass
class Take:
    """One run that is being recorded or replayed.

    Attributes:
        begin: what is run; a graph names itself here.
        tape: what it asks.
        recorded: the run of the file that it replays or completes, if there is one.
        prompts: files of the prompts that it filled.
        over: whether it came to an end; a run that broke off is not written.
    """

    begin: RunLine
    tape: Tape
    recorded: Run | None = None
    prompts: set[str] = field(default_factory=set)
    over: bool = False
    structure: JsonObject = field(default_factory=dict)
    _told: JsonObject = field(default_factory=dict)

    def graph(
        self, name: str, request: BaseModel, context: BaseModel, structure: JsonObject
    ) -> None:
        """Say which graph runs, on what; one that runs inside it is a part of its run."""
        if self.begin.graph:
            return
        told = {"graph": name, "request": as_json(request), "context": as_json(context)}
        self.begin = self.begin.model_copy(update=told)
        self.structure = structure

    def result(self, output: Any, usage: Usage) -> None:
        """Say what the graph gave."""
        self._told |= {"output": as_json(output), "usage": usage}
        self.over = True

    def answered(self, answer: JsonObject, metrics: Mapping[str, float], usage: Usage) -> None:
        """Say what a suite took from it, and how good that was."""
        self._told |= {"answer": as_json(answer), "metrics": dict(metrics), "usage": usage}
        self.over = True

    def failed(self, error: str, usage: Usage) -> None:
        """Say that it came to no answer, which counts as much as one."""
        self._told |= {"error": hide(error), "usage": usage}
        self.over = True

    @property
    def end(self) -> EndLine:
        """Its last line."""
        return EndLine(
            **self._told,
            seconds=self.tape.seconds,
            endpoints=self.tape.endpoints,
            structure=self.structure,
            prompts=sorted(self.prompts),
        )

    def check_all_asked(self) -> None:
        """See that a replay has asked everything that was recorded.

        Raises:
            TapeError: naming what it has not.
        """
        if self.tape.mode == "replay" and (left := self.tape.unused()):
            raise TapeError(_left_over(self.begin.run, left))


_take: ContextVar[Take | None] = ContextVar("merchgraph_take", default=None)


def taken() -> Take | None:
    """The take that is open now, if there is one."""
    return _take.get()


@contextmanager
def use_take(take: Take) -> Iterator[None]:
    """Let the graph that runs inside the block find its take."""
    token = _take.set(take)
    try:
        yield
    finally:
        _take.reset(token)


def as_json(value: Any) -> Any:
    """A value as JSON without secrets, as traces hold it."""
    return hide(as_plain(value))


def _left_over(run: str, left: list[Answer]) -> str:
    names = [
        f"{line.agent if isinstance(line, CallLine) else line.name}@{line.lane}".rstrip("@")
        for line in left
    ]
    more = f" and {len(left) - 5} more" if len(left) > 5 else ""
    return (
        f"The run {run!r} left {len(left)} recorded answers unasked: {', '.join(names[:5])}{more}; "
        "its graph has changed since."
    )
