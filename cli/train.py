"""`merchgraph train NAME`: fit a tool's model to a shop's log, and say where the model is."""

from __future__ import annotations

import time
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from merchgraph.cli import train_reactions
from merchgraph.cli.options import Data, Pairs, settings_of
from merchgraph.cli.plain import plain
from merchgraph.cli.progress import told

TRAINED = {
    "complement": "What is bought together with what: dual item embeddings of baskets. Stopped, "
    "the same command goes on.",
    "fairness": "What a list that is fair to sellers starts from: targets, chances, subsidies.",
    "gmvo": "Similar items by relevance and value: a graph network over substitutions. "
    "Stopped, the same command goes on.",
    "grace": "The next visit, told token by token: journeys, sparse attention, a copy path. "
    "Stopped, the same command goes on.",
    "tmf": "A language model that ranks a slate by text, graph and image: LoRA and fused item "
    "vectors. Stopped, the same command goes on.",
}
"""Tools with a module `merchgraph.tools.NAME.train` that has `Config`, `PRESETS` and `train`."""

FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f"]

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
    with told(console) as progress:
        module.train(store, config, folder, before=before, progress=progress)
    took = time.monotonic() - begun
    said = f"trained in {took:.0f} s: {folder / WEIGHTS}; what it is and is not: {folder / 'README.md'}"
    console.print(plain(said), soft_wrap=True)


def _verb(name: str, about: str) -> None:
    def verb(
        data: Data = "complete_journey",
        preset: Annotated[
            Literal["cpu", "gpu"], typer.Option(help="Settings that suit the machine.")
        ] = "cpu",
        out: Annotated[
            Path | None, typer.Option(help="Folder of the model; in the cache without it.")
        ] = None,
        before: Annotated[
            datetime | None,
            typer.Option(formats=FORMATS, help="Nothing of the log from this time on is seen."),
        ] = None,
        pairs: Pairs = None,
    ) -> None:
        fit(name, data, preset, out, before, settings_of(pairs))

    app.command(name, help=about)(verb)


for _name, _about in TRAINED.items():
    _verb(_name, _about)
app.command("reactions")(train_reactions.reactions)
