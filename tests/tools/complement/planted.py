"""Small logs whose answers are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from merchgraph.tools.complement.config import Config
from merchgraph.tools.complement.data import Log
from merchgraph.tools.complement.learned import Given, learn
from merchgraph.tools.complement.model import Sums
from merchgraph.tools.complement.tool import Complement
from merchgraph.tools.complement.torch_fit import TorchPasses
from merchgraph.tools.data.tables import Events, Items, Shop

FIRST = datetime(2026, 1, 1)
QUICK = Config(
    dim=12, user_dim=4, history=2, user=False, context=False, least=0, days=1, threads=1, epochs=40,
    rate=0.1,
)  # fmt: skip
"""One thread, so that every run has the same bits."""


def on_the_processor(log: Log, config: Config, sums: Sums | None = None) -> TorchPasses:
    """In place of `fit.passes`: the batches of torch without a GPU."""
    return TorchPasses(log, config, "cpu", sums)


class Stop(Exception):
    """Somebody pressed Ctrl-C."""


def stopped_after(passes: int) -> Any:
    """Progress that stops a training after so many passes."""

    def tell(done: int, total: int, told: str) -> None:
        if done == passes and "epoch" in told:
            raise Stop

    return tell


def given(
    baskets: Sequence[Sequence[str]],
    *,
    more: Sequence[str] = (),
    facts: Mapping[str, Mapping[str, str]] | None = None,
    users: int = 7,
    hours: int = 1,
) -> Given:
    """Baskets `hours` apart, by `users` shoppers in turn.

    Args:
        baskets: item ids.
        more: items of the catalogue that nobody bought.
        facts: column -> item -> text.
        users: how many there are.
        hours: between two baskets.
    """
    ids = sorted({item for basket in baskets for item in basket} | {*more})
    columns: dict[str, list[Any]] = {"item": ids, "title": [f"The {item}" for item in ids]}
    for name, by_item in (facts or {}).items():
        columns[name] = [by_item.get(item) for item in ids]
    rows = [
        (f"u{n % users}", f"s{n}", FIRST + timedelta(hours=n * hours), "purchase", item)
        for n, basket in enumerate(baskets)
        for item in basket
    ]
    names = ["user", "session", "time", "behaviour", "item"]
    schema = dict.fromkeys(names, pl.String()) | {"time": pl.Datetime("us")}
    log = pl.DataFrame(rows, schema=schema, orient="row")
    return Given(Items(pl.DataFrame(columns)), Events(log))


def shop(made: Given) -> Shop:
    """The same as a shop."""
    return Shop("planted", made.items, made.events)


def trained(made: Given, **changes: Any) -> Complement:
    """A tool that learned from it."""
    return Complement.knowing(learn(made, QUICK.with_(**changes))[0])
