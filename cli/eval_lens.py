"""`merchgraph eval lens`: the next purchase, from text, from pictures and without a model."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from merchgraph.cli.options import AsJson, Data, Model, Pairs, settings_of
from merchgraph.cli.plain import plain
from merchgraph.cli.report_view import Figure, Html, Markdown, Seed, Trace, evaluated, show

Limit = Annotated[
    int | None, typer.Option(min=1, help="Households drawn by the seed; all without it.")
]
Judge = Annotated[
    str | None,
    typer.Option(help="PROVIDER/MODEL that rates explanations, another one; none without it."),
]
Systems = Annotated[
    str,
    typer.Option(
        help="text (no pictures), baselines (no model), all (pictures too, for a model that sees), "
        "or names with commas."
    ),
]


def lens(
    limit: Limit = None,
    model: Model = None,
    judge: Judge = None,
    data: Data = "complete_journey",
    candidates: Annotated[int, typer.Option(help="Items of a question: 10 or 20.")] = 10,
    systems: Systems = "text",
    seed: Seed = 0,
    pairs: Pairs = None,
    record: Trace = None,
    html: Html = None,
    markdown: Markdown = None,
    figure: Figure = None,
    as_json: AsJson = False,
) -> None:
    """BehaviorLens: what a household buys next, by how its history is shown."""
    console = Console(quiet=as_json)
    drawn = f"{limit:,}" if limit else "all"
    console.print(plain(f"Next purchase on {data}: {drawn} households, {systems} systems", "bold"))
    params: dict[str, Any] = {
        "data": data, "candidates": candidates, "model": model, "judge": judge,
        "systems": systems, "seed": seed, **settings_of(pairs),
    }  # fmt: skip
    report = evaluated("lens", params, limit, record, console)

    from merchgraph.evals.suites.lens_figure import svg

    files = (html, report.html), (markdown, report.markdown), (figure, lambda: svg(report))
    show(report, console, *files, as_json=as_json)
