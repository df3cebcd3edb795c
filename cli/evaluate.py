"""`merchgraph eval SUITE`: run an evaluation and print its table."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from merchgraph.cli.plain import teller
from merchgraph.cli.prepare import prepare_shop
from merchgraph.runtime.errors import SetupError

SUITES = ("retrieval",)


def evaluate(
    suite: Annotated[str, typer.Argument(help=f"One of: {', '.join(SUITES)}.")],
    data: Annotated[
        str, typer.Option(help="The shop: complete_journey, or a mapping file.")
    ] = "complete_journey",
) -> None:
    """Run an evaluation suite and print its table."""
    if suite not in SUITES:
        raise SetupError(f"There is no suite {suite!r}; there is: {', '.join(SUITES)}.")
    console = Console()
    prepare_shop(data, console, teller(console))

    from merchgraph.evals.suites import retrieval
    from merchgraph.tools.candidates import semantic_index
    from merchgraph.tools.data.shops import shop

    store = shop(data)
    console.print(retrieval.on_shop(semantic_index(store), store).table())
