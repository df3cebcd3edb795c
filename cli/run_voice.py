"""`merchgraph run voice`: p(error) of a stream as it came, the decision and the line that repairs."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from merchgraph.cli.options import AsJson, Model, Pairs, Record, recorded_in, settings_of
from merchgraph.cli.plain import plain
from merchgraph.runtime.errors import SetupError

if TYPE_CHECKING:
    from merchgraph.graphs.voice_repair_result import Result
    from merchgraph.graphs.voice_repair_state import Decision

BARS = "▁▂▃▄▅▆▇█"
CELLS = 48
HELD_S = 0.5
"""How long a reading is drawn when none follows."""
BLIND = "·"
FRAMES_A_SECOND = 20
MARKS = {"fine": ("✓", "green"), "repair": ("▸", "red"), "unsure": ("?", "yellow")}
UNTOLD = {"asked": "(a request)", "answered": "(an answer)"}
"""What a stream is said to hold where nobody tells."""
OF_A_STREAM = (
    "--detector, --asked, --answered, --option and --at are of a stream; "
    "name its CSV by --features."
)
OUTCOMES = {
    "fine": "nothing to repair",
    "repaired": "repaired: what came after was fine",
    "said": "the repair was said, and nothing was seen after it",
    "unsure": "no decision: the face does not say enough",
    "person": "a person is to take over",
}


def voice(
    features: Annotated[
        Path | None,
        typer.Option(
            help="CSV of a face's features with a column time; a built-in example without."
        ),
    ] = None,
    detector: Annotated[
        Path | None, typer.Option(help="Folder of the detector; that of merchgraph train without.")
    ] = None,
    asked: Annotated[str | None, typer.Option(help="What the person asked.")] = None,
    answered: Annotated[str | None, typer.Option(help="What the assistant answered.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="What else may have been meant. Repeatable.")
    ] = None,
    at: Annotated[float, typer.Option(min=0, help="When the answer began, in seconds.")] = 0.0,
    speed: Annotated[
        float, typer.Option(min=0, help="1 is as it was, 4 four times as fast, 0 all at once.")
    ] = 1.0,
    model: Model = None,
    pairs: Pairs = None,
    record: Record = None,
    as_json: AsJson = False,
) -> None:
    """See when a voice assistant erred, and repair it: observe, estimate, decide, choose, write, say."""
    console = Console(quiet=as_json)
    told = " over a built-in example" if features is None else f" over {features}"
    console.print(Text.assemble(("Voice repair", "bold"), plain(told)))
    said = {"asked": asked, "answered": answered, "options": option or None, "at": at or None}
    turn = {name: value for name, value in said.items() if value is not None}
    if features is None and (detector or turn):
        raise SetupError(OF_A_STREAM)
    fields, given = _stream(features, detector, turn) if features else ({}, {})
    given |= {"model": model} if model else {}
    result = _run(fields, given | settings_of(pairs), record, console)
    show(result, console, speed=speed)
    recorded_in(record, console)
    if as_json:
        typer.echo(result.model_dump_json(indent=2))


def _stream(
    features: Path, detector: Path | None, turn: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Request and settings of a stream."""
    return {"features": str(features), "turns": [UNTOLD | turn]}, {
        "detector": str(detector or _trained())
    }


def _trained() -> Path:
    from merchgraph.tools.checkpoint import home

    return home("reactions", "made")


def _run(
    fields: dict[str, Any], given: dict[str, Any], record: Path | None, console: Console
) -> Result:
    # imported after the first line is on the screen, since LangGraph takes a second
    from merchgraph.graphs import voice_repair as graph
    from merchgraph.graphs.front import checked
    from merchgraph.runtime.recording import recorded

    request, context = checked(graph.Request, fields), checked(graph.Context, given)
    with recorded(record) if record else nullcontext(), console.status("watching and wording"):
        return graph.run(request, context)


def show(result: Result, console: Console, *, speed: float = 0.0) -> None:
    """Play the looks one after the other, each with its line if it has one; then the outcome.

    Args:
        result: of the run.
        console: one that is no terminal gets the end of each look at once.
        speed: seconds of the stream in one of the clock; 0 is all at once.
    """
    from merchgraph.cli.ledger_view import ledger_table

    repairs = iter(result.repairs)
    for decision in result.decisions:
        turn = result.turns[decision.look.turn]
        about = (plain(f"“{turn.asked}”"), (" → ", "dim"), plain(f"“{turn.answered}”"))
        console.print(Text.assemble("\n", *about))
        _play(decision, console, speed if console.is_terminal else 0.0)
        repair = next(repairs, None) if decision.action == "repair" else None
        if repair is not None:
            said = plain(f"“{repair.line}”", "bold green")
            by = "" if repair.by == "model" else "; a ready line"
            if repair.broke:
                by += f", since the model's broke: {', '.join(repair.broke)}"
            console.print(Text.assemble("  says ", said, (f"  ({repair.kind}{by})", "dim")))
    told = OUTCOMES[result.outcome]
    console.print(Text.assemble("\n", (told, "yellow" if result.outcome == "person" else "bold")))
    for error in result.errors:
        console.print(plain(f"  {error.node}: {error.message}", "yellow"))
    if result.usage.calls:
        console.print(ledger_table(result.usage_by_agent, result.usage))


def _play(decision: Decision, console: Console, speed: float) -> None:
    """Draw one look, frame by frame where there is a speed, up to the moment of its decision."""
    if speed and decision.readings:
        with Live(console=console, transient=True, auto_refresh=False) as screen:
            now = decision.look.start
            while now < decision.at:
                screen.update(_drawn(decision, now), refresh=True)
                time.sleep(1 / FRAMES_A_SECOND)
                now += speed / FRAMES_A_SECOND
    console.print(_drawn(decision, decision.at))
    mark, colour = MARKS[decision.action]
    p = "" if decision.p_error is None else f"p(error) {decision.p_error:.2f}  "
    told = f"{decision.action}: {decision.why}"
    console.print(Text.assemble("  ", (mark, colour), f" {decision.at:.1f} s  {p}", plain(told)))


def _drawn(decision: Decision, until: float) -> Group:
    """p(error) up to a moment, a cell a piece of the window; and the ruler below."""
    look = decision.look
    step = (look.end - look.start) / CELLS or 1.0
    seen = [one for one in decision.readings if one.time <= until]
    bars, n, last = Text("  "), 0, None
    for cell in range(CELLS):
        end = look.start + (cell + 1) * step
        while n < len(seen) and seen[n].time <= end:
            last, n = seen[n], n + 1
        stale = last is None or end - step - last.time > HELD_S or end - step > until
        bars.append_text(
            Text(" ") if stale or last is None else _bar(last.p_error, decision.threshold)
        )
    ruler = f"  {look.start:.1f} s".ljust(CELLS - 6) + f"{look.end:.1f} s".rjust(8)
    return Group(bars, Text(ruler, "dim"))


def _bar(p: float | None, threshold: float) -> Text:
    if p is None:
        return Text(BLIND, "dim")
    return Text(BARS[min(int(p * len(BARS)), len(BARS) - 1)], "red" if p > threshold else "cyan")
