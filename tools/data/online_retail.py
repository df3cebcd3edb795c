"""UCI Online Retail: a year of invoices of a British shop of gifts, many of them to other shops.

    customer 17850, invoice 536365, 2010-12-01 08:26:00, item 85123A, 6 units of 2.55 pounds
    item 85123A -> "White hanging heart t-light holder"

Read from `uci_online_retail/online_retail.csv.gz` in the folder of the setting `data` (Chen, Sain and Guo
2012, doi:10.1057/dbm.2012.17; CC0 as the R package onlineretail). Unusual in this data:

- A quarter of the rows has no customer. Their invoices are baskets all the same: each belongs to a
  user of its own, `guest/<invoice>`, so that it counts in what is bought together and is nobody's
  earlier purchase.
- An item has several descriptions; its title is the most frequent one in plain words. There are no
  categories and no brands, so that the title is all a model reads.
- The source writes some codes in two ways (79066K, 79066k): two items here, as published counts have it.
- Invoices of hundreds of lines are common before Christmas: weigh baskets by size.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.runtime.settings import settings
from merchgraph.tools.data.cache import cached, fingerprint
from merchgraph.tools.data.checks import UNREADABLE, require_columns
from merchgraph.tools.data.tables import Events, Items, Shop

NAME = "online_retail"
VERSION = "1"  # raise it when the tables made of the same file change
GUEST = "guest/"
"""How the user of an invoice without a customer begins; the invoice follows."""

FILE = Path("uci_online_retail", "online_retail.csv.gz")
COLUMNS = (
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID",
    "Country",
)  # fmt: skip
NO_GOODS = "(?i)^(?:next day carriage|high resolution image)$"


def load() -> Shop:
    """The shop, from the cache or, the first time, from the file.

    Cleaning takes 541,909 rows to 517,256; each rule counts the rows that the rules before it left,
    and `extras["removed"]` has the counts (rule, rows):

        cancelled  9,288   the invoice takes back an earlier one
        quantity   1,336   quantity of 0 or less
        price      1,181   nothing was paid
        code       2,379   postage, fees and vouchers: the code does not begin with five digits
        repeated  10,469   an item again on the same invoice: added to its first row

    Extra column of `events`: country. `price` is pounds per unit; the behaviour is always "purchase".
    Extra column of `items`: sellable, false for two services with the code of an item. `price` is the
    median over the clean rows.

    Raises:
        SetupError: the file is not there, or the cache folder cannot be written.
        DataError: the file cannot be read, or lacks a column.
    """
    path = settings().data.expanduser() / FILE
    if not path.is_file():
        raise SetupError(
            f"The shop {NAME!r} is read from {str(path)!r}, which is not there; name the folder "
            f"that holds {FILE.parent.name!r} in MERCHGRAPH_DATA."
        )
    key = fingerprint([path], version=f"{NAME} {VERSION}")
    tables = cached(f"{NAME}/{key}", lambda: _build(path))
    extras = {"removed": tables["removed"]}
    return Shop(NAME, Items(tables["items"]), Events(tables["events"]), extras, key)


def _build(path: Path) -> Mapping[str, pl.DataFrame]:
    try:
        rows = pl.read_csv(path, infer_schema=False)
        require_columns(rows.columns, COLUMNS, table=path.name)
        rows = rows.with_columns(
            pl.col("Quantity").cast(pl.Float64),
            pl.col("UnitPrice").cast(pl.Float64),
            pl.col("InvoiceDate").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us"),
        )
    except UNREADABLE as error:
        problem = str(error).strip().splitlines()[0][:200]
        raise DataError(
            f"{path}: it cannot be read as the table of invoices ({problem}); fetch it anew."
        ) from error
    kept, removed = _cleaned(rows)
    events = _events(kept)
    removed["repeated"] = kept.height - events.height
    return {
        "items": Items(_items(kept)).frame,
        "events": Events(events).frame,
        "removed": pl.DataFrame({"rule": list(removed), "rows": list(removed.values())}),
    }


def _cleaned(rows: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """The clean rows, and how many rows each rule took."""
    rules = {
        "cancelled": ~pl.col("InvoiceNo").str.starts_with("C"),
        "quantity": pl.col("Quantity") > 0,
        "price": pl.col("UnitPrice") > 0,
        "code": pl.col("StockCode").str.contains(r"^\d{5}"),
    }
    removed = {}
    for rule, keeps in rules.items():
        before = rows.height
        rows = rows.filter(keeps)
        removed[rule] = before - rows.height
    return rows, removed


def _events(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per invoice and item, in the file's order."""
    units = pl.col("Quantity")
    merged = rows.group_by("InvoiceNo", "StockCode", maintain_order=True).agg(
        pl.col("InvoiceDate", "CustomerID", "Country").first(),
        ((units * pl.col("UnitPrice")).sum() / units.sum()).alias("price"),
        units.sum().alias("quantity"),
    )
    guest = pl.lit(GUEST) + pl.col("InvoiceNo")
    return merged.select(
        pl.coalesce("CustomerID", guest).alias("user"),
        pl.col("InvoiceNo").alias("session"),
        pl.col("InvoiceDate").alias("time"),
        pl.lit("purchase").alias("behaviour"),
        pl.col("StockCode").alias("item"),
        "price",
        "quantity",
        pl.col("Country").alias("country"),
    )


def _items(rows: pl.DataFrame) -> pl.DataFrame:
    item = pl.col("StockCode").alias("item")
    named = (
        rows.group_by(item, "Description")
        .len()
        .sort("len", "Description", descending=[True, False])
    )
    named = named.unique("item", keep="first", maintain_order=True).sort("item")
    prices = rows.group_by(item).agg(pl.col("UnitPrice").median().round(2).alias("price"))
    titles = {text: readable(text) for text in named["Description"].unique()}
    return named.join(prices, on="item", how="left", maintain_order="left").select(
        "item",
        pl.col("Description").replace_strict(titles).alias("title"),
        "price",
        (~pl.col("Description").str.contains(NO_GOODS)).alias("sellable"),
    )


_CAPITALS = (
    "Boudicca", "Charlie", "Charlotte", "Chinese", "Christmas", "Danish", "Easter", "Edwardian",
    "Elvis", "English", "French", "George", "Hawaiian", "I", "I'm", "LED", "Lola", "London",
    "Montana", "Moroccan", "Morris", "Murano", "Paris", "Parisienne", "Santa", "Scandinavian",
    "Suki", "Swiss", "TV", "USB", "Victorian",
)  # fmt: skip
_NAMES = {name.lower(): name for name in _CAPITALS}
_PLAIN = (
    (r"[*]|[\s,.]+$", " "),
    (r"\s*,\s*(?=\w\w)", ", "),
    (r"\b(?:s|set)/(?=\d)", "set of "),
    (r"\b(pack|box)/(?=\d)", r"\1 of "),
    (r"\bof(?=\d)", "of "),
    (r"\bset(?=\d)", "set of "),
    (r"\bw/|\bw\b", "with "),
    (r"\bm\.o\.p\b|\bmop\b", "mother of pearl"),
    (r"\basstd\b|\basst\b", "assorted"),
    (r"\bxmas\b", "Christmas"),
    (r"\bnecklac\b|\bneckl\b", "necklace"),
    (r"\bturq\b|\bturquois\b", "turquoise"),
    (r"\bb'fly\b", "butterfly"),
    (r"\bunion jack\b", "Union Jack"),
    (r"\blas vegas\b", "Las Vegas"),
    (r"\s+", " "),
)


def readable(description: str) -> str:
    """A description of the source as a title: "SET/6 IVORY T-LIGHTS " -> "Set of 6 ivory t-lights"."""
    text = description.lower()
    for pattern, plain in _PLAIN:
        text = re.sub(pattern, plain, text)
    text = re.sub(r"[a-z']+", lambda word: _NAMES.get(word[0], word[0]), text)
    text = re.sub(r'"([a-z])"', lambda letter: letter[0].upper(), text.strip())
    return text[:1].upper() + text[1:]
