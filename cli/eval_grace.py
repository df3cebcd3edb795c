"""`merchgraph eval grace`: the next visit of each household, and what attention costs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console

from merchgraph.cli.options import AsJson, Data, Pairs, settings_of
from merchgraph.cli.plain import plain
from merchgraph.cli.progress import stages
from merchgraph.cli.report_view import Figure, Html, Markdown, show


def grace(
    data: Data = "complete_journey",
    before: Annotated[
        datetime | None, typer.Option(help="The cut; --days before the log's end without it.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="Length of the test, from the cut.")] = 35,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each system.")] = 3,
    systems: Annotated[
        str,
        typer.Option(help="main, all (every ablation), baselines (nothing is trained), or names."),
    ] = "main",
    limit: Annotated[int | None, typer.Option(min=1, help="Households; all without it.")] = None,
    efficiency: Annotated[
        bool, typer.Option("--efficiency", help="Measure dense attention against JSA, too.")
    ] = False,
    pairs: Pairs = None,
    html: Html = None,
    markdown: Markdown = None,
    figure: Figure = None,
    as_json: AsJson = False,
) -> None:
    """The next visit: GRACE against frequency, SASRec, BERT4Rec, TIGER and MBGen, row by row."""
    console = Console(quiet=as_json)
    console.print(plain(f"Next visits on {data}: {systems} systems, {seeds} seeds", "bold"))

    from merchgraph.evals.suites.grace import Params, run
    from merchgraph.evals.suites.grace_speed import Cost, measured, svg, table
    from merchgraph.graphs.front import checked
    from merchgraph.tools.grace.config import PRESETS, Config

    config = checked(Config, PRESETS["cpu"].model_dump() | settings_of(pairs))
    told = {"data": data, "before": before, "days": days, "seeds": seeds, "systems": systems}
    params = checked(Params, told | {"limit": limit, "config": config})
    costs: list[Cost] = []
    with stages(console) as telling:
        report = run(params, telling=telling)
        if efficiency or figure:
            costs = measured(config, progress=telling("lengths"))
            report = report.model_copy(update={"tables": [*report.tables, table(costs)]})
    files = (html, report.html), (markdown, report.markdown), (figure, lambda: svg(costs))
    show(report, console, *files, as_json=as_json)
