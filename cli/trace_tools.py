"""`merchgraph trace diff` and `merchgraph trace export`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from merchgraph.cli.plain import plain
from merchgraph.runtime.errors import SetupError

if TYPE_CHECKING:
    from merchgraph.runtime.export_sft import Good
    from merchgraph.runtime.trace import Trace

DIFFERENT = 1


class Form(StrEnum):
    """What a trace can become."""

    otlp = "otlp"
    inspect = "inspect"
    sft = "sft"


OUT = {Form.otlp: ".otlp.jsonl", Form.inspect: "-inspect", Form.sft: ".sft.jsonl"}
Case = Annotated[str | None, typer.Option(help="Only this case, or the run of this id.")]


def diff(
    a: Annotated[Path, typer.Argument(help="A trace.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="Another, later one.", show_default=False)],
    case: Case = None,
) -> None:
    """Say what changed between two recordings: prompts, answers, rankings, cost.

    The summary comes first; --case shows one case word by word. Times and tokens are shown, and are no
    difference. Ends with 0 where nothing changed, with 1 where something did.
    """
    from merchgraph.cli.diff_view import show_head, show_run, show_summary
    from merchgraph.runtime import trace_diff
    from merchgraph.runtime.recorded import of_case
    from merchgraph.runtime.trace_file import read

    traces = [read(a), read(b)]
    if case is not None:
        traces = of_case(case, *traces)
    found, console = trace_diff.diff(*traces), Console()
    show_head(found, traces, console)
    if case is None and len(found.runs) > 1:
        show_summary(found, console)
    else:
        for run in found.runs:
            show_run(run, console)
    if not found.equal:
        raise typer.Exit(DIFFERENT)


def export(
    file: Annotated[Path, typer.Argument(help="A trace.", show_default=False)],
    to: Annotated[
        Form,
        typer.Option(
            help="otlp: OpenTelemetry spans, for Phoenix, Jaeger and others. inspect: logs for "
            "`inspect view`. sft: good answers as chat rows to fine-tune on."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write: a file; for inspect a folder.", show_default="here"),
    ] = None,
    case: Case = None,
    metric: Annotated[
        str | None, typer.Option(help="sft: only runs that are good by this metric.")
    ] = None,
    at_least: Annotated[
        float | None, typer.Option(help="sft: the least value of that metric.")
    ] = None,
    agent: Annotated[
        list[str] | None, typer.Option(help="sft: only this agent's answers; may be repeated.")
    ] = None,
) -> None:
    """Write a trace in the format of another tool.

    otlp has one export request (one run) a line: POST each to a collector's :4318/v1/traces as
    application/json. Phoenix takes protobuf only; runtime/export_otlp.py has the ten lines that convert.
    """
    from merchgraph.runtime.export_sft import Good
    from merchgraph.runtime.recorded import of_case
    from merchgraph.runtime.trace_file import read

    if (metric is None) != (at_least is None):
        raise SetupError(
            "--metric and --at-least belong together, for example --metric nDCG@5 --at-least 0.6."
        )
    if to is not Form.sft and (metric is not None or agent):
        raise SetupError("--metric, --at-least and --agent choose answers for --to sft only.")
    trace = read(file)
    if case is not None:
        trace = of_case(case, trace)[0]
    out = out or Path(file.name.split(".")[0] + OUT[to])
    told = _exported(trace, to, out, Good(metric or "", at_least or 0.0, agent or ()))
    Console().print(plain(f"{out}: {told}"), soft_wrap=True)


def _exported(trace: Trace, to: Form, out: Path, good: Good) -> str:
    """Write the trace, and say what was written."""
    from merchgraph.cli.diff_view import many

    if to is Form.inspect:
        from merchgraph.runtime.export_inspect import write

        return f"{many(len(write(trace, out)), 'log')}; look by: inspect view --log-dir {out}"
    if to is Form.otlp:
        from merchgraph.runtime.export_otlp import otlp

        return f"{many(_write(out, otlp(trace)), 'run')}, one a line"
    from merchgraph.runtime.export_sft import sft

    rows = sft(trace, good)
    _write(out, (row.json() for row in rows))
    agents = Counter(row.metadata["agent"] for row in rows)
    shares = ", ".join(f"{name} {count}" for name, count in agents.items())
    return many(len(rows), "row") + (f" ({shares})" if rows else "; no answer is good")


def _write(path: Path, lines: Iterable[str]) -> int:
    """Write lines, and return how many there were."""
    count = 0
    try:
        # half a surrogate pair, which shops do have, becomes its JSON escape
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            for line in lines:
                file.write(f"{line}\n")
                count += 1
    except OSError as error:
        raise SetupError(
            f"{str(path)!r} cannot be written: {error.strerror}; give another --out."
        ) from error
    return count
