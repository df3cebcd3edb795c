"""`merchgraph run hyper`: the weights of a new ad's click model as signed bars, with the reasons."""

from __future__ import annotations

import json
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
    from merchgraph.graphs.hyper_result import Result

LARGEST_BYTES = 100_000
"""Of an ad's file: its text, and no picture."""
LEAST, MOST = 4, 12
"""Cells of a bar on each side of 0."""
BESIDE = 58
"""Cells of a line of bars that are something else."""
LONGEST, NUMBER, NUMBERS = 28, 6, 27
SHOWN = 15
FIELDS = ("id", "text", "image")
ORIGINS = {
    "model": "written by the model",
    "mixed": "written by the model in part, else the neighbours' mean",
    "neighbours": "the neighbours' mean: the model wrote nothing that can be used",
}


def hyper(
    ad: Annotated[
        Path | None,
        typer.Option(help="File of the ad: its text, or YAML or JSON with text, image and id."),
    ] = None,
    text: Annotated[str | None, typer.Option(help="The ad's text, in place of a file.")] = None,
    image: Annotated[Path | None, typer.Option(help="The ad's picture.")] = None,
    store: Annotated[
        Path | None, typer.Option(help="File to keep the weights in, as a new version.")
    ] = None,
    model: Model = None,
    data: Data = "complete_journey",
    pairs: Pairs = None,
    record: Record = None,
    as_json: AsJson = False,
) -> None:
    """Write the click model of a new ad: retrieve, read, write, validate, normalise, calibrate."""
    console = Console(quiet=as_json)
    fields = _fields(ad, text, image)
    title = plain(str(fields.get("text", "")), "bold")
    title.truncate(70, overflow="ellipsis")
    console.print(Text.assemble(("LLM-HYPER", "bold"), " for ", title))
    given: dict[str, Any] = {"data": data, "model": model, "store": str(store) if store else None}
    given = {name: value for name, value in given.items() if value is not None}

    result = _run(fields, given | settings_of(pairs), record, console)
    show(result, console)
    recorded_in(record, console)
    if as_json:
        typer.echo(result.model_dump_json(indent=2))


def _run(
    fields: dict[str, Any], given: dict[str, Any], record: Path | None, console: Console
) -> Result:
    # imported after the first line is on the screen, since LangGraph takes a second
    from merchgraph.cli import live
    from merchgraph.graphs import hyper as graph
    from merchgraph.graphs.front import checked
    from merchgraph.graphs.hyper_state import branches
    from merchgraph.runtime.recording import recorded

    request, context = checked(graph.Request, fields), checked(graph.Context, given)
    with recorded(record) if record else nullcontext():
        return live.follow(
            graph.graph,
            console,
            lambda watch: graph.arun(request, context, watch=watch),
            fan_out={"write": lambda state: branches(state, context)},
        )


def _fields(ad: Path | None, text: str | None, image: Path | None) -> dict[str, Any]:
    """What the request is made from.

    Raises:
        SetupError: neither a file nor a text, both, or a file that holds no ad.
    """
    if (ad is None) == (text is None):
        raise SetupError("Which ad? Give --ad FILE or --text TEXT, one of the two.")
    fields = _read(ad) if ad is not None else {"text": text}
    if image is not None:
        return fields | {"image": str(image)}
    picture = fields.get("image")
    if ad is not None and isinstance(picture, str) and picture and ":" not in picture:
        fields["image"] = str(ad.parent / picture)  # beside the file that names it
    return fields


def _read(file: Path) -> dict[str, Any]:
    from merchgraph.graphs.hyper import Request
    from merchgraph.tools.yaml_form import read_form

    if file.suffix.lower() in (".yaml", ".yml"):
        fields = read_form(file, Request, "ad").model_dump(exclude_unset=True)
    else:
        fields = _plain(file)
    if not isinstance(fields, dict) or "text" not in fields or not set(fields) <= set(FIELDS):
        raise SetupError(
            f"The ad {str(file)!r} is no object with text and, if there are any, image and id."
        )
    return fields


def _plain(file: Path) -> Any:
    """What a file of JSON or of text holds."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SetupError(f"The ad {str(file)!r} cannot be read: {error.strerror}.") from error
    if len(data) > LARGEST_BYTES:
        raise SetupError(
            f"The ad {str(file)!r} has {len(data):,} bytes; expected its text, {LARGEST_BYTES:,} at most."
        )
    try:
        text = data.decode()
        return json.loads(text) if file.suffix.lower() == ".json" else {"text": text.strip()}
    except (ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise SetupError(f"The ad {str(file)!r} cannot be read: {why:.200}.") from error


def show(result: Result, console: Console) -> None:
    """Print the largest weights as bars, the calibration, the neighbours and the ledger."""
    from merchgraph.cli.ledger_view import ledger_table

    console.print()
    if result.reading is not None:
        for name, said in (("offer", result.reading.offer), ("audience", result.reading.audience)):
            console.print(Text.assemble((f"{name:<9}", "bold"), plain(said)))
    console.print(_bars(result, console.width))
    if any(row.direction for row in result.weights):
        console.print(_reasons(result))
    console.print(_neighbours(result))
    near = result.calibration
    told = (
        f"{near.intercept:+.2f}: {near.predicted:.2%} of reference users click; wanted "
        f"{near.wanted:.2%}, as the ads like it; first guess {near.start:+.2f} ({near.started:.2%})"
    )
    console.print(Text.assemble(("intercept ", "bold"), told), highlight=False)
    console.print(Text.assemble(("weights   ", "bold"), _origin(result)), highlight=False)
    if result.seen is False:
        console.print("  The model sees no pictures; it was told the texts alone.", style="yellow")
    if result.stored is not None:
        console.print(
            Text.assemble(("kept      ", "bold"), f"version {result.stored.version} of ad ",
                          plain(result.ad))
        )  # fmt: skip
    for error in result.errors:
        where = f"{error.node} {error.lane}".strip()
        console.print(plain(f"  {where}: {error.message}", "yellow"))
    console.print(ledger_table(result.usage_by_agent, result.usage))


def _origin(result: Result) -> str:
    found = result.checked
    faults = {
        "left out": found.missing, "not asked for": found.unknown, "no number": found.unusable,
        "against the reason": found.contrary,
    }  # fmt: skip
    told = [ORIGINS[result.origin], *(f"{len(of)} {what}" for what, of in faults.items() if of)]
    if result.consistency is not None:
        told.append(f"{result.consistency:.0%} of the reasons agree with their weight")
    return "; ".join(told)


def _bars(result: Result, width: int) -> Table:
    """The largest weights; a narrow terminal gets short bars."""
    rows = sorted(result.weights, key=lambda row: -abs(row.weight))
    longest = max((abs(row.weight) for row in rows), default=0) or 1
    half = min(max((width - BESIDE) // 2, LEAST), MOST)
    title = f"The {min(SHOWN, len(rows))} largest of {len(rows)} weights"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("feature", no_wrap=True, max_width=min(LONGEST, width - 2 * half - NUMBERS))
    table.add_column("-" + " " * (half * 2 - 1) + "+", no_wrap=True, min_width=half * 2 + 1)
    for heading in ("weight", "model", "near"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=NUMBER)
    for row in rows[:SHOWN]:
        written = "-" if row.written is None else f"{row.written:+.2f}"
        table.add_row(
            plain(row.feature), bar(row.weight / longest, half), f"{row.weight:+.2f}", written,
            f"{row.neighbours:+.2f}",
        )  # fmt: skip
    return table


def _reasons(result: Result) -> Table:
    """What the model says of features; in yellow where its weight says otherwise."""
    table = Table(title="Reasons", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("feature", no_wrap=True, max_width=LONGEST)
    table.add_column("because", ratio=1)
    for row in sorted(result.weights, key=lambda row: -abs(row.weight)):
        if row.direction:
            style = "yellow" if row.feature in result.checked.contrary else ""
            table.add_row(row.direction, plain(row.feature), plain(row.because, style))
    return table


def bar(share: float, half: int) -> Text:
    """A bar to the left or right of its middle; -1 and 1 fill their side of `half` cells."""
    eighths = round(min(abs(share), 1) * half * 8)
    whole, rest = divmod(eighths, 8)
    if share < 0:  # blocks grow from the left: a part of a cell is drawn by its right half
        left = ("▐" if rest else "") + "█" * whole
        return Text.assemble((left.rjust(half), "red"), "│", " " * half)
    right = "█" * whole + (EIGHTHS[rest] if rest else "")
    return Text.assemble(" " * half, "│", (right.ljust(half), "green"))


def _neighbours(result: Result) -> Table:
    table = Table(title="Retired ads like it", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("ad", ratio=1)
    for heading in ("cosine", "clicked", "shown"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in result.neighbours:
        table.add_row(
            plain(one.text), f"{one.cosine:.2f}", f"{one.rate:.2%}", f"{one.exposures:,.0f}"
        )
    return table
