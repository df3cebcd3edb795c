"""`merchgraph eval reactions`: do faces tell that a voice assistant erred?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from merchgraph.cli.options import AsJson
from merchgraph.cli.progress import stages
from merchgraph.cli.report_view import Markdown, Seed, show


def reactions(
    people: Annotated[int, typer.Option(min=3, max=200, help="Made-up people.")] = 20,
    clips: Annotated[int, typer.Option(min=4, max=200, help="Answers that each gets.")] = 16,
    folder: Annotated[
        Path | None, typer.Option(help="Your own clips, with a labels.csv, instead of all that.")
    ] = None,
    seed: Seed = 0,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """Errors of a voice assistant from faces: real gaze, made-up people, traps; no model is asked."""
    console = Console(quiet=as_json)

    from merchgraph.evals.suites import reactions as suite

    with stages(console) as telling:
        params = suite.Params(people=people, clips=clips, seed=seed, folder=folder)
        report = suite.run(params, telling=telling)
    show(report, console, (markdown, report.markdown), as_json=as_json)
