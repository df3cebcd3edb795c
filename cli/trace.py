"""`merchgraph trace`: look at a recorded trace."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from merchgraph.cli import trace_tools
from merchgraph.cli.plain import plain
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.trace import Trace

app = typer.Typer(help="Look at, compare and export recorded traces.", no_args_is_help=True)
app.command()(trace_tools.diff)
app.command()(trace_tools.export)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A trace: a .jsonl.zst file.")],
    case: Annotated[str | None, typer.Option(help="Only the runs of this case.")] = None,
    run: Annotated[str | None, typer.Option(help="Only this run.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write one page to look at in a browser instead.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Whole prompts, answers and rankings.")
    ] = False,
) -> None:
    """Show what a trace holds: all runs in short, or one from its path to its output."""
    from merchgraph.runtime.trace_file import read
    from merchgraph.runtime.trace_text import TraceText

    trace, console = _chosen(read(file), case, run), Console()
    if html is not None:
        _write_page(trace, html, console)
        return
    text = TraceText(trace, plain, full)
    one = next(iter(trace.runs.values()), None)
    console.print(text.run(one) if one and len(trace.runs) == 1 else text.overview())


def _chosen(trace: Trace, case: str | None, run: str | None) -> Trace:
    """The part of the trace that was asked for.

    Raises:
        SetupError: the trace has no such case or run.
    """
    from merchgraph.runtime.recorded import of_case

    if case is not None:
        trace = of_case(case, trace)[0]
    if run is None:
        return trace
    if run not in trace.runs:
        known = {name.lower(): name for name in trace.runs}
        near = [known[name] for name in get_close_matches(run.lower(), known, n=1, cutoff=0.0)]
        there = f"the nearest of the {len(trace.runs)} that are there: {', '.join(near)}"
        raise SetupError(f"There is no run {run!r}; {there if near else 'there is none'}.")
    return trace.model_copy(update={"runs": {run: trace.runs[run]}})


def _write_page(trace: Trace, path: Path, console: Console) -> None:
    from merchgraph.runtime.trace_page import trace_page

    page = trace_page(trace)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise SetupError(
            f"The page {str(path)!r} cannot be written: {error.strerror}; give another path."
        ) from error
    size = len(page.encode()) / 1e6
    console.print(plain(f"{path}: {len(trace.runs):,} runs, {size:.1f} MB"), soft_wrap=True)
