"""A log as a market: sellers with their targets, shoppers with their habits, and trips that come later.

    market = market_of(store, cut)                       # what is known at the cut, nothing later
    trips = trips_of(store, market, cut, end)            # who comes then, and what they bought

Sizes: I items, S sellers, H shoppers, G kinds of items, M makers, T trips, F features. A seller is a
value of the catalogue's column `seller` with enough purchases; all others share one place, "the rest".
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.data.tables import Events, Shop, local

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Whole = NDArray[np.int64]
REST = "the rest"
RECENT = timedelta(weeks=4)
HALF_LIFE_DAYS = 30.0
SMALL = 0.5
"""Purchases added to a count before its logarithm is taken."""


class Habits(NamedTuple):
    """What shoppers did before the cut.

    Attributes:
        shoppers: (H,) ids.
        trips: (H,) float64 — sessions of each.
        size: (H,) float64 — items of its mean session.
        starts: (H + 1,) int64 — where a shopper's own items begin in the next three.
        own: (N,) int64 — columns of the items it bought.
        counts, decayed: (N,) float64 — how often; and with a half-life of 30 days.
        kinds: (H, G) float32 — purchases of a kind in a trip.
        makers: (H, M) float32 — purchases from a maker in a trip.
    """

    shoppers: tuple[str, ...]
    trips: Floats
    size: Floats
    starts: Whole
    own: Whole
    counts: Floats
    decayed: Floats
    kinds: Singles
    makers: Singles


class Market(NamedTuple):
    """What is known at a time.

    Attributes:
        items: (I,) ids of the items with enough purchases, in the order of the catalogue.
        prices: (I,) float64 — median price paid so far.
        kind, maker: (I,) int64 — number of the item's category, and of its `seller` in the catalogue.
        seller: (I,) int64 — place in `sellers`.
        sellers: (S,) names, the largest first, `REST` last where there is one.
        shares: (S,) float64 — of the sales so far; they sum to 1.
        popularity: (I, 2) float64 — log of purchases in a trip, over all and over the last four weeks.
        habits: of the shoppers.
    """

    items: tuple[str, ...]
    prices: Floats
    kind: Whole
    maker: Whole
    seller: Whole
    sellers: tuple[str, ...]
    shares: Floats
    popularity: Floats
    habits: Habits


class Trips(NamedTuple):
    """Visits in the order of time, by shoppers that the market knows.

    Attributes:
        shopper: (T,) int64 — place in `habits.shoppers`.
        starts: (T + 1,) int64 — where the basket of a trip begins in `bought`.
        bought: (N,) int64 — columns of the items in it, each once.
    """

    shopper: Whole
    starts: Whole
    bought: Whole


class Threshold(NamedTuple):
    """Purchases before the cut that an item needs to be offered, and a seller to stand alone.

    `sellers` names those that stand alone instead, so that an earlier market has those of a later one.
    """

    item: int = 20
    seller: int = 2_000
    sellers: tuple[str, ...] | None = None


def market_of(store: Shop, cut: datetime, threshold: Threshold | None = None) -> Market:
    """What the log says before `cut`.

    Raises:
        DataError: the catalogue names no sellers, or the log no prices.
        SetupError: no item has enough purchases before the cut, or the cut has a time zone.
    """
    least = threshold or Threshold()
    if "seller" not in store.items.frame.columns or store.items.frame["seller"].is_null().all():
        raise DataError(
            f"The catalogue of {store.name} names no sellers, which fairness is about; map its column "
            "of sellers, vendors or manufacturers to `seller`."
        )
    past = _purchases(store).filter(pl.col("time") < local(cut))
    items = _items(store, past, least.item)
    if items.is_empty():
        raise SetupError(
            f"No item of {store.name} has {least.item} purchases before {cut:%Y-%m-%d}; set least_item "
            "or weeks lower (--set least_item=..., --set weeks=...), or give a longer log."
        )
    past = past.join(items.select("item", "column", "kind", "maker"), on="item")
    sales = past.group_by("maker").agg(n=pl.len(), sales=pl.col("sales").sum())
    seller, names, shares = _sellers(items, sales, least)
    recent = past.filter(pl.col("time") >= cut - RECENT)
    return Market(
        items=tuple(items["item"]),
        prices=items["paid"].to_numpy(),
        kind=items["kind"].to_numpy(),
        maker=items["maker"].to_numpy(),
        seller=seller,
        sellers=names,
        shares=shares,
        popularity=np.stack([_rate(log, len(items)) for log in (past, recent)], axis=1),
        habits=_habits(past, items, cut),
    )


def trips_of(store: Shop, market: Market, start: datetime, end: datetime | None = None) -> Trips:
    """The sessions that begin in [start, end) with an item of the market, of shoppers it knows."""
    log = _purchases(store).filter(pl.col("time") >= local(start))
    if end is not None:
        log = log.filter(pl.col("time") < local(end))
    places = pl.DataFrame(
        {"user": market.habits.shoppers, "shopper": np.arange(len(market.habits.shoppers))}
    )
    columns = pl.DataFrame({"item": market.items, "column": np.arange(len(market.items))})
    rows = (
        log.join(places, on="user")
        .join(columns, on="item")
        .group_by("session", "shopper")
        .agg(pl.col("time").min(), pl.col("column").unique().sort())
        .sort("time", "session", "shopper")
    )
    sizes = rows["column"].list.len().to_numpy()
    bought = rows["column"].explode() if len(rows) else pl.Series([], dtype=pl.Int64)
    return Trips(
        shopper=rows["shopper"].to_numpy(),
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        bought=bought.to_numpy().astype(np.int64),
    )


def span_of(store: Shop) -> tuple[datetime, datetime]:
    """When the log begins and ends."""
    times = store.events.frame.select(first=pl.col("time").min(), last=pl.col("time").max())
    first, last = times.row(0)
    return first, last


def _purchases(store: Shop) -> pl.DataFrame:
    events: Events = store.events
    frame = events.frame
    if (frame["behaviour"] == "purchase").any():
        frame = frame.filter(pl.col("behaviour") == "purchase")
    if "price" not in frame.columns or not (frame["price"] > 0).any():
        raise DataError(
            f"The log of {store.name} has no prices paid, which fairness counts; map its column of "
            "prices to `price`."
        )
    quantity = pl.col("quantity") if "quantity" in frame.columns else pl.lit(1.0)
    sales = pl.col("price") * quantity.fill_null(1.0)
    frame = frame.select("user", "session", "time", "item", "price", sales=sales)
    return frame.filter(pl.col("price") > 0, pl.col("sales") > 0)


def _items(store: Shop, past: pl.DataFrame, least: int) -> pl.DataFrame:
    """Items with enough purchases and a seller, numbered; their median price, kind and maker."""
    paid = past.group_by("item").agg(n=pl.len(), paid=pl.col("price").median())
    frame = store.items.frame
    category = pl.col("category") if "category" in frame.columns else pl.lit("")
    kept = (
        frame.select("item", "seller", category=category.fill_null(""))
        .join(paid.filter(pl.col("n") >= least), on="item", maintain_order="left")
        .filter(pl.col("seller").is_not_null())
    )
    return kept.with_row_index("column").with_columns(
        pl.col("column").cast(pl.Int64),
        kind=(pl.col("category").rank("dense") - 1).cast(pl.Int64),
        maker=(pl.col("seller").rank("dense") - 1).cast(pl.Int64),
    )


def _sellers(
    items: pl.DataFrame, sales: pl.DataFrame, least: Threshold
) -> tuple[Whole, tuple[str, ...], Floats]:
    """The seller of each item (I,), the sellers' names, and their shares of sales (S,)."""
    names = items.select("maker", "seller").unique()
    table = sales.join(names, on="maker").sort(["sales", "maker"], descending=[True, False])
    alone = pl.col("n") >= least.seller
    if least.sellers is not None:
        alone = pl.col("seller").is_in(least.sellers)
    big, rest = table.filter(alone), table.filter(~alone)
    place = np.full(int(np.max(items["maker"].to_numpy())) + 1, len(big), dtype=np.int64)
    place[big["maker"].to_numpy()] = np.arange(len(big))
    shares = big["sales"].to_list() + ([rest["sales"].sum()] if len(rest) else [])
    called = (*big["seller"], *((REST,) if len(rest) else ()))
    return place[items["maker"].to_numpy()], called, np.array(shares) / sum(shares)


def _rate(log: pl.DataFrame, items: int) -> Floats:
    """(I,) — log of purchases in a trip; two shoppers may have sessions of one name."""
    sessions = log.select(pl.struct("user", "session").n_unique()).item()
    counts = np.bincount(log["column"].to_numpy(), minlength=items)
    rates: Floats = np.log((counts + SMALL) / (sessions + 2 * SMALL))
    return rates


def _habits(past: pl.DataFrame, items: pl.DataFrame, cut: datetime) -> Habits:
    shoppers = (
        past.group_by("user")
        .agg(trips=pl.col("session").n_unique(), bought=pl.len())
        .sort("user")
        .with_row_index("shopper")
    )
    log = past.join(shoppers.select("user", "shopper", "trips"), on="user")
    age = (pl.lit(cut) - pl.col("time")).dt.total_seconds() / 86_400
    own = (
        log.group_by("shopper", "column")
        .agg(n=pl.len(), decayed=(-age / HALF_LIFE_DAYS * np.log(2)).exp().sum())
        .sort("shopper", "column")
    )
    sizes = np.bincount(own["shopper"].to_numpy(), minlength=len(shoppers))
    trips = shoppers["trips"].to_numpy().astype(np.float64)
    return Habits(
        shoppers=tuple(shoppers["user"]),
        trips=trips,
        size=shoppers["bought"].to_numpy() / trips,
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        own=own["column"].to_numpy(),
        counts=own["n"].to_numpy().astype(np.float64),
        decayed=own["decayed"].to_numpy(),
        kinds=_per_trip(log, "kind", items["kind"], trips),
        makers=_per_trip(log, "maker", items["maker"], trips),
    )


def _per_trip(log: pl.DataFrame, of: str, numbers: pl.Series, trips: Floats) -> Singles:
    """(H, numbers) — purchases in a trip."""
    table = np.zeros((len(trips), int(numbers.to_numpy().max()) + 1), np.float32)
    np.add.at(table, (log["shopper"].to_numpy(), log[of].to_numpy()), 1)
    found: Singles = (table / trips[:, None]).astype(np.float32)
    return found
