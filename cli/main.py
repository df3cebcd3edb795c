"""The command `merchgraph`: one verb a file; this one only puts them together.

Errors of our tree end with one sentence on standard error and exit code 2, Ctrl-C with 130.
"""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.text import Text

from merchgraph.cli import (
    batch,
    data,
    doctor,
    evaluate,
    prepare,
    replay,
    run,
    serve,
    studio,
    trace,
    train,
)
from merchgraph.cli.plain import plain
from merchgraph.runtime.errors import MerchgraphError
from merchgraph.runtime.log import configure
from merchgraph.runtime.settings import settings

BAD_INPUT = 2
INTERRUPTED = 130

app = typer.Typer(
    name="merchgraph",
    help="Multi-agent orchestration for merchandising: rank, title, write and price attention.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(run.app, name="run")
app.command("prepare")(prepare.prepare)
app.add_typer(evaluate.app, name="eval")
app.add_typer(train.app, name="train")
app.add_typer(data.app, name="data")
app.command("batch")(batch.batch)
app.command("replay")(replay.replay)
app.add_typer(trace.app, name="trace")
app.command("serve")(serve.serve)
app.command("studio")(studio.studio)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Entry point of the console script."""
    try:
        configure(_log_level())
        app()
    except MerchgraphError as error:
        message = Text.assemble(("error: ", "bold red"), plain(str(error)))
        Console(stderr=True).print(message, soft_wrap=True)
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _log_level() -> str:
    """As set, or else errors only: what a warning says stands in the live view and the result."""
    if "log_level" not in settings().model_fields_set:
        return "error"
    return settings().log_level


if __name__ == "__main__":
    main()
