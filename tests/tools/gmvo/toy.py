"""A shop with planted substitutions: after tea n a household takes tea n + 1, and soaps likewise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from merchgraph.tools.data.tables import Events, Items, Shop
from merchgraph.tools.gmvo.config import Config
from merchgraph.tools.gmvo.data import Goods, Log, goods, log, moves
from merchgraph.tools.gmvo.signals import Past

START = datetime(2026, 1, 5)
KINDS, GOODS = ("tea", "soap"), 12
QUICK = Config(
    least=1, text=False, horizon_days=14, windows=2, epochs=4, width=4, layers=1, similar=1, move=1
)


def ids() -> list[str]:
    return [f"{kind} {n}" for kind in KINDS for n in range(GOODS)]


def items() -> Items:
    """Item n of a kind costs n + 1."""
    return Items(
        pl.DataFrame(
            {
                "item": ids(),
                "title": ids(),
                "category": [f"Shop > {item.split()[0]}" for item in ids()],
                "price": [float(item.split()[1]) + 1 for item in ids()],
                "brand": ["even" if int(item.split()[1]) % 2 == 0 else "odd" for item in ids()],
            }
        )
    )


def events(rows: Sequence[tuple[str, float, str, str]]) -> Events:
    """Rows (user, day, item, behaviour); a day of a user is a session."""
    frame = pl.DataFrame(
        {
            "user": [row[0] for row in rows],
            "session": [f"{row[0]}/{int(row[1])}" for row in rows],
            "time": [START + timedelta(days=row[1]) for row in rows],
            "item": [row[2] for row in rows],
            "behaviour": [row[3] for row in rows],
        },
        schema_overrides={"user": pl.String, "session": pl.String, "item": pl.String,
                          "behaviour": pl.String, "time": pl.Datetime("us")},
    )  # fmt: skip
    return Events(frame)


def bought(rows: Sequence[tuple[str, float, str]]) -> Events:
    return events([(*row, "purchase") for row in rows])


def toy_shop(*, households: int = 24, weeks: int = 14, seed: int = 0) -> Shop:
    """Every week each household buys one tea and one soap, mostly the next of the last week's."""
    rng = np.random.default_rng(seed)
    rows = []
    for house in range(households):
        at = dict.fromkeys(KINDS, house % GOODS)
        for week in range(weeks):
            for kind in KINDS:
                rows.append((f"h{house:02}", 7.0 * week + house % 5, f"{kind} {at[kind]}"))
                step = 1 if rng.random() < 0.8 else int(rng.integers(GOODS))
                at[kind] = (at[kind] + step) % GOODS
    return Shop("toy", items(), bought(rows), fingerprint="toy")


def known(log_of: Events, *, day: float = 1e9, least: int = 1) -> Past:
    """What is known of a log at a day."""
    kept: Goods = goods(items(), log_of, least)
    past: Log = log(log_of, kept)
    return Past(
        kept, past.before(day), moves(past, kept).within(-np.inf, day), min(day, _end(past))
    )


def _end(past: Log) -> float:
    return float(past.day.max()) + 1 if len(past.day) else 0.0
