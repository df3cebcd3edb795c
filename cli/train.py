"""`merchgraph train NAME`: fit a tool's model to a shop's log; stopped, it goes on where it stood."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from merchgraph.cli import train_reactions
from merchgraph.cli.options import Data, Pairs, settings_of
from merchgraph.cli.plain import plain

TRAINED = {
    "complement": "What is bought together with what: dual item embeddings of baskets.",
    "fairness": "What a list that is fair to sellers starts from: targets, chances, subsidies.",
    "gmvo": "Similar items by relevance and value: a graph network over substitutions.",
}
"""Tools with a module `merchgraph.tools.NAME.train` that has `Config`, `PRESETS` and `train`."""

app = typer.Typer(help="Fit a tool's model to a shop's log.", no_args_is_help=True)


def fit(
    name: str,
    data: str,
    preset: str,
    out: Path | None,
    before: datetime | None,
    given: dict[str, Any],
) -> None:
    """Train one tool, with its progress, and say where the model is.

    Raises:
        SetupError: an unknown shop or setting, or a folder that holds another training.
    """
    # what a command that trains nothing should not wait for
    from merchgraph.graphs.front import checked
    from merchgraph.tools.checkpoint import WEIGHTS, home
    from merchgraph.tools.data.shops import shop

    console = Console()
    module = import_module(f"merchgraph.tools.{name}.train")
    config = checked(module.Config, module.PRESETS[preset].model_dump() | given)
    store = shop(data)
    folder = out or home(name, store.name, before)
    console.print(plain(f"{name} on {store.name}, preset {preset}", "bold"))
    begun = time.monotonic()
    with _bar(console) as progress:
        module.train(store, config, folder, before=before, progress=progress)
    took = time.monotonic() - begun
    told = f"trained in {took:.0f} s: {folder / WEIGHTS}; what it is and is not: {folder / 'README.md'}"
    console.print(plain(told), soft_wrap=True)


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[int, int, str], None]]:
    """A bar that says how far the training is, and what it tells of itself."""
    columns = (
        BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
        TimeRemainingColumn(), TextColumn("{task.description}", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=None)

        def tell(done: int, total: int, told: str) -> None:
            bars.update(task, completed=done, total=total, description=told)

        yield tell


def _verb(name: str, told: str) -> None:
    def verb(
        data: Data = "complete_journey",
        preset: Annotated[
            Literal["cpu", "gpu"], typer.Option(help="Settings that suit the machine.")
        ] = "cpu",
        out: Annotated[
            Path | None, typer.Option(help="Folder of the model; in the cache without it.")
        ] = None,
        before: Annotated[
            datetime | None, typer.Option(help="Nothing of the log from this time on is seen.")
        ] = None,
        pairs: Pairs = None,
    ) -> None:
        fit(name, data, preset, out, before, settings_of(pairs))

    app.command(name, help=f"{told} Stopped, the same command goes on.")(verb)


for _name, _told in TRAINED.items():
    _verb(_name, _told)
app.command("reactions")(train_reactions.reactions)
