"""`merchgraph eval hyper`: click models for new ads, written by a model or made without one."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from merchgraph.cli.options import AsJson, Pairs, settings_of
from merchgraph.cli.plain import plain
from merchgraph.cli.report_view import Html, Markdown, Trace, evaluated, show

EMBEDDED_ADS = 40
"""Ads of a launch that the embedded model writes for, which takes it a minute or two each."""
Written = Annotated[
    str | None,
    typer.Option("--model", help="PROVIDER/MODEL of all agents; baselines only without one."),
]


def hyper(
    model: Written = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"Ads drawn of all launches; all without it, {EMBEDDED_ADS} for an embedded model.",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Launches, with commas; 0, 1, 2 without a model, else 0."),
    ] = None,
    systems: Annotated[str, typer.Option(help="all, baselines, or names with commas.")] = "all",
    pairs: Pairs = None,
    record: Trace = None,
    html: Html = None,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """LLM-HYPER, its ablations and baselines: who clicks an ad that nobody has seen?"""
    console = Console(quiet=as_json)
    if limit is None and (model or "").startswith("embedded/"):
        limit = EMBEDDED_ADS
    seeds = seeds or ("0" if model else "0, 1, 2")
    told = f"{limit} ads" if limit else "all new ads"
    console.print(plain(f"LLM-HYPER: {told} of launches {seeds}", "bold"))
    params: dict[str, Any] = {
        "seeds": seeds, "model": model, "systems": systems, **settings_of(pairs),
    }  # fmt: skip
    report = evaluated("hyper", params, limit, record, console)
    show(report, console, (html, report.html), (markdown, report.markdown), as_json=as_json)
