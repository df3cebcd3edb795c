"""A small market: shoppers with lasting habits, sellers of unequal size, twelve weeks of trips."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from merchgraph.tools.data.tables import Events, Items, Shop

ITEMS, SHOPPERS, WEEKS, SIZE = 48, 40, 12, 4
SELLERS = ("acme", "acme", "acme", "bell", "bell", "cora", "dora", "elmo")
"""Of an item, by its number; acme has three eighths of the catalogue."""
FIRST = datetime(2026, 1, 5)


def market_shop(*, sellers: bool = True) -> Shop:
    """Each shopper buys a few items of its own again and again, and now and then a popular one."""
    rng = np.random.default_rng(0)
    ids = [f"i{n:02}" for n in range(ITEMS)]
    frame = pl.DataFrame(
        {
            "item": ids,
            "title": ids,
            "category": [f"Shop > kind {n % 5}" for n in range(ITEMS)],
            "seller": [SELLERS[n % len(SELLERS)] if sellers else None for n in range(ITEMS)],
        },
        schema_overrides={"seller": pl.String},
    )
    popular = 1 / np.arange(1, ITEMS + 1)
    popular /= popular.sum()
    rows = []
    for shopper in range(SHOPPERS):
        own = rng.choice(ITEMS, 6, replace=False, p=popular)
        for week in range(WEEKS):
            for visit in range(int(rng.integers(1, 3))):
                time = FIRST + timedelta(weeks=week, days=2 * visit, hours=int(rng.integers(12)))
                basket = {*rng.choice(own, SIZE - 1).tolist(), int(rng.choice(ITEMS, p=popular))}
                rows += [
                    (f"u{shopper}", f"u{shopper}/{week}/{visit}", time, "purchase", ids[item],
                     1.0 + item % 7)
                    for item in sorted(basket)
                ]  # fmt: skip
    columns = ["user", "session", "time", "behaviour", "item", "price"]
    return Shop("toy", Items(frame), Events(pl.DataFrame(rows, schema=columns, orient="row")))
