"""Options that several verbs have, said once."""

from __future__ import annotations

import json
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer
from rich.console import Console

from merchgraph.cli.plain import plain
from merchgraph.runtime.errors import SetupError

Model = Annotated[
    str | None,
    typer.Option(
        help="PROVIDER/MODEL of all agents; embedded/smollm2-135m+FOLDER has an adapter of train tmf."
    ),
]
Data = Annotated[
    str, typer.Option(help="The shop: complete_journey, online_retail, or a mapping file.")
]
Pairs = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any other setting, NAME=VALUE, for example rounds=3."),
]
Record = Annotated[Path | None, typer.Option(help="Trace to record the run into.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def settings_of(pairs: list[str] | None) -> dict[str, Any]:
    """NAME=VALUE pairs; a value is JSON where it reads as such, else text.

    Raises:
        SetupError: a pair without a name or an equals sign.
    """
    found: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise SetupError(f"--set got {pair!r}; expected NAME=VALUE, for example rounds=3.")
        found[name] = value_of(value)
    return found


def value_of(text: str) -> Any:
    """JSON where it reads as such, else the text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # a number of 5,000 digits, a list in lists in lists
        return text


def recorded_in(record: Path | None, console: Console) -> None:
    """Say where the run is, if it was recorded."""
    if record:
        told = f"recorded in {record}; merchgraph trace show {quote(str(record))}"
        console.print(plain(told, "dim"), soft_wrap=True)
