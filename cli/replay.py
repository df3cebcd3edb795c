"""`merchgraph replay FILE`: the same numbers without a model, or what came out otherwise."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from merchgraph.cli.plain import plain
from merchgraph.cli.progress import stages
from merchgraph.cli.report_view import Html, Markdown, show
from merchgraph.runtime.errors import SetupError

if TYPE_CHECKING:
    from merchgraph.evals.replay import Replay

SHOWN = 5


def replay(
    file: Annotated[Path, typer.Argument(help="A trace, as --record wrote it.")],
    every: Annotated[bool, typer.Option("--all", help="Show every difference.")] = False,
    html: Html = None,
    markdown: Markdown = None,
) -> None:
    """Run the graphs of a trace again on its tape and compare; exit code 1 where anything differs."""
    console = Console()
    from merchgraph.evals.replay import replay_file
    from merchgraph.runtime.loop import run_sync

    with stages(console) as telling:
        found = run_sync(replay_file(file, telling=telling))
    if found.report is not None:
        report = found.report
        show(report, console, (html, report.html), (markdown, report.markdown))
    _verdict(found, console, every)
    if not found.same:
        raise typer.Exit(1)
    if found.report is None and (html or markdown):
        raise SetupError(
            f"The trace {str(file)!r} holds runs and no evaluation, so that there is no report to write; "
            f"`merchgraph trace show {shlex.quote(str(file))} --html PAGE` draws its runs."
        )


def _verdict(found: Replay, console: Console, every: bool) -> None:
    for problem in found.problems:
        console.print(plain(problem, "red"))
    if found.unfinished:
        told = "The recording was broken off; what it had finished was played."
        console.print(plain(told, "yellow"))
    for file in found.prompts:
        told = f"The prompt prompts/{file} was changed after the recording."
        console.print(plain(told, "bold yellow"))
    shown = found.differences if every else found.differences[:SHOWN]
    for one in shown:
        console.print(plain(one.run, "bold red"))
        for line in one.told.splitlines():
            console.print(plain(f"  {line}"), soft_wrap=True)
    if len(found.differences) > len(shown):
        console.print(
            plain(f"and {len(found.differences) - len(shown)} more runs; --all shows them")
        )
    times = found.recorded_seconds / max(found.seconds, 1e-9)
    speed = f"in {found.seconds:.1f} s, {times:,.0f} times as quick as the recording"
    if found.same:
        runs = f"{found.runs:,} run{'s' * (found.runs != 1)}"
        told = f"{runs} with {found.calls:,} model calls: all as recorded, {speed}."
        console.print(plain(told, "green"))
    else:
        told = f"{len(found.differences)} of {found.runs:,} runs came out otherwise."
        console.print(plain(told, "bold red"))
