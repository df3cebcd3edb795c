"""`merchgraph batch GRAPH`: a graph over the rows of a file, into Parquet shards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from merchgraph.cli.options import Model, Pairs, settings_of
from merchgraph.cli.plain import plain

if TYPE_CHECKING:
    from merchgraph.runtime.batch import Job, Tally, Tell

Engine = Literal["asyncio", "ray"]


def batch(
    graph: Annotated[str, typer.Argument(help="A graph's name, as in `merchgraph run`.")],
    input: Annotated[
        Path, typer.Option(help="Parquet, CSV or JSON lines; its columns are a request's fields.")
    ],
    output: Annotated[
        Path, typer.Option(help="Folder of the shards; a new one, or with --resume.")
    ],
    engine: Annotated[
        Engine, typer.Option(help="One process, or the workers of a Ray cluster.")
    ] = "asyncio",
    concurrency: Annotated[
        int,
        typer.Option(min=1, help="Rows at once in a process; MERCHGRAPH_CONCURRENCY caps calls."),
    ] = 32,
    shard_size: Annotated[int, typer.Option(min=1, help="Rows of a shard.")] = 1000,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on: run what is missing, and what failed.")
    ] = False,
    id: Annotated[
        str | None, typer.Option(help="Column that tells rows apart; without it id, or the first.")
    ] = None,
    model: Model = None,
    pairs: Pairs = None,
) -> None:
    """Run a graph over every row of a file: one row out per row in, whatever is killed meanwhile."""
    console = Console()
    console.print(Text.assemble((graph, "bold"), " over ", plain(str(input))))
    context = settings_of(pairs) | ({"model": model} if model else {})
    job = _job(graph, context, (input, shard_size, id), output, concurrency)
    tally = _run(job, engine, resume, console)
    console.print(_told(job, tally), soft_wrap=True)


def _job(
    graph: str, given: dict[str, Any], table: tuple[Path, int, str | None], output: Path, rows: int
) -> Job:
    # imported after the first line is on the screen, since LangGraph takes a second
    from merchgraph.graphs.rows import FACTORY, GraphRows
    from merchgraph.runtime.batch import Job
    from merchgraph.runtime.batch_input import read_input
    from merchgraph.runtime.batch_output import Folder

    answering = GraphRows(graph, given)
    found = read_input(*table)
    answering.check(found.columns, found.id)
    context = answering.context.model_dump(mode="json")  # whole: a default may change one day
    folder = Folder(output, found.size, found.count)
    return Job(FACTORY, {"graph": graph, "context": context}, found, folder, rows)


def _run(job: Job, engine: Engine, resume: bool, console: Console) -> Tally:
    from merchgraph.cli.progress import told

    with told(console) as tell:

        def show(tally: Tally) -> None:
            tell(tally.rows, job.table.count, _rates(tally))

        if engine == "ray":
            from merchgraph.runtime.batch_ray import run_ray

            return run_ray(job, show, resume=resume)
        return _here(job, show, resume)


def _here(job: Job, tell: Tell, resume: bool) -> Tally:
    import asyncio

    from merchgraph.runtime.batch import run

    try:
        return asyncio.run(run(job, tell, resume=resume))
    except KeyboardInterrupt:
        where = f"The finished rows are in {str(job.folder.path)!r}; --resume goes on."
        Console(stderr=True).print(plain(where), soft_wrap=True)
        raise


def _rates(tally: Tally) -> str:
    return f"{tally.calls:,} calls, {tally.failed:,} failed rows"


def _told(job: Job, tally: Tally) -> Text:
    tokens = f"{tally.calls:,} calls, {tally.prompt:,} tokens read ({tally.cached:,} cached), "
    tokens += f"{tally.completion:,} written"
    failed = (f"; {tally.failed:,} rows failed, see error; --resume tries them again", "yellow")
    return Text.assemble(
        f"{tally.rows:,} rows", f" ({tally.old:,} from before)" if tally.old else "",
        failed if tally.failed else "", f"; {tokens}\n",
        plain(f"written to {job.folder.path}/*.parquet", "dim"),
    )  # fmt: skip
