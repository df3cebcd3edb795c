"""`merchgraph eval tmf`: a language model that sees three modalities, among 20 candidates."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console

from merchgraph.cli.options import AsJson, Data, Pairs, settings_of
from merchgraph.cli.plain import plain
from merchgraph.cli.progress import stages
from merchgraph.cli.report_view import Html, Markdown, show


def tmf(
    data: Data = "complete_journey",
    before: Annotated[
        datetime | None, typer.Option(help="The cut; --days before the log's end without it.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="Length of the test, from the cut.")] = 35,
    limit: Annotated[int, typer.Option(min=1, help="Households, drawn by the seed.")] = 200,
    generate: Annotated[int, typer.Option(min=0, help="Questions answered freely as well.")] = 40,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each system.")] = 1,
    systems: Annotated[
        str,
        typer.Option(
            help="all, main (tmf, text alone, untuned), baselines (no language model), or names."
        ),
    ] = "all",
    pairs: Pairs = None,
    html: Html = None,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """Which of 20 candidates is in the next basket? An LLM that sees text, graph and image."""
    console = Console(quiet=as_json)
    console.print(plain(f"TMF on {data}: {limit} households, {systems} systems", "bold"))

    from merchgraph.evals.suites.tmf import Params, run
    from merchgraph.graphs.front import checked
    from merchgraph.tools.tmf.config import Config

    config = checked(Config, settings_of(pairs))
    given = {"data": data, "before": before, "days": days, "cases": limit, "generate": generate}
    params = checked(
        Params, given | {"seeds": seeds, "systems": systems, "config": config.model_dump()}
    )
    with stages(console) as telling:
        report = run(params, telling=telling)
    show(report, console, (html, report.html), (markdown, report.markdown), as_json=as_json)
