"""What a shop advertised, to whom, and what they then bought: exposures and clicks, as a log tells.

    household 900 shops at store 330 in week 12; store 330's mailer of week 12 carries "Bagels"
    -> one exposure of the ad "Bagels"; a click if the household buys any bagels there in that week

From the purchases and the weekly promotions of The Complete Journey. An ad is a type of product of
which at least one product is on a mailer. Nobody logged who looked at a mailer, and a purchase is no
click: these are stand-ins, and their rates are no click rates.

Sizes: V visits (a household in a store in a week), A types, P places (a store in a week).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.cache import cached
from merchgraph.tools.data.tables import Shop

VERSION = "1"  # raise it when the tables made of the same shop change
UNADVERTISED = "0"
"""The mailer location of a product that is not on the mailer."""
NEEDED = ("store", "week", "discounted", "coupon")
PRICED_UNTIL = 33
"""The last week whose prices rank the products of a type: later ones are in the test window."""

Bools = NDArray[np.bool_]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Mailers:
    """Exposures and clicks of a shop.

    Attributes:
        types: A rows: type (its row), department, category, name, advertised.
        visits: V rows: user, store, week, place (row of `carried`); only of stores and weeks that had
            a mailer, sorted by user, week, store.
        lines: one row per purchase: user, week, session, time, type, dollars, discounted, coupon,
            private (store brand), tier (rank of the product's price within its type, 0 to 1, or null),
            mailed (the product was on the mailer there and then).
        tables: these three, and `carriers` (place, type) and `clicks` (visit, type).
    """

    tables: Mapping[str, pl.DataFrame]

    @property
    def types(self) -> pl.DataFrame:  # noqa: D102
        return self.tables["types"]

    @property
    def visits(self) -> pl.DataFrame:  # noqa: D102
        return self.tables["visits"]

    @property
    def lines(self) -> pl.DataFrame:  # noqa: D102
        return self.tables["lines"]

    @cached_property
    def carried(self) -> Bools:
        """(P, A) — whether a place's mailer carries a type."""
        pairs = self.tables["carriers"]
        places = int(self.visits["place"].max()) + 1  # type: ignore[arg-type]
        return _matrix(pairs["place"], pairs["type"], (places, self.types.height))

    @cached_property
    def _clicks(self) -> Bools:
        """(V, A) — whether a visit bought an advertised type."""
        pairs = self.tables["clicks"]
        return _matrix(pairs["visit"], pairs["type"], (self.visits.height, self.types.height))

    def shown(self, visits: Rows, types: Rows) -> Bools:
        """(v, a) — whether a visit was exposed to a type."""
        places = self.visits["place"].to_numpy()[visits]
        return np.asarray(self.carried[np.ix_(places, types)])

    def clicked(self, visits: Rows, types: Rows) -> Bools:
        """(v, a) — whether a visit bought a type that it was exposed to."""
        return np.asarray(self._clicks[np.ix_(visits, types)])

    def clicks(self, visits: Rows) -> Rows:
        """(A,) — clicks of the visits, by type."""
        return np.asarray(self._clicks[visits].sum(axis=0), dtype=np.int64)


def mailers(shop: Shop) -> Mailers:
    """The exposures and clicks of a shop, worked out once and kept in the cache.

    Raises:
        SetupError: the shop has no record of what was on its mailers.
    """
    lacks = [name for name in NEEDED if name not in shop.events.frame.columns]
    if "promotions" not in shop.extras or lacks:
        raise SetupError(
            f"The shop {shop.name!r} has no record of what was advertised where and when; "
            f"take 'complete_journey', which has one."
        )
    return Mailers(cached(f"mailers/{shop.fingerprint}-{VERSION}", lambda: _build(shop)))


def _matrix(rows: pl.Series, columns: pl.Series, shape: tuple[int, int]) -> Bools:
    found = np.zeros(shape, dtype=np.bool_)
    found[rows.to_numpy(), columns.to_numpy()] = True
    return found


def _build(shop: Shop) -> Mapping[str, pl.DataFrame]:
    products = _products(shop)
    types = products.group_by("category", "name").agg(
        pl.col("department").mode().min(), pl.col("type").first()
    )
    promotions = shop.extras["promotions"].lazy().filter(
        pl.col("mailer_location") != UNADVERTISED
    )  # fmt: skip
    on_mailer = (
        promotions.select("item", "store", pl.col("week").cast(pl.Int8))
        .join(products.lazy().select("item", "type", "product"), on="item")
        .select("product", "type", "store", "week")
        .unique()
        .collect()
    )
    places = on_mailer.select("store", "week").unique().sort("store", "week")
    places = places.with_row_index("place")
    carriers = (
        on_mailer.select("store", "week", "type").unique().join(places, on=["store", "week"])
    ).select("place", "type")
    lines = _lines(shop, products, on_mailer)
    visits = (
        lines.select("user", "store", "week").unique().join(places, on=["store", "week"])
    ).sort("user", "week", "store")
    bought = lines.select("user", "store", "week", "type").unique()
    clicks = (
        bought.join(visits.with_row_index("visit"), on=["user", "store", "week"])
        .join(carriers, on=["place", "type"])
        .select("visit", "type")
        .sort("visit", "type")
    )
    advertised = pl.col("type").is_in(carriers["type"].unique().implode())
    return {
        "types": types.sort("type").with_columns(advertised.alias("advertised")),
        "visits": visits,
        "carriers": carriers.sort("place", "type"),
        "clicks": clicks,
        "lines": lines.drop("store").sort("user", "time", "session", maintain_order=True),
    }


def _products(shop: Shop) -> pl.DataFrame:
    """Products that may be sold: item, product (a number), type (a number), words, tier, private."""
    items = shop.items.frame.filter(pl.col("sellable"))
    early = shop.events.frame.filter(pl.col("week") <= PRICED_UNTIL)
    prices = early.group_by("item").agg(pl.col("price").median().alias("usual"))
    path = pl.col("category").str.split(" > ")
    words = {"department": path.list.get(0), "category": path.list.get(1, null_on_oob=True),
             "name": path.list.get(-1)}  # fmt: skip
    found = items.select(
        "item",
        *(word.fill_null("").alias(name) for name, word in words.items()),
        (pl.col("brand") == "store brand").fill_null(value=False).alias("private"),
    )
    found = found.join(prices, on="item", how="left", maintain_order="left")
    key = pl.struct("category", "name").rank("dense").cast(pl.Int32) - 1
    found = found.with_columns(key.alias("type")).with_row_index("product")
    others = (pl.col("usual").count() - 1).over("type")
    tier = (pl.col("usual").rank("average").over("type") - 1) / others
    return found.with_columns(pl.when(others > 0).then(tier).cast(pl.Float32).alias("tier"))


def _lines(shop: Shop, products: pl.DataFrame, on_mailer: pl.DataFrame) -> pl.DataFrame:
    events = shop.events.frame.select(
        "user", "store", "session", "time", "week", "item", "discounted", "coupon",
        (pl.col("price") * pl.col("quantity")).alias("dollars"),
    )  # fmt: skip
    known = products.select("item", "product", "type", "private", "tier")
    lines = events.join(known, on="item", maintain_order="left")
    there = on_mailer.select("product", "store", "week", pl.lit(value=True).alias("mailed"))
    lines = lines.join(there, on=["product", "store", "week"], how="left", maintain_order="left")
    return lines.with_columns(pl.col("mailed").fill_null(value=False)).drop("item", "product")
