"""`merchgraph eval gmvo`: similar items by relevance and value, on real substitutions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console

from merchgraph.cli.options import AsJson, Data, Pairs, settings_of
from merchgraph.cli.plain import plain
from merchgraph.cli.progress import stages
from merchgraph.cli.report_view import Figure, Html, Markdown, show


def gmvo(
    data: Data = "complete_journey",
    before: Annotated[
        datetime | None, typer.Option(help="The cut; --days before the log's end without it.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="Length of the test, from the cut.")] = 35,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each system.")] = 3,
    systems: Annotated[
        str, typer.Option(help="all, baselines (nothing is trained), or names with commas.")
    ] = "all",
    pairs: Pairs = None,
    html: Html = None,
    markdown: Markdown = None,
    figure: Figure = None,
    as_json: AsJson = False,
) -> None:
    """Similar items with a price: what households take in place of an item, and what it is worth."""
    console = Console(quiet=as_json)
    console.print(plain(f"Similar items on {data}: {systems} systems, {seeds} seeds", "bold"))

    from merchgraph.evals.suites.gmvo import Params, run
    from merchgraph.graphs.front import checked
    from merchgraph.tools.gmvo.config import Config

    config = checked(Config, settings_of(pairs))
    params = checked(
        Params,
        {"data": data, "before": before, "days": days, "seeds": seeds, "systems": systems}
        | {"config": config},
    )
    with stages(console) as telling:
        report = run(params, telling=telling)

    from merchgraph.evals.suites.gmvo_figure import svg

    files = (html, report.html), (markdown, report.markdown), (figure, lambda: svg(report))
    show(report, console, *files, as_json=as_json)
