"""`merchgraph eval SUITE`: run an evaluation, print its table, record it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from merchgraph.cli.plain import plain, teller
from merchgraph.cli.prepare import prepare_shop
from merchgraph.cli.progress import stages
from merchgraph.runtime.errors import SetupError

app = typer.Typer(help="Run an evaluation and print its table.", no_args_is_help=True)
Data = Annotated[
    str, typer.Option(help="The shop: complete_journey, online_retail, or a mapping file.")
]


@app.command()
def retrieval(data: Data = "complete_journey") -> None:
    """The semantic index against exact search: recall and time."""
    console = Console()
    prepare_shop(data, console, teller(console))

    from merchgraph.evals.suites import retrieval as suite
    from merchgraph.tools.candidates import semantic_index
    from merchgraph.tools.data.shops import shop

    store = shop(data)
    console.print(suite.on_shop(semantic_index(store), store).table())


@app.command()
def arag(
    limit: Annotated[int, typer.Option(min=1, help="Cases: households drawn by the seed.")] = 100,
    model: Annotated[str | None, typer.Option(help="PROVIDER/MODEL of all agents.")] = None,
    data: Data = "complete_journey",
    targets: Annotated[
        str, typer.Option(help="any item of the last basket, or one that is new to the household.")
    ] = "any",
    systems: Annotated[
        str, typer.Option(help="all, baselines (no model is asked), or names with commas.")
    ] = "all",
    rationales: Annotated[bool, typer.Option(help="Let the judge give reasons.")] = False,
    fit_cases: Annotated[
        int, typer.Option(help="Cases of the week before that the model judges, for the weights.")
    ] = 30,
    seed: Annotated[int, typer.Option(help="Which households, targets and slates.")] = 0,
    record: Annotated[
        Path | None,
        typer.Option(help="Trace to record into; the same command again goes on where it stopped."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML page.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the table as Markdown.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """ARAG, its ablations and baselines: find the item that was taken out of a real basket."""
    params: dict[str, Any] = {
        "data": data, "targets": targets, "systems": systems, "rationales": rationales,
        "fit_cases": fit_cases, "seed": seed,
    }  # fmt: skip
    if model is not None:
        params["model"] = model
    console = Console(quiet=as_json)
    console.print(plain(f"ARAG on {data}: {limit} cases, {systems} systems", "bold"))
    from merchgraph.evals.session import make, run_suite
    from merchgraph.runtime.loop import run_sync

    suite = make("arag", params)
    prepare_shop(data, console, teller(console))
    with stages(console) as telling:
        report = run_sync(run_suite(suite, limit=limit, path=record, telling=telling))
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    show(report, console, html, markdown)


def show(report: Any, console: Console, html: Path | None, markdown: Path | None) -> None:
    """Print a report, and write it where the person wants it.

    Raises:
        SetupError: a file cannot be written.
    """
    console.print(report.terminal())
    for path, text in ((html, report.html), (markdown, report.markdown)):
        if path is not None:
            try:
                path.write_text(text(), encoding="utf-8")
            except OSError as error:
                raise SetupError(
                    f"The report cannot be written to {str(path)!r}: {error.strerror}; "
                    "give another path."
                ) from error
            console.print(plain(f"  wrote {path}"))
