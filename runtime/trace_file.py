"""Traces as files: `read` one, or append finished runs to one with a `Writer`.

trace = read("x.jsonl.zst")
trace.runs["208/arag"].calls[0].request["messages"]
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.frames import Damage, Group, pack, unpack, whole_until
from merchgraph.runtime.trace import (
    FORMAT,
    CallLine,
    CaseLine,
    CloseLine,
    EndLine,
    Header,
    Line,
    NodeLine,
    Run,
    RunLine,
    ToolLine,
    Trace,
)

KINDS: dict[str, type[Line]] = {
    "header": Header,
    "case": CaseLine,
    "run": RunLine,
    "call": CallLine,
    "tool": ToolLine,
    "node": NodeLine,
    "end": EndLine,
    "close": CloseLine,
}


def read(path: str | Path) -> Trace:
    """All that is readable of a trace; what is not stands in `problems`.

    Raises:
        SetupError: there is no such file, it is no trace at all, or a later version wrote it.
    """
    trace = Trace(path=str(path))
    for part in unpack(_bytes(Path(path))):
        if isinstance(part, Damage):
            trace.problems.append(_damage(part))
        else:
            _take(trace, part)
    if not trace.headers and not trace.runs:
        raise SetupError(
            f"{str(path)!r} is no trace, or nothing of it is readable; "
            "give a file that --record or record(...) wrote."
        )
    return trace


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        why = error.strerror or str(error)
        raise SetupError(
            f"The trace {str(path)!r} cannot be read: {why}; give the path of a .jsonl.zst file."
        ) from error


def _damage(part: Damage) -> str:
    if part.cut:
        return (
            f"The file ends in the middle of a run (byte {part.offset:,}): the recording was "
            "killed, or the copy is not whole; the runs before it are."
        )
    return (
        f"Byte {part.offset:,} and what follows up to the next run is damaged; "
        "that run is left out; fetch the file again, or record it again."
    )


def _take(trace: Trace, group: Group) -> None:
    try:
        lines = [_line(raw) for raw in group.lines]
    except (ValueError, RecursionError) as error:  # a ValidationError is a ValueError
        why = " ".join(str(error).split())
        trace.problems.append(
            f"The run at byte {group.offset:,} holds a line that is no trace line ({why:.200}); "
            "it is left out."
        )
        return
    for line in lines:
        if isinstance(line, Header):
            _check_format(line, trace.path)
            trace.headers.append(line)
        elif isinstance(line, CaseLine):
            trace.cases[str(line.case.get("id", ""))] = line.case
        trace.closed = isinstance(line, CloseLine)
    if lines and isinstance(lines[0], RunLine):
        _take_run(trace, lines[0], lines[1:])


def _line(raw: bytes) -> Line:
    values = json.loads(raw, parse_float=_finite, parse_constant=_finite)
    kind = values.get("kind") if isinstance(values, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"its kind is {kind!r}, not one of {', '.join(KINDS)}")
    return KINDS[kind].model_validate(values, strict=True)  # "nan" is no number here


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number")
    return value


def _check_format(header: Header, path: str) -> None:
    if header.format > FORMAT:
        raise SetupError(
            f"The trace {path!r} has format {header.format}, but this merchgraph reads up to "
            f"{FORMAT}; update merchgraph."
        )


def _take_run(trace: Trace, begin: RunLine, lines: Sequence[Line]) -> None:
    if begin.graph and begin.case and not begin.request:
        if begin.case not in trace.cases:
            trace.problems.append(
                f"The run {begin.run!r} is of the case {begin.case!r}, which cannot be read; it is "
                "left out."
            )
            return
        asked = trace.cases[begin.case].get("request", {})
        begin = begin.model_copy(update={"request": asked})
    run = Run(begin=begin, header=trace.headers[-1] if trace.headers else Header())
    for line in lines:
        if isinstance(line, CallLine | ToolLine) and line.same_as:
            found = _original(trace, line)
            if found is None:
                trace.problems.append(
                    f"The run {begin.run!r} repeats an answer of the run {line.same_as!r}, which "
                    "cannot be read; it is left out."
                )
                return
            line = found
        if isinstance(line, CallLine):
            run.calls.append(line)
        elif isinstance(line, ToolLine):
            run.tools.append(line)
        elif isinstance(line, NodeLine):
            run.nodes.append(line)
        elif isinstance(line, EndLine):
            run.end = line
    trace.runs.pop(begin.run, None)  # recorded again: the later one counts, and stands later
    trace.runs[begin.run] = run


def _original(trace: Trace, line: CallLine | ToolLine) -> Line | None:
    """The line in full, at the site of the one that refers to it."""
    other = trace.runs.get(line.same_as)
    place = (line.key, line.lane, line.occurrence)
    there: list[Any] = []
    if other is not None:
        there = list(other.calls if isinstance(line, CallLine) else other.tools)
    for found in there:
        if (found.key, found.lane, found.occurrence) == place:
            moved: Line = found.model_copy(
                update={"node": line.node, "at_s": line.at_s, "same_as": line.same_as}
            )
            return moved
    return None


class Writer:
    """Appends to a trace, one finished group at a time; a cut group at its end is taken off first.

    Raises:
        SetupError: the file cannot be written, or another process is recording into it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise SetupError(
                f"The trace {str(path)!r} cannot be written: {error.strerror}; give another path."
            ) from error
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            os.close(self._file)
            raise SetupError(f"The trace {str(path)!r} is no ordinary file; give another path.")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise SetupError(
                f"Another process is recording into {str(path)!r}; wait for it, or give another file."
            ) from error
        os.truncate(self._file, whole_until(self.path.read_bytes()))

    def append(self, lines: Iterable[Line]) -> None:
        """Write lines as one group: after a kill it is there whole, or not at all.

        Raises:
            SetupError: the disk is full, or gone.
        """
        data, before = pack(_json(line) for line in lines), os.fstat(self._file).st_size
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            os.truncate(self._file, before)
            raise SetupError(
                f"The trace {str(self.path)!r} cannot be written: {error.strerror}; what it holds is "
                "whole: make room and record on."
            ) from error

    def close(self) -> None:
        """Let others record into the file."""
        os.close(self._file)


def _json(line: Line) -> bytes:
    fields = line.model_dump_json(exclude={"kind"}, exclude_defaults=True)
    comma = "" if fields == "{}" else ","
    return f'{{"kind":"{line.kind}"{comma}{fields[1:]}'.encode()
