"""`merchgraph eval complement`: which item was taken out of a real basket, without a language model."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from merchgraph.cli.options import AsJson, Data
from merchgraph.cli.plain import plain
from merchgraph.cli.progress import stages
from merchgraph.cli.report_view import Html, Markdown, show
from merchgraph.runtime.errors import SetupError

Seeds = Annotated[str, typer.Option(help="Trainings of each system, by their seeds, with commas.")]
Limit = Annotated[int, typer.Option(min=1, help="Baskets of the test window, drawn at random.")]
Variants = Annotated[
    str | None, typer.Option(help="Trainings of the model, with commas; all of them without it.")
]
Probes = Annotated[
    bool, typer.Option(help="Also classify items by their vectors, and place cold ones.")
]


def eval_complement(
    data: Data = "complete_journey",
    seeds: Seeds = "0,1,2,3,4",
    limit: Limit = 5_000,
    variants: Variants = None,
    probes: Probes = True,
    html: Html = None,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """Complements: find the item that was taken out of a basket, among the whole catalogue."""
    console = Console(quiet=as_json)
    params: dict[str, Any] = {
        "data": data, "seeds": numbers(seeds), "limit": limit, "probes": probes,
    }  # fmt: skip
    if variants:
        params["variants"] = tuple(name.strip() for name in variants.split(","))
    console.print(plain(f"Complements on {data}, seeds {seeds}", "bold"))

    from merchgraph.evals.suites import complement as suite

    with stages(console) as telling:
        report = suite.run(suite.Params(**params), telling=telling)
    show(report, console, (html, report.html), (markdown, report.markdown), as_json=as_json)


def numbers(text: str) -> tuple[int, ...]:
    """Seeds from "0,1,2".

    Raises:
        SetupError: something else than whole numbers from 0, each once.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts) or len(set(parts)) < len(parts):
        raise SetupError(f"--seeds got {text!r}; expected whole numbers, each once, like 0,1,2.")
    return tuple(int(part) for part in parts)
