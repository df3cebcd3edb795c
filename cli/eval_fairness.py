"""`merchgraph eval fairness`: what fairness to sellers costs, and what learning who buys costs."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from merchgraph.cli.options import AsJson, Data, Pairs, settings_of
from merchgraph.cli.plain import plain
from merchgraph.cli.progress import stages
from merchgraph.cli.report_view import Figure, Html, Markdown, show

Least = Annotated[
    int,
    typer.Option(
        min=1, help="Purchases a seller needs to stand alone: 2000 makes 82 sellers, 5000 makes 32."
    ),
]
Seeds = Annotated[int, typer.Option(min=1, help="Orders of the trips.")]


def fairness(
    data: Data = "complete_journey",
    least_seller: Least = 2_000,
    seeds: Seeds = 20,
    pairs: Pairs = None,
    html: Html = None,
    markdown: Markdown = None,
    figure: Figure = None,
    as_json: AsJson = False,
) -> None:
    """Fairness to sellers: dual prices against greedy lists and other fair rankers."""
    console = Console(quiet=as_json)
    console.print(plain(f"Fairness to sellers on {data}, {seeds} orders of the trips", "bold"))

    from merchgraph.evals.suites import fairness as suite
    from merchgraph.evals.suites.fairness_figure import svg
    from merchgraph.graphs.front import checked

    given = {"data": data, "least_seller": least_seller, "seeds": seeds, **settings_of(pairs)}
    params = checked(suite.Params, given)
    with stages(console) as telling:
        report = suite.run(params, telling=telling)
    files = (html, report.html), (markdown, report.markdown), (figure, lambda: svg(report))
    show(report, console, *files, as_json=as_json)
