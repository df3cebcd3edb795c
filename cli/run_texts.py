"""`merchgraph run carts` and `run copywriting`: drafts and verdicts as they come, then the texts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from merchgraph.cli.options import AsJson, Data, Model, Pairs, Record, recorded_in, settings_of
from merchgraph.cli.plain import plain
from merchgraph.runtime.errors import SetupError

if TYPE_CHECKING:
    from merchgraph.graphs.carts import Request as Titling
    from merchgraph.graphs.front import Watch
    from merchgraph.tools.modules import Module

T = TypeVar("T")
SIZE = 8
Size = Annotated[int | None, typer.Option(help="Items around the seed item; 8 if not set.")]

Near = Annotated[
    str,
    typer.Option(
        help="Around the seed item: co-purchase, or by a trained tool complement or similar."
    ),
]


def carts(
    module: Annotated[
        Path | None, typer.Option(help="CSV, TSV or Parquet with the columns set and item.")
    ] = None,
    seed_item: Annotated[
        str | None, typer.Option(help="Title this item and what is bought together with it.")
    ] = None,
    size: Size = None,
    near: Near = "co-purchase",
    model: Model = None,
    data: Data = "complete_journey",
    pairs: Pairs = None,
    record: Record = None,
    as_json: AsJson = False,
) -> None:
    """Title sets of items by CARTS: extract features, write, check, revise, arbitrate."""
    console = Console(quiet=as_json)
    console.print(Text.assemble(("CARTS", "bold"), " on ", plain(data)))
    given: dict[str, Any] = {"data": data, **({"model": model} if model else {})}

    from merchgraph.cli import live, live_texts
    from merchgraph.graphs import carts as graph
    from merchgraph.graphs.front import checked
    from merchgraph.runtime.models import endpoint

    context = checked(graph.Context, given | settings_of(pairs))
    endpoint(context.model)  # a wrong name is said before the shop is read
    found = _modules(context.data, module, _Seed(seed_item, size, near))
    requests = [checked(graph.Request, {"items": [*one.items], "name": one.id}) for one in found]
    with _recording(record):
        for number, request in enumerate(requests, start=1):
            _progress(number, len(requests), request, console)
            result = live.follow(
                graph.graph, console, partial(_watched, graph.arun, request, context),
                fan_out={"extract": _texts}, drafts=live_texts.Drafts(),
            )  # fmt: skip
            live_texts.show_carts(result, console)
            if as_json:
                typer.echo(result.model_dump_json())
    recorded_in(record, console)


def _texts(state: dict[str, Any]) -> int:
    """How many texts are read: items that say the same are read once."""
    from merchgraph.graphs.carts_checks import distinct

    return len(distinct(state.get("goods", [])))


class _Seed(NamedTuple):
    """What a module is made around."""

    item: str | None
    size: int | None
    near: str


def _modules(data: str, file: Path | None, seed: _Seed) -> list[Module]:
    """The modules to be titled, whose items the shop has."""
    from merchgraph.tools.data.shops import shop
    from merchgraph.tools.modules import NEAR, around, read_modules

    if (file is None) == (seed.item is None):
        raise SetupError("Which items? Give --module FILE or --seed-item ID, one of the two.")
    near = next((one for one in NEAR if one == seed.near), None)
    if near is None:
        raise SetupError(f"--near is {seed.near!r}; expected {', '.join(NEAR)}.")
    if seed.item is not None:
        return [around(shop(data), seed.item, SIZE if seed.size is None else seed.size, near)]
    if seed.size is not None:
        raise SetupError(
            f"--size {seed.size} is for --seed-item; a file's sets are taken as they are."
        )
    found = read_modules(file) if file else []
    for one in found:  # a mistake in the last one is said before the first one is titled
        shop(data).items.get(one.items)
    return found


def _progress(number: int, total: int, request: Titling, console: Console) -> None:
    if total > 1:
        count = (f"\n{number} of {total} ", "bold")
        console.print(
            Text.assemble(count, plain(request.name or ""), f" ({len(request.items)} items)")
        )


def copywriting(
    use_case: Annotated[
        str, typer.Option(help="YAML file of a use case, or a bundled one: a, b, c.")
    ],
    copies: Annotated[
        int | None, typer.Option(help="Copies to write, if not the use case's.")
    ] = None,
    model: Model = None,
    pairs: Pairs = None,
    record: Record = None,
    as_json: AsJson = False,
) -> None:
    """Write banners for a campaign under constraints: write, check, revise, select."""
    console = Console(quiet=as_json)
    console.print(Text.assemble(("Copywriting", "bold"), " for ", plain(use_case)))
    given: dict[str, Any] = {"model": model, "copies": copies}
    given = {name: value for name, value in given.items() if value is not None}

    from merchgraph.cli import live, live_texts
    from merchgraph.graphs import copywriting as graph
    from merchgraph.graphs.copywriting_state import loaded
    from merchgraph.graphs.front import checked

    request = checked(graph.Request, {"use_case": use_case})
    context = checked(graph.Context, given | settings_of(pairs))
    loaded(use_case)  # a mistake in it is said before anything is recorded
    with _recording(record):
        result = live.follow(
            graph.graph, console, partial(_watched, graph.arun, request, context),
            fan_out={}, drafts=live_texts.Drafts(),
        )  # fmt: skip
    live_texts.show_copies(result, console)
    recorded_in(record, console)
    if as_json:
        typer.echo(result.model_dump_json(indent=2))


def _watched(
    arun: Callable[..., Coroutine[Any, Any, T]],
    request: BaseModel,
    context: BaseModel,
    watch: Watch,
) -> Coroutine[Any, Any, T]:
    return arun(request, context, watch=watch)


def _recording(record: Path | None) -> Any:
    from merchgraph.runtime.recording import recorded

    return recorded(record) if record else nullcontext()
