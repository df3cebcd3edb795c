"""A shop with a rhythm: after tea n comes tea n + 1, even ones on discount, and always the same milk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
import polars as pl
import torch

from merchgraph.tools.data.tables import Events, Items, Shop
from merchgraph.tools.grace.config import Config, Slot
from merchgraph.tools.grace.data import Goods, Log, read
from merchgraph.tools.grace.fit import network
from merchgraph.tools.grace.model import Grace
from merchgraph.tools.grace.paths import Paths

START = datetime(2026, 1, 5)
TEAS = 8
ATTRIBUTES: tuple[Slot, ...] = ("department", "category", "brand", "price")
QUICK = Config(
    least=1, slots=ATTRIBUTES, rare=1, bins=8, interactions=8, select=2, window=2, width=16, heads=2,
    layers=1, hidden=16, steps=400, batch=24, targets=2, rate=1e-2, alone=1.0,
)  # fmt: skip


def ids() -> list[str]:
    return [f"{kind} {n}" for kind in ("tea", "milk") for n in range(TEAS)]


def items() -> Items:
    """Item n of a kind costs n + 1; makers are even and odd."""
    number = [int(item.split()[1]) for item in ids()]
    return Items(
        pl.DataFrame(
            {
                "item": ids(),
                "title": ids(),
                "category": [f"Shop > {item.split()[0]}" for item in ids()],
                "price": [n + 1.0 for n in number],
                "brand": ["even" if n % 2 == 0 else "odd" for n in number],
            }
        )
    )


def events(rows: Sequence[tuple[str, float, str, str]]) -> Events:
    """Rows (user, day, item, behaviour); a day of a user is a session."""
    users, days, bought, done = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Events(
        pl.DataFrame(
            {
                "user": users,
                "session": [f"{user}/{int(day)}" for user, day in zip(users, days, strict=True)],
                "time": [START + timedelta(days=day) for day in days],
                "item": bought,
                "behaviour": done,
            },
            schema={"user": pl.String, "session": pl.String, "time": pl.Datetime("us"),
                    "item": pl.String, "behaviour": pl.String},
        )
    )  # fmt: skip


def toy_shop(*, users: int = 12, visits: int = 10) -> Shop:
    """Each visit has the next tea and the shopper's own milk."""
    rows = []
    for user in range(users):
        for visit in range(visits):
            tea = (user + visit) % TEAS
            done = "discount" if tea % 2 == 0 else "regular"
            rows.append((f"u{user:02}", 3.0 * visit, f"tea {tea}", done))
            rows.append((f"u{user:02}", 3.0 * visit, f"milk {user % TEAS}", "regular"))
    return Shop("toy", items(), events(rows), fingerprint="toy")


def changed(**values: object) -> Config:
    return QUICK.with_(**values)


@lru_cache(maxsize=32)
def untrained(config: Config, *, seed: int = 0) -> tuple[Grace, Log]:
    """A model with random weights everywhere, large enough that its choices differ."""
    store = toy_shop()
    log = read(store.items, store.events, config)
    paths = Paths.of(
        store.items.frame[log.goods.column.tolist()], config, texts(len(log.goods.items))
    )
    model = network(config, paths, log.goods).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.5 * torch.randn(weight.shape, generator=generator))
    return model, log


def texts(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.random.default_rng(0).normal(size=(count, 5)).astype(np.float32)


def goods() -> Goods:
    return read(items(), toy_shop().events, QUICK).goods
