"""What the verbs that evaluate share: run a suite with progress, print its report, write it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer
from rich.console import Console

from merchgraph.cli.plain import plain, teller
from merchgraph.cli.prepare import prepare_shop
from merchgraph.cli.progress import stages
from merchgraph.runtime.errors import SetupError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from merchgraph.evals.report import Report

Trace = Annotated[
    Path | None,
    typer.Option(
        "--record", help="Trace to record into; the same command again goes on where it stopped."
    ),
]
Html = Annotated[Path | None, typer.Option(help="Write the report as one HTML page.")]
Markdown = Annotated[Path | None, typer.Option(help="Write the table as Markdown.")]


def _an_svg(file: Path | None) -> Path | None:
    if file and file.suffix.lower() != ".svg":
        raise SetupError(f"The figure is an SVG; name a file that ends in .svg, not {file.name!r}.")
    return file


Figure = Annotated[
    Path | None, typer.Option(help="Draw the suite's figure as SVG.", callback=_an_svg)
]
Seed = Annotated[int, typer.Option(min=0, help="What is drawn: cases, targets, slates, samples.")]


def evaluated(
    name: str, params: dict[str, Any], limit: int | None, record: Path | None, console: Console
) -> Report:
    """Run a suite; what is None in `params` has its default.

    Raises:
        SetupError: a setting is wrong, before any work is done; or the trace holds something else.
    """
    # imported after the first line is on the screen, since LangGraph takes a second
    from merchgraph.evals.session import make, run_suite
    from merchgraph.runtime.loop import run_sync
    from merchgraph.runtime.models import endpoint

    if not params.get("systems", "all").strip(", "):
        raise SetupError("--systems names no system; give all, or names with commas.")
    suite = make(name, {key: value for key, value in params.items() if value is not None})
    suite.systems()  # a wrong name is said before any work is done, of a system as of a model
    for model in filter(None, (params.get("model"), params.get("judge"))):
        endpoint(model)
    if "data" in params:
        prepare_shop(params["data"], console, teller(console))
    with stages(console) as telling:
        return run_sync(run_suite(suite, limit=limit, path=record, telling=telling))


File = tuple[Path | None, Callable[[], str]]
"""Where to write, None for nowhere, and what makes the text."""


class Readable(Protocol):
    """What every report can be: rows on a screen, Markdown, JSON."""

    def terminal(self) -> RenderableType: ...  # noqa: D102

    def markdown(self) -> str: ...  # noqa: D102

    def model_dump_json(self, *, indent: int | None = None) -> str: ...  # noqa: D102


def show(report: Readable, console: Console, *files: File, as_json: bool = False) -> None:
    """Print a report, and write it where the person wants it.

    Args:
        console: quiet where JSON is printed, which then stands alone.
        files: a page, a table.
        as_json: print JSON for machines.

    Raises:
        SetupError: a file cannot be written.
    """
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    console.print(report.terminal())
    for path, text in files:
        if path is not None:
            try:
                path.write_text(text(), encoding="utf-8")
            except OSError as error:
                raise SetupError(
                    f"The report cannot be written to {str(path)!r}: {error.strerror}; "
                    "give another path."
                ) from error
            console.print(plain(f"  wrote {path}"))
