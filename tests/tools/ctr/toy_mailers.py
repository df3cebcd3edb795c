"""A shop of 24 types whose households have tastes: each shops weekly and buys types of its two aisles."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from merchgraph.tools.ctr import launch as launches
from merchgraph.tools.data.tables import Events, Items, Shop

AISLES = {
    "dairy": ("Grocery", "Fluid milk products"),
    "pets": ("Grocery", "Cat food"),
    "baby": ("Drugstore", "Baby foods"),
    "bakery": ("Pastry", "Cakes"),
}
TYPES = 24
HOUSEHOLDS = 40
NEW_ADS = 6


def toy_shop(households: int = HOUSEHOLDS) -> Shop:
    """A year of it; every mailer carries a third of the types, in turn."""
    rng = np.random.default_rng(0)
    names = [f"type {number:02}" for number in range(TYPES)]
    aisles = [list(AISLES)[number % len(AISLES)] for number in range(TYPES)]
    items = Items(
        pl.DataFrame(
            {
                "item": names,
                "title": names,
                "category": [" > ".join((*AISLES[aisle], name)) for aisle, name in
                             zip(aisles, names, strict=True)],
                "brand": ["store brand" if number % 3 else "national brand"
                          for number in range(TYPES)],
                "sellable": [True] * TYPES,
            }
        )
    )  # fmt: skip
    rows = []
    for household in range(households):
        liked = {household % len(AISLES), (household // 4) % len(AISLES)}
        odds = np.array([0.3 if number % len(AISLES) in liked else 0.05 for number in range(TYPES)])
        for week in range(1, 54):
            for number in np.flatnonzero(rng.random(TYPES) < odds):
                rows.append(_row(household, week, names[number], float(rng.integers(1, 9))))
    events = pl.DataFrame(rows, schema=_COLUMNS, orient="row")
    return Shop("toy", items, Events(events), _extras(names), "toy")


_COLUMNS: dict[str, Any] = {
    "user": pl.String, "session": pl.String, "time": pl.Datetime("us"), "behaviour": pl.String,
    "item": pl.String, "price": pl.Float64, "quantity": pl.Float64, "store": pl.String,
    "week": pl.Int8, "discounted": pl.Boolean, "coupon": pl.Boolean,
}  # fmt: skip


def _row(household: int, week: int, item: str, price: float) -> tuple[object, ...]:
    time = datetime(2016, 12, 26) + timedelta(
        weeks=week - 1, days=household % 7, hours=9 + week % 12
    )
    user, store = f"h{household:02}", f"s{household % 2}"
    return (user, f"{user}/{week}", time, "purchase", item, price, 1.0, store, week,
            price < 3, week % 10 == 0)  # fmt: skip


def _extras(names: list[str]) -> dict[str, pl.LazyFrame | pl.DataFrame]:
    mailed = [
        {"item": name, "store": store, "week": week, "mailer_location": "A" if on else "0"}
        for week in range(1, 54)
        for store in ("s0", "s1")
        for number, name in enumerate(names)
        for on in [number % 3 == week % 3]
    ]
    people = pl.DataFrame(
        {
            "user": ["h00", "h01"], "age": ["19-24", "65+"], "income": ["Under 15K", "250K+"],
            "home_ownership": ["Homeowner", None], "marital_status": ["Married", "Unmarried"],
            "household_size": ["1", "5+"], "household_comp": ["1 Adult No Kids", "2 Adults Kids"],
        }
    )  # fmt: skip
    return {"promotions": pl.DataFrame(mailed).lazy(), "demographics": people.lazy()}


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a launch be as small as the toy shop."""
    for name, value in {"NEW_ADS": NEW_ADS, "POOL_CLICKS": 10, "WARM_CLICKS": 5, "HELD_CLICKS": 3,
                        "L2": 3.0, "REFERENCE": 50}.items():  # fmt: skip
        monkeypatch.setattr(launches, name, value)
