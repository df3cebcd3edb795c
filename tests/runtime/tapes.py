"""Tapes as they come back from a file."""

from pathlib import Path
from tempfile import TemporaryDirectory

from merchgraph.runtime.tape import Mode, Tape, shelf
from merchgraph.runtime.trace import EndLine, Header, Run, RunLine
from merchgraph.runtime.trace_file import Writer, read


def stored(tape: Tape) -> Run:
    """What a file keeps of a tape."""
    tape.settle()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.jsonl.zst"
        writer = Writer(path)
        writer.append([Header(made="2026-01-01")])
        end = EndLine(endpoints=tape.endpoints)
        writer.append([RunLine(run=tape.run), *tape.answers, *tape.nodes, end])
        writer.close()
        trace = read(path)
    assert not trace.problems
    return trace.runs[tape.run]


def again(tape: Tape, mode: Mode = "replay") -> Tape:
    """The tape to be played, after it was in a file."""
    run = stored(tape)
    return Tape(
        tape.run, mode, own=shelf([*run.calls, *run.tools]), endpoints={**run.end.endpoints}
    )
