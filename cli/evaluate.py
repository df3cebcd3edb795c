"""`merchgraph eval SUITE`: run an evaluation, print its table, record it."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer
from rich.console import Console

from merchgraph.cli import (
    eval_complement,
    eval_fairness,
    eval_gmvo,
    eval_grace,
    eval_hyper,
    eval_lens,
    eval_reactions,
    eval_texts,
    eval_tmf,
    eval_voice,
)
from merchgraph.cli.options import AsJson, Data, Model
from merchgraph.cli.plain import plain, teller
from merchgraph.cli.prepare import prepare_shop
from merchgraph.cli.progress import stages
from merchgraph.cli.report_view import Html, Markdown, Seed, Trace, evaluated, show
from merchgraph.runtime.errors import SetupError

app = typer.Typer(help="Run an evaluation and print its table.", no_args_is_help=True)
Targets = Annotated[
    str, typer.Option(help="any item of the last basket, or one that is new to the household.")
]


@app.command()
def retrieval(data: Data = "complete_journey") -> None:
    """The semantic index against exact search: recall and time."""
    console = Console()
    prepare_shop(data, console, teller(console))

    from merchgraph.evals.suites import retrieval as suite
    from merchgraph.tools.candidates import semantic_index
    from merchgraph.tools.data.shops import shop

    store = shop(data)
    console.print(suite.on_shop(semantic_index(store), store).table())


@app.command()
def recall(
    limit: Annotated[int, typer.Option(min=1, help="Cases: households drawn by the seed.")] = 500,
    data: Data = "complete_journey",
    targets: Targets = "any",
    seed: Seed = 0,
    sources: Annotated[
        str,
        typer.Option(help="Sources of candidates; complement, similar, grace, tmf are trained."),
    ] = "semantic,copurchase,frequency",
) -> None:
    """What each source of candidates finds in the whole catalogue, which caps what ranking can do."""
    console = Console()

    from merchgraph.evals.session import make
    from merchgraph.evals.suite import draw
    from merchgraph.evals.suites import arag_recall as suite
    from merchgraph.tools.candidates import SourceName
    from merchgraph.tools.data.shops import shop

    asked = make("arag", {"data": data, "targets": targets, "seed": seed})
    prepare_shop(data, console, teller(console))
    cases = asked.cases()
    with stages(console) as telling:
        some, names = draw(cases, limit=limit), [name.strip() for name in sources.split(",")]
        rows = suite.recall_of_sources(
            shop(data), some, sources=cast(list[SourceName], names), progress=telling("cases")
        )
    console.print(suite.table(rows))


@app.command()
def pilot(
    limit: Annotated[
        int | None, typer.Option(min=1, help="Tests drawn by the seed; left out, all 1,971.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which tests, draws and clicks.")] = 0,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """Pilots by bandit, simulated with the real click rates of Upworthy's headlines."""
    console = Console(quiet=as_json)

    from merchgraph.evals.suites import pilot as suite

    with stages(console) as telling:
        report = suite.run(suite.Params(limit=limit, seed=seed), progress=telling("tests"))
    show(report, console, (markdown, report.markdown), as_json=as_json)


@app.command()
def headlines(
    model: Annotated[
        str | None, typer.Option(help="PROVIDER/MODEL of a pairwise judge; none is asked without.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Pairs drawn by the seed.")] = None,
    every: Annotated[
        bool,
        typer.Option("--every", help="All 2,760 pairs, also those that length and ridge learn on."),
    ] = False,
    seed: Seed = 0,
    record: Trace = None,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """Which of two real headlines got more clicks? A model's judge against length and a ridge."""
    console = Console(quiet=as_json)
    if record and not model:
        raise SetupError("--record keeps what a model is asked; name one by --model.")

    from merchgraph.evals.baselines.headline_model import kept, of_model
    from merchgraph.evals.suites.headlines import Params, run
    from merchgraph.runtime.models import chat_model

    params = Params(limit=limit, every=every, seed=seed)
    asked = chat_model(model) if model else None
    with stages(console) as telling, kept(record, str(model)) as recorder:
        judges = (
            {str(model): of_model(asked, telling("asking"), recorder=recorder)} if asked else None
        )
        report = run(params, judges=judges, progress=telling("embedding"))
    show(report, console, (markdown, report.markdown), as_json=as_json)


@app.command()
def arag(
    limit: Annotated[int, typer.Option(min=1, help="Cases: households drawn by the seed.")] = 100,
    model: Model = None,
    data: Data = "complete_journey",
    targets: Targets = "any",
    systems: Annotated[
        str,
        typer.Option(
            help="all, baselines (no model is asked), tools (and what trained ones add), or names."
        ),
    ] = "all",
    rationales: Annotated[bool, typer.Option(help="Let the judge give reasons.")] = False,
    fit_cases: Annotated[
        int, typer.Option(help="Cases of the week before that the model judges, for the weights.")
    ] = 30,
    seed: Seed = 0,
    record: Trace = None,
    html: Html = None,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """ARAG, its ablations and baselines: find the item that was taken out of a real basket."""
    params: dict[str, Any] = {
        "data": data, "targets": targets, "systems": systems, "rationales": rationales,
        "fit_cases": fit_cases, "seed": seed, "model": model,
    }  # fmt: skip
    console = Console(quiet=as_json)
    console.print(plain(f"ARAG on {data}: {limit} cases, {systems} systems", "bold"))
    report = evaluated("arag", params, limit, record, console)
    show(report, console, (html, report.html), (markdown, report.markdown), as_json=as_json)


app.command()(eval_texts.carts)
app.command()(eval_texts.copy)
app.command()(eval_hyper.hyper)
app.command()(eval_lens.lens)
app.command("complement")(eval_complement.eval_complement)
app.command()(eval_gmvo.gmvo)
app.command()(eval_grace.grace)
app.command()(eval_tmf.tmf)
app.command()(eval_fairness.fairness)
app.command()(eval_reactions.reactions)
app.command()(eval_voice.voice)
