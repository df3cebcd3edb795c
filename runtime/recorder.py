"""A trace file that is being recorded or replayed, run by run.

Any number of runs may go on at once. A run stands in the file when it has finished, and whole; what a
killed process had not finished is not there.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from merchgraph.runtime.errors import SetupError, TapeError
from merchgraph.runtime.playing import use_tape
from merchgraph.runtime.shared import Shared
from merchgraph.runtime.software import changed_prompts, prompt_hashes, versions
from merchgraph.runtime.take import Take, as_json, use_take
from merchgraph.runtime.tape import Answer, Mode, Tape, shelf
from merchgraph.runtime.trace import (
    CallLine,
    CaseLine,
    CloseLine,
    Header,
    JsonObject,
    Line,
    Run,
    RunLine,
    Trace,
)
from merchgraph.runtime.trace_file import Writer, read
from merchgraph.runtime.wire import as_plain, hide, key_of


class Recorder:
    """A trace file that is being recorded or replayed; `begun` counts the runs of the sitting.

    Args:
        path: the file; recording goes on at its end.
        mode: as `Tape`; both recording modes keep what the file has.
        params: what is recorded, with which settings; another recording may not go on in this file.
        share: serve an answer that another run of the file got in the same lane, at temperature 0 or with
            a seed, so that the systems of a case ask what they have in common once.

    Raises:
        SetupError: the file cannot be read or written, or holds something else.
    """

    def __init__(
        self,
        path: str | Path,
        mode: Mode = "record",
        *,
        params: JsonObject | None = None,
        share: bool = False,
    ) -> None:
        self.mode: Mode = mode
        self.share = share
        self.trace = Trace(path=str(path))
        self._shared = Shared()
        self._lock = threading.Lock()
        self._writer: Writer | None = None
        self.begun = 0
        self._played: set[str] = set()
        self._written = self._numbered = 0
        if mode == "replay":
            self.trace = read(path)
        else:
            self._open(params or {})

    def _open(self, params: JsonObject) -> None:
        """Take the file, and only then read it: nobody else writes between the two."""
        self._writer = Writer(self.trace.path)
        try:
            self._go_on(self._writer, params)
        except BaseException:
            self.stop()
            raise

    def _go_on(self, writer: Writer, params: JsonObject) -> None:
        if Path(self.trace.path).stat().st_size:
            self.trace = read(self.trace.path)
            if not self.trace.headers:
                raise SetupError(
                    f"The head of the trace {self.trace.path!r} is damaged, so that nobody can tell "
                    "whether this recording belongs there; record into another file."
                )
        header = Header(
            made=datetime.now(UTC).isoformat(timespec="seconds"), software=versions(),
            prompts=prompt_hashes(), params=hide(as_plain(params)),
        )  # fmt: skip
        for before in self.trace.headers[-1:]:
            _check_same(before, header, self.trace)
        writer.append([header])
        self.trace.headers.append(header)
        for run in self.trace.runs.values():
            self._shared.offer(run)

    @contextmanager
    def run(
        self, run: str = "", *, case: JsonObject | None = None, system: str = ""
    ) -> Iterator[Take]:
        """Record or replay what runs inside the block; it counts only if it says there how it ended.

        Args:
            run: its id in the file; made up if empty.
            case: the evaluation's case, written once.
            system: the evaluation's system.
        """
        run = run or self._free_id()
        self.begun += 1
        self._played.add(run)
        known = self.trace.runs.get(run)
        if known is None and self.mode == "replay":
            why = "".join(f" {problem}" for problem in self.trace.problems[:1])
            raise TapeError(f"The trace {self.trace.path!r} has no run {run!r}.{why}")
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        begin = RunLine(
            run=run, case=str((case or {}).get("id", "")), system=system, started=started
        )
        tape = Tape(run, self.mode)
        if known is not None:
            tape.own = shelf([*known.calls, *known.tools])
            tape.endpoints = {**known.end.endpoints}
        if self.mode != "replay" and self.share:
            tape.shared = self._shared.get
        take = Take(begin, tape, known)
        with use_take(take), use_tape(tape):
            yield take
        if take.over:
            tape.settle()
            if not take.end.error:  # a failure gives up whatever else is still to be asked
                take.check_all_asked()
            self._write(take, case)

    def _write(self, take: Take, case: JsonObject | None) -> None:
        if self._writer is None:
            return
        run = Run(
            begin=take.begin, end=take.end, nodes=take.tape.nodes, header=self.trace.headers[-1],
            calls=[line for line in take.tape.answers if isinstance(line, CallLine)],
            tools=[line for line in take.tape.answers if not isinstance(line, CallLine)],
        )  # fmt: skip
        answers = [_brief(line) for line in take.tape.answers]
        with self._lock:
            if case is not None and str(case.get("id")) not in self.trace.cases:
                self.trace.cases[str(case.get("id"))] = hide(case)
                self._writer.append([CaseLine(case=hide(case))])
            begin = run.begin
            if case is not None and begin.request == hide(case).get("request"):
                begin = begin.model_copy(update={"request": {}})  # `read` takes the case's
            self._writer.append([begin, *answers, *run.nodes, run.end])
            self._written += 1
            self._shared.offer(run)
            # the rest of it is in the file; a long evaluation would fill the memory
            end = run.end.model_copy(update={"output": None})
            self.trace.runs[run.id] = Run(begin=begin, end=end, header=run.header)

    def _free_id(self) -> str:
        with self._lock:
            self._numbered += 1
            while f"run-{self._numbered}" in self.trace.runs:
                self._numbered += 1
            return f"run-{self._numbered}"

    @cached_property
    def _unplayed(self) -> dict[str, deque[str]]:
        """The runs of a graph by what was run, in the order of the file."""
        found: dict[str, deque[str]] = {}
        for run in self.trace.runs.values():
            key = _content(run.begin.graph, run.begin.request, run.begin.context)
            found.setdefault(key, deque()).append(run.id)
        return found

    def same_run(self, graph: str, request: BaseModel, context: BaseModel) -> str:
        """The id of the recorded run of just this, "" for a new one; equal runs are taken in turn.

        Raises:
            TapeError: a replay has none.
        """
        if self.mode == "record":
            return ""
        wanted = (graph, as_json(request), as_json(context))
        with self._lock:
            if alike := self._unplayed.get(_content(*wanted)) or self._like(*wanted):
                return alike.popleft()
        if self.mode == "replay":
            raise TapeError(_no_run(self.trace, *wanted))
        return ""

    def _like(self, graph: str, request: JsonObject, context: JsonObject) -> deque[str] | None:
        """Runs that an earlier version recorded, which did not know all of today's settings."""
        for runs in filter(None, self._unplayed.values()):
            begin = self.trace.runs[runs[0]].begin
            asked = begin.graph == graph and _within(begin.request, request)
            if asked and _within(begin.context, context):
                return runs
        return None

    def check_all_played(self) -> None:
        """See that a replay has begun every run of a graph; a suite's runs are for `merchgraph replay`.

        Raises:
            TapeError: naming some of those that were left.
        """
        begins = [run.begin for run in self.trace.runs.values() if run.id not in self._played]
        left = [begin.run for begin in begins if begin.graph and not begin.system]
        if left:
            more = f" and {len(left) - 5} more" if len(left) > 5 else ""
            raise TapeError(
                f"The block ended before {len(left)} of the {len(self.trace.runs)} runs in "
                f"{self.trace.path!r} were played: {', '.join(left[:5])}{more}; run these too, or "
                "record into a new file (an old one is kept, and goes on)."
            )

    def close(self) -> None:
        """End the sitting in order."""
        if self._writer is not None:
            self._writer.append([CloseLine(runs=self._written)])
        self.stop()

    def stop(self) -> None:
        """Let the file go; it will say that the sitting was broken off."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _check_same(before: Header, now: Header, trace: Trace) -> None:
    """Refuse to mix recordings: their numbers would stand in one table.

    Raises:
        SetupError: naming what differs.
    """
    path, was, is_now = trace.path, _flat(before.params), _flat(now.params)
    if settings := [name for name in {**was, **is_now} if was.get(name) != is_now.get(name)]:
        name = settings[0]
        raise SetupError(
            f"The trace {path!r} was recorded with {name} = {was.get(name)!r}, now it is "
            f"{is_now.get(name)!r}; record into another file."
        )
    if changed := changed_prompts(before.prompts, trace.prompts):
        raise SetupError(
            f"The trace {path!r} was recorded with another text of prompts/{changed[0]}; "
            "record into another file."
        )


def _flat(params: JsonObject) -> JsonObject:
    """Settings without the group that they stand in."""
    groups = {name: value for name, value in params.items() if isinstance(value, dict)}
    single = {name: value for name, value in params.items() if name not in groups}
    return single | {name: value for group in groups.values() for name, value in group.items()}


def _content(graph: str, request: JsonObject, context: JsonObject) -> str:
    return key_of({"graph": graph, "request": request, "context": context})


def _within(some: JsonObject, every: JsonObject) -> bool:
    return all(name in every and every[name] == value for name, value in some.items())


def _brief(line: Answer) -> Line:
    """The line as it is written: an answer that stands in another run is only referred to."""
    if not line.same_as:
        return line
    empty: Mapping[str, Any] = {"request": {}, "chunks": [], "call": None}
    if not isinstance(line, CallLine):
        empty = {"args": {}, "value": None}
    return line.model_copy(update=empty)


def _no_run(trace: Trace, graph: str, request: JsonObject, context: JsonObject) -> str:
    told = (
        f"The trace {trace.path!r} has no unplayed run of {graph!r} with this request and context"
    )
    near = [run.begin for run in trace.runs.values() if run.begin.graph == graph]
    if not near:
        return f"{told}, nor any of that graph; it has {len(trace.runs)} runs."
    changed = [
        f"{name} (recorded {was.get(name)!r:.60}, now {now.get(name)!r:.60})"
        for was, now in ((near[0].request, request), (near[0].context, context))
        for name in {**was, **now}
        if was.get(name) != now.get(name)
    ]
    return (
        f"{told}; the first such run differs in {', '.join(changed) or 'nothing, and was played'}."
    )
