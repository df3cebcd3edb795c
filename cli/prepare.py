"""`merchgraph prepare`: everything a first run would otherwise wait for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from merchgraph.cli.plain import teller

Report = Callable[[str], None]


def prepare(
    data: Annotated[
        str, typer.Option(help="The shop: complete_journey, or a mapping file.")
    ] = "complete_journey",
) -> None:
    """Read the shop, embed its texts, build its index, requantise the embedded model; resumable."""
    console = Console()
    say = teller(console)
    prepare_shop(data, console, say)
    prepare_model(say)


def prepare_shop(data: str, console: Console, say: Report) -> None:
    """Load a shop and its index, with a progress bar while texts are embedded for the first time.

    Raises:
        SetupError: an unknown shop, or a package that is missing.
    """
    from merchgraph.tools.candidates import semantic_index
    from merchgraph.tools.data.shops import shop

    store = shop(data)
    say(f"shop    {store.name}: {len(store.items):,} items, {len(store.events):,} events")
    bar = Progress(
        TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, transient=True,
    )  # fmt: skip
    with bar:
        # two passes, each counting up to its own total: texts to embed, then vectors to index
        passes: list[int] = []

        def progress(done: int, total: int) -> None:
            if not passes or done < bar.tasks[passes[-1]].completed:
                name = "embedding texts" if not passes else "building index"
                passes.append(bar.add_task(name, total=total))
            bar.update(bar.task_ids[len(passes) - 1], completed=done, total=total)

        index = semantic_index(store, progress)
    say(f"index   {len(index):,} sellable items")


def prepare_model(say: Report) -> None:
    """Requantise the weights of the embedded model, unless that has been done.

    Raises:
        SetupError: the package with the weights is missing.
    """
    from merchgraph.runtime.embedded import weights
    from merchgraph.runtime.models import DEFAULT_MODEL

    file = weights(DEFAULT_MODEL.split("/")[1])
    say(f"model   {DEFAULT_MODEL}, {file.stat().st_size / 1e6:.0f} MB")
