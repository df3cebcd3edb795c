"""`merchgraph run GRAPH`: one run, drawn live; `--json` for machines."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from merchgraph.cli.plain import plain, teller
from merchgraph.cli.prepare import prepare_shop
from merchgraph.runtime.errors import SetupError

app = typer.Typer(help="Run one graph, drawn live.", no_args_is_help=True)


@app.callback()
def _verbs() -> None:
    """Run one graph, drawn live."""


@app.command()
def arag(
    user: Annotated[str, typer.Option(help="User id of the shop's log.")],
    k: Annotated[int, typer.Option(help="Items to recommend.")] = 5,
    candidates: Annotated[int, typer.Option(help="Items to retrieve and judge.")] = 20,
    model: Annotated[str | None, typer.Option(help="PROVIDER/MODEL of all agents.")] = None,
    data: Annotated[
        str, typer.Option(help="The shop: complete_journey, or a mapping file.")
    ] = "complete_journey",
    slate: Annotated[
        str | None, typer.Option(help="Item ids to rank instead of retrieving, with commas.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting, NAME=VALUE, for example theta=0.6."),
    ] = None,
    record: Annotated[Path | None, typer.Option(help="Trace to record the run into.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Recommend items to one shopper by ARAG: retrieve, understand, judge, summarise, rank."""
    console = Console(quiet=as_json)
    who = Text.assemble(("ARAG", "bold"), " for user ", plain(user, "bold"), " of ", plain(data))
    console.print(who)
    given: dict[str, Any] = {"k": k, "candidates": candidates, "data": data, **_settings(option)}
    fields: dict[str, Any] = {"user": user}
    if model is not None:
        given["model"] = model
    if slate is not None:
        fields["candidates"] = [item.strip() for item in slate.split(",") if item.strip()]
    result = _run_arag(fields, given, record, console)
    if as_json:
        typer.echo(result.model_dump_json(indent=2))


def _run_arag(
    fields: dict[str, Any], given: dict[str, Any], record: Path | None, console: Console
) -> BaseModel:
    # imported after the first line is on the screen, since LangGraph takes a second
    from merchgraph.cli import live
    from merchgraph.graphs import arag as graph
    from merchgraph.graphs.front import checked
    from merchgraph.runtime.models import endpoint
    from merchgraph.runtime.recording import recorded
    from merchgraph.tools.data.shops import shop

    request, context = checked(graph.Request, fields), checked(graph.Context, given)
    endpoint(context.model)
    shop(context.data).history(request.user)  # a mistake is said before the index is built
    if request.candidates is None:
        prepare_shop(context.data, console, teller(console))
    with recorded(record) if record else nullcontext():
        result = live.follow(
            graph.graph,
            console,
            lambda watch: graph.arun(request, context, watch=watch),
            fan_out={"nli": "offers"},
        )
    live.show_arag(result, console)
    if record:
        console.print(plain(f"recorded in {record}; merchgraph trace show {record}", "dim"))
    return result


def _settings(pairs: list[str] | None) -> dict[str, Any]:
    """NAME=VALUE pairs; a value is JSON where it reads as such, else text.

    Raises:
        SetupError: a pair without a name or an equals sign.
    """
    found: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise SetupError(f"--set got {pair!r}; expected NAME=VALUE, for example theta=0.6.")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found
