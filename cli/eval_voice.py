"""`merchgraph eval voice`: what seeing errors is worth, in simulated dialogues by the repair graph."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from merchgraph.cli.options import AsJson, Pairs, settings_of
from merchgraph.cli.progress import stages
from merchgraph.cli.report_view import Markdown, Seed, show


def voice(
    limit: Annotated[int, typer.Option(min=1, help="Dialogues of each system.")] = 400,
    errors: Annotated[float, typer.Option(help="Share of first answers that are wrong.")] = 0.3,
    ratio: Annotated[
        float, typer.Option(help="What a missed error costs, if a needless repair costs 1.")
    ] = 2.0,
    seed: Seed = 0,
    pairs: Pairs = None,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """A voice assistant with and without a detector of its errors: simulated dialogues, and costs."""
    console = Console(quiet=as_json)

    from merchgraph.evals.suites import voice as suite
    from merchgraph.graphs.front import checked

    given: dict[str, Any] = {"limit": limit, "cost_ratio": ratio, "seed": seed}
    params = checked(suite.Params, given | {"person": {"errors": errors}} | settings_of(pairs))
    with stages(console) as telling:
        report = suite.run(params, progress=telling("dialogues"))
    show(report, console, (markdown, report.markdown), as_json=as_json)
