"""`merchgraph run GRAPH`: one run, drawn live; `--json` for machines."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from merchgraph.cli import run_hyper, run_lens, run_texts, run_voice
from merchgraph.cli.options import (
    AsJson,
    Data,
    Model,
    Pairs,
    Record,
    recorded_in,
    settings_of,
    value_of,
)
from merchgraph.cli.plain import plain, teller
from merchgraph.cli.prepare import prepare_shop
from merchgraph.runtime.errors import SetupError

app = typer.Typer(no_args_is_help=True)


@app.callback()
def keep(
    context: typer.Context,
    thread: Annotated[
        str | None,
        typer.Option(
            help="Keep the run after every step; under the same name it goes on after a kill."
        ),
    ] = None,
    answer: Annotated[
        str | None, typer.Option(help="To what the thread's run waits for: JSON, or else text.")
    ] = None,
) -> None:
    """Run one graph, drawn live."""
    if thread is None and answer is not None:
        raise SetupError("--answer is for a run that waits; name its --thread.")
    if thread is not None:
        from merchgraph.runtime.durable import UNANSWERED, durable

        told = UNANSWERED if answer is None else value_of(answer)
        context.with_resource(durable(thread, answer=told))


@app.command()
def arag(
    user: Annotated[str, typer.Option(help="User id of the shop's log.")],
    k: Annotated[int, typer.Option(help="Items to recommend.")] = 5,
    candidates: Annotated[int, typer.Option(help="Items to retrieve and judge.")] = 20,
    model: Model = None,
    data: Data = "complete_journey",
    slate: Annotated[
        str | None, typer.Option(help="Item ids to rank instead of retrieving, with commas.")
    ] = None,
    pairs: Pairs = None,
    record: Record = None,
    as_json: AsJson = False,
) -> None:
    """Recommend items to one shopper by ARAG: retrieve, understand, judge, summarise, rank."""
    console = Console(quiet=as_json)
    who = Text.assemble(("ARAG", "bold"), " for user ", plain(user, "bold"), " of ", plain(data))
    console.print(who)
    given: dict[str, Any] = {"k": k, "candidates": candidates, "data": data, **settings_of(pairs)}
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
            fan_out={"nli": lambda state: len(state.get("offers", []))},
        )
    live.show_arag(result, console)
    recorded_in(record, console)
    return result


app.command()(run_texts.carts)
app.command()(run_texts.copywriting)
app.command()(run_hyper.hyper)
app.command()(run_lens.lens)
app.command()(run_voice.voice)
