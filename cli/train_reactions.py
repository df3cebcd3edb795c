"""`merchgraph train reactions`: a detector of a voice assistant's errors, from clips of faces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from merchgraph.cli.options import Pairs, settings_of
from merchgraph.cli.plain import plain

MADE = "made"
STRENGTH = 2.0
"""Of made-up people's reactions, where no folder is given."""


def reactions(
    clips: Annotated[
        Path | None, typer.Argument(help="Folder with a labels.csv; made-up people without it.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the model; in the cache without it.")
    ] = None,
    pairs: Pairs = None,
) -> None:
    """Errors of a voice assistant from faces: the detector that run voice watches with."""
    from merchgraph.graphs.front import checked
    from merchgraph.tools.checkpoint import WEIGHTS, home
    from merchgraph.tools.reactions.config import Config
    from merchgraph.tools.reactions.data import read_clips
    from merchgraph.tools.reactions.made import Made, made
    from merchgraph.tools.reactions.train import train

    config = checked(Config, settings_of(pairs))
    known = read_clips(clips) if clips else made(Made(expressiveness=STRENGTH))[0]
    name = clips.resolve().name if clips else MADE
    folder = out or home("reactions", name)
    train(known, config, folder)
    told = f"trained on {len(known.clips)} clips of {len(known.people)} people: {folder / WEIGHTS}"
    Console().print(plain(told), soft_wrap=True)
    if clips is None:
        Console().print(plain("The people are made up: this detector is for trying, not for use."))
