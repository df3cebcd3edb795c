"""`merchgraph run lens`: what a shopper buys next, by a text or a picture of the history."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from merchgraph.cli.options import AsJson, Data, Model, Pairs, Record, recorded_in, settings_of
from merchgraph.cli.plain import EIGHTHS, plain
from merchgraph.runtime.errors import SetupError

if TYPE_CHECKING:
    from merchgraph.graphs.behavior_lens import Context, Request, Result

CELLS = 20
"""Of the longest bar."""


def lens(
    user: Annotated[str, typer.Option(help="User id of the shop's log.")],
    kind: Annotated[
        str,
        typer.Option(
            "--as", help="How the history is shown: text, ranks, table, scatter, flowchart, page, both."
        ),
    ] = "text",
    variant: Annotated[
        list[str] | None,
        typer.Option(help="Of a scatter plot: dates, colour; of a flowchart: gaps, merged. Repeatable."),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Save what the model is shown: .png of a picture, else text.")
    ] = None,
    candidates: Annotated[
        str | None, typer.Option(help="Items of which one is next, with commas; own and popular ones.")
    ] = None,
    model: Model = None,
    data: Data = "complete_journey",
    pairs: Pairs = None,
    record: Record = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Foresee a shopper's next purchase by BehaviorLens: show the history, predict, weigh."""
    console = Console(quiet=as_json)
    who = (("BehaviorLens", "bold"), " for user ", plain(user, "bold"), " of ", plain(data))
    console.print(Text.assemble(*who, ", shown as ", plain(" ".join([kind, *(variant or [])]))))
    given = {"rendering": kind, "variants": variant, "model": model, "data": data}
    fields: dict[str, Any] = {"user": user}
    if candidates is not None:
        fields["candidates"] = [item.strip() for item in candidates.split(",") if item.strip()]
    result = _run(fields, given, pairs, (save, record), console)
    if as_json and result is not None:
        # a picture in base64 fills the screen; --save writes it
        typer.echo(result.model_dump_json(indent=2, exclude={"shown": {"picture"}}))


def _run(
    fields: dict[str, Any],
    given: dict[str, Any],
    pairs: list[str] | None,
    files: tuple[Path | None, Path | None],
    console: Console,
) -> Result | None:
    """The run, or None where the picture was saved and the model takes none."""
    # imported after the first line is on the screen, since LangGraph takes a second
    from merchgraph.cli import live
    from merchgraph.graphs import behavior_lens as graph
    from merchgraph.graphs.front import checked
    from merchgraph.runtime.recording import recorded

    (save, record), set_ones = files, {name: value for name, value in given.items() if value}
    request = checked(graph.Request, fields)
    context = checked(graph.Context, set_ones | settings_of(pairs))
    if save is not None and not _saved(save, request, context, console):
        return None
    with recorded(record) if record else nullcontext():
        result = live.follow(
            graph.graph,
            console,
            lambda watch: graph.arun(request, context, watch=watch),
            fan_out={},
        )
    show(result, console)
    recorded_in(record, console)
    return result


def _saved(file: Path, request: Request, context: Context, console: Console) -> bool:
    """Save what the model is to be shown; False where it is a picture that the model refuses.

    Raises:
        SetupError: a file that cannot be written, or whose ending is that of another kind.
    """
    from merchgraph.graphs.behavior_lens import looked_up
    from merchgraph.runtime.loop import run_sync
    from merchgraph.runtime.seeing import sight
    from merchgraph.tools.charts.events import event_table
    from merchgraph.tools.charts.render import render, sees

    pictured = sees(context.rendering)
    if pictured != (file.suffix.lower() == ".png"):
        wanted = "a picture; name a file that ends in .png" if pictured else "text, and no .png"
        raise SetupError(f"The rendering {context.rendering!r} is {wanted}, not {file.name!r}.")
    past, candidates = looked_up(request, context)
    made = render(event_table(past, *candidates), context.rendering, context.variants)
    try:
        file.write_bytes(made.png or f"{made.text}\n".encode())
    except OSError as error:
        raise SetupError(f"The file {str(file)!r} cannot be written: {error.strerror}.") from error
    console.print(plain(f"saved in {file}", "dim"), soft_wrap=True)
    if not pictured or run_sync(sight(context.agent_model())) != "refuses":
        return True
    told = f"{context.model} takes no pictures: nothing was predicted; --model names one that sees."
    console.print(plain(told, "yellow"))
    return False


def show(result: Result, console: Console) -> None:
    """Print the candidates with their probabilities, the prediction with its reason, and the ledger."""
    from merchgraph.cli.ledger_view import ledger_table

    bought = [event.item for event in result.history.events]
    console.print()
    table = Table(title="Next purchase", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    table.add_column("candidate", ratio=3)
    table.add_column("bought", justify="right", no_wrap=True)
    table.add_column("P", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, min_width=CELLS)
    odds = result.odds
    for item in sorted(result.candidates, key=lambda item: -odds.get(item, 0.0)):
        named = item == result.prediction
        p = odds.get(item)
        table.add_row(
            Text("▸", "green") if named else "", plain(item, "bold green" if named else ""),
            str(bought.count(item) or ""), "-" if p is None else f"{p:.2f}",
            Text("" if p is None else _bar(p / max(odds.values())), "cyan"),
        )  # fmt: skip
    console.print(table)
    if result.explanation:
        console.print(Text.assemble(("why  ", "bold"), plain(result.explanation), "\n"))
    if result.sight == "takes":
        told = "  The model takes pictures and cannot tell colours apart: it has not seen this one."
        console.print(told, style="yellow")
    if result.tokens.picture:
        console.print(f"  {result.tokens.picture:,} of the prompt's tokens are the picture's.")
    for error in result.errors:
        console.print(plain(f"  {error.node}: {error.message}", "yellow"))
    console.print(ledger_table(result.usage_by_agent, result.usage))


def _bar(share: float) -> str:
    whole, part = divmod(round(share * CELLS * 8), 8)
    return EIGHTHS[8] * whole + (EIGHTHS[part] if part else "")
