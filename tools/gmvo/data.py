"""A shop's log as arrays: goods that can be recommended, what happened to them, and substitutions.

    kept = goods(store.items, train, least=20)
    past = log(store.events, kept)
    moves(past, kept)        # who went from which item to which other one of its type, and when

A log with views tells substitutions itself: an item was viewed, and another of its type bought in the
same session. A purchase log tells them by switches: of two trips in a row on which a household bought a
product type, an item bought only on the first was given up for each item bought only on the second. Such
a switch mixes substitution with variety seeking and with changes of the assortment.

Sizes: I goods, N rows of the log, M moves.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from merchgraph.tools.contract import PURCHASE
from merchgraph.tools.data.tables import Events, Items

VIEW = "view"
TYPE = "product_type"
"""Column of `items` that names the type where a shop has one; else the whole category path is it."""
ALIKE = ("brand", "seller", "size")
DAY_US = 86_400_000_000

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Goods(NamedTuple):
    """Items that were bought often enough.

    Attributes:
        items: (I,) ids, in the order of the catalogue.
        types: (I,) int64 — product type.
        prices: (I,) float64 — median price paid, else the catalogue's, else the mean of the type.
        relative: (I,) float64 — price over the mean price of the type; 1 where that is 0.
        alike: (3, I) int64 — brand, seller and size as codes; -1 where unknown.
        texts: (I,) what text models read.
    """

    items: tuple[str, ...]
    types: Ints
    prices: Floats
    relative: Floats
    alike: Ints
    texts: tuple[str, ...]


class Log(NamedTuple):
    """Events of the goods, in the order of the table.

    Attributes:
        item, user, basket: (N,) int64 codes; a basket is one session of one user.
        day: (N,) float64 — days since 1970-01-01.
        bought: (N,) bool — purchases; in a log that has none, every event.
        viewed: (N,) bool.
    """

    item: Ints
    user: Ints
    basket: Ints
    day: Floats
    bought: NDArray[np.bool_]
    viewed: NDArray[np.bool_]

    def before(self, day: float) -> Self:
        """What happened earlier than that day."""
        return self._of(self.day < day)

    def _of(self, rows: NDArray[np.bool_]) -> Self:
        codes = (self.item[rows], self.user[rows], self.basket[rows])
        return type(self)(*codes, self.day[rows], self.bought[rows], self.viewed[rows])


class Moves(NamedTuple):
    """From an item to another of its type; an occasion has one source and its targets, a row each.

    Attributes:
        occasion, user, source, target: (M,) int64 codes; source and target are goods.
        day: (M,) float64 — when all targets were bought: earlier, nobody can know the move.
    """

    occasion: Ints
    user: Ints
    source: Ints
    target: Ints
    day: Floats

    def within(self, start: float, end: float) -> Self:
        """Those of start <= day < end."""
        kept = (self.day >= start) & (self.day < end)
        codes = (self.occasion[kept], self.user[kept], self.source[kept], self.target[kept])
        return type(self)(*codes, self.day[kept])


def goods(items: Items, events: Events, least: int) -> Goods:
    """Items with a product type and at least `least` purchases in the log."""
    column = TYPE if TYPE in items.frame.columns else "category"
    counts = _bought(events.frame).group_by("item").agg(pl.len(), pl.col("price").median())
    frame = (
        items.frame.with_columns(pl.col(column).fill_null("").alias("kind"))
        .join(counts, on="item", how="left", suffix="_paid", maintain_order="left")
        .filter((pl.col("kind") != "") & (pl.col("len").fill_null(0) >= max(1, least)))
    )
    prices = frame.select(pl.coalesce("price_paid", "price").alias("price"), "kind")
    of_type = pl.col("price").mean().over("kind").fill_null(0.0)
    prices = prices.with_columns(pl.col("price").fill_null(of_type))
    shares = pl.when(of_type > 0).then(pl.col("price") / of_type).otherwise(1.0)
    return Goods(
        items=tuple(frame["item"]),
        types=_codes(frame["kind"]),
        prices=prices["price"].to_numpy().astype(np.float64),
        relative=prices.select(shares.alias("price"))["price"].to_numpy().astype(np.float64),
        alike=np.stack([_known(frame, name) for name in ALIKE]),
        texts=tuple(frame["text"]),
    )


def log(events: Events, kept: Goods) -> Log:
    """The events of the goods, each item once per session and behaviour."""
    columns = pl.DataFrame({"item": pl.Series(kept.items, dtype=pl.String)}).with_row_index(
        "column"
    )
    frame = events.frame.select("user", "session", "time", "behaviour", "item")
    frame = frame.join(columns, on="item", maintain_order="left").unique(
        ["user", "session", "behaviour", "item"], keep="first", maintain_order=True
    )
    bought = frame["behaviour"] == PURCHASE
    if not (events.frame["behaviour"] == PURCHASE).any():
        bought = pl.repeat(True, len(frame), eager=True)
    day = frame["time"].dt.epoch("us").to_numpy() / DAY_US
    return Log(
        item=frame["column"].to_numpy().astype(np.int64),
        user=_codes(frame["user"]),
        basket=_codes(frame.select(pl.struct("user", "session").alias("b"))["b"]),
        day=day.astype(np.float64),
        bought=bought.to_numpy(),
        viewed=(frame["behaviour"] == VIEW).to_numpy(),
    )


def moves(past: Log, kept: Goods) -> Moves:
    """Purchases after a view where the log has views, else switches between trips in a row."""
    return _after_views(past, kept) if past.viewed.any() else _switches(past, kept)


def _switches(past: Log, kept: Goods) -> Moves:
    """Of two trips in a row with a type: what only the first has, to all that only the second has."""
    here = past.bought
    rows = pl.DataFrame(
        {
            "user": past.user[here],
            "kind": kept.types[past.item[here]],
            "basket": past.basket[here],
            "day": past.day[here],
            "item": past.item[here],
        }
    )
    trips = rows.group_by("user", "kind", "basket", maintain_order=True).agg(
        pl.col("day").max(), pl.col("item")
    )
    after = pl.col("item", "day").shift(-1).over("user", "kind").name.prefix("next_")
    pairs = trips.sort("user", "kind", "day", maintain_order=True).with_columns(after)
    given_up = pl.col("item").list.set_difference("next_item").alias("source")
    taken = pl.col("next_item").list.set_difference("item").alias("target")
    pairs = pairs.drop_nulls("next_item").with_columns(given_up, taken)
    return _exploded(pairs.with_columns(pl.col("next_day").alias("day")))


def _after_views(past: Log, kept: Goods) -> Moves:
    """In a session: what was viewed and not bought, to all of its type that was bought afterwards."""
    columns = past._asdict() | {"kind": kept.types[past.item]}
    rows = pl.DataFrame({name: columns[name] for name in ("basket", "user", "day", "item", "kind")})
    viewed, bought = rows.filter(past.viewed), rows.filter(past.bought)
    left = viewed.join(bought, on=["basket", "item"], how="anti", maintain_order="left")
    pairs = (
        left.join(bought, on=["basket", "kind"], suffix="_bought", maintain_order="left")
        .filter(pl.col("day_bought") >= pl.col("day"))
        .group_by("basket", "user", "item", maintain_order=True)
        .agg(pl.col("item_bought").alias("target"), pl.col("day_bought").max())
    )
    source, day = pl.concat_list("item").alias("source"), pl.col("day_bought").alias("day")
    return _exploded(pairs.select("user", source, "target", day))


def _exploded(pairs: pl.DataFrame) -> Moves:
    """pairs: source and target are lists; an occasion is one source with all its targets."""
    told = pairs.filter((pl.col("source").list.len() > 0) & (pl.col("target").list.len() > 0))
    rows = told.explode("source").with_row_index("occasion").explode("target")
    return Moves(
        occasion=_integers(rows["occasion"]),
        user=_integers(rows["user"]),
        source=_integers(rows["source"]),
        target=_integers(rows["target"]),
        day=rows["day"].to_numpy().astype(np.float64),
    )


def _integers(values: pl.Series) -> Ints:
    return values.to_numpy().astype(np.int64)


def _bought(frame: pl.DataFrame) -> pl.DataFrame:
    purchases = frame.filter(pl.col("behaviour") == PURCHASE)
    return frame if purchases.is_empty() else purchases


def _codes(values: pl.Series) -> Ints:
    """0, 1, 2 ... in the order of the sorted values."""
    return np.asarray(values.rank("dense").to_numpy().astype(np.int64) - 1, np.int64)


def _known(frame: pl.DataFrame, name: str) -> Ints:
    if name not in frame.columns:
        return np.full(len(frame), -1)
    values = frame[name].cast(pl.String).replace("", None)
    return values.rank("dense").fill_null(0).to_numpy().astype(np.int64) - 1
