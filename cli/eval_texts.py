"""`merchgraph eval carts` and `eval copy`: the methods that write, against what else could be done."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from merchgraph.cli.options import AsJson, Data, Model, Pairs, settings_of
from merchgraph.cli.plain import plain
from merchgraph.cli.report_view import Html, Markdown, Seed, Trace, evaluated, show

Judge = Annotated[
    str | None,
    typer.Option(help="PROVIDER/MODEL of the held-out judge; embedding and words without it."),
]
Systems = Annotated[str, typer.Option(help="all, or names with commas.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Cases drawn by the seed; all without it.")]


def carts(
    count: Annotated[int, typer.Option(min=1, help="Modules of each of the three kinds.")] = 10,
    size: Annotated[int, typer.Option(help="Items of a module.")] = 8,
    limit: Limit = None,
    model: Model = None,
    judge: Judge = None,
    data: Data = "complete_journey",
    systems: Systems = "all",
    seed: Seed = 0,
    pairs: Pairs = None,
    record: Trace = None,
    html: Html = None,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """CARTS, its ablations and baselines: titles of modules, judged by who was not in the loop."""
    console = Console(quiet=as_json)
    console.print(
        plain(f"CARTS on {data}: {3 * count} modules of {size}, {systems} systems", "bold")
    )
    params: dict[str, Any] = {
        "data": data, "count": count, "size": size, "model": model, "judge": judge,
        "systems": systems, "seed": seed, **settings_of(pairs),
    }  # fmt: skip
    report = evaluated("carts", params, limit, record, console)
    show(report, console, (html, report.html), (markdown, report.markdown), as_json=as_json)


def copy(
    use_cases: Annotated[
        str, typer.Option(help="Bundled use cases or paths, with commas.")
    ] = "a, b, c",
    batches: Annotated[int, typer.Option(min=1, help="Batches per use case.")] = 6,
    copies: Annotated[int, typer.Option(min=1, help="Copies of a batch, written in one call.")] = 5,
    limit: Limit = None,
    model: Model = None,
    judge: Judge = None,
    systems: Systems = "all",
    seed: Seed = 0,
    pairs: Pairs = None,
    record: Trace = None,
    html: Html = None,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """The copywriting loop by rounds and modes, against best-of and Self-Refine at equal budgets."""
    console = Console(quiet=as_json)
    told = f"Copy for {use_cases}: {batches} batches of {copies} each, {systems} systems"
    console.print(plain(told, "bold"))
    params: dict[str, Any] = {
        "use_cases": use_cases, "batches": batches, "copies": copies, "model": model,
        "judge": judge, "systems": systems, "seed": seed, **settings_of(pairs),
    }  # fmt: skip
    report = evaluated("copy", params, limit, record, console)
    show(report, console, (html, report.html), (markdown, report.markdown), as_json=as_json)
