"""Modules to title: sets of items that a shop would show on one shelf.

    modules(shop("complete_journey"), "co-purchase", count=30, size=8, seed=1)
    around(shop("complete_journey"), "1082185", size=8)
    read_modules(Path("carousels.csv"))

A file has a row for each item: the columns `set` and `item`, in the order in which they are shown.

    set,item
    breakfast,1029743
    breakfast,981760

Kinds of those made here:
    co-purchase   an item and what is bought together with it more than once, nearest first
    price band    items of one category (of its path the last level left out) and nearly one price
    mixed         items of two or three departments' categories: no title is true of all

Of the kinds `complement` and `similar`, and around an item, trained tools say what is near.

Items of one text look the same to a title, and half of The Complete Journey's texts are not distinct, so
of each text a module has one item.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import polars as pl
from pydantic import BaseModel, ConfigDict

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.contract import Past, fitted
from merchgraph.tools.copurchase import CoPurchase
from merchgraph.tools.data.checks import (
    ROW,
    UNREADABLE,
    as_text,
    nearest,
    quoted,
    reject,
    reject_blank,
)
from merchgraph.tools.data.tables import Shop
from merchgraph.tools.trained import ToolName, trained

Near = Literal["co-purchase", "complement", "similar"]
Kind = Literal[Near, "price band", "mixed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
NEAR: tuple[Near, ...] = get_args(Near)
UNTRAINED: tuple[Kind, ...] = ("co-purchase", "price band", "mixed")
TOOLS: dict[Near, ToolName] = {"complement": "complement", "similar": "gmvo"}
COLUMNS = {"set": ("set", "set id", "set_id"), "item": ("item", "item id", "item_id")}
MOST_ITEMS = 50
BAND = 1.5  # prices of a band are at most so many times apart from the middle one, either way
LEAST_SOLD = 20  # purchases of an item that a module is made around


class Module(BaseModel):
    """One set of items, in the order in which they are shown."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: str
    items: tuple[str, ...]


def modules(store: Shop, kind: Kind, *, count: int, size: int, seed: int = 0) -> list[Module]:
    """Different modules of a kind; the same for the same arguments.

    Args:
        store: the shop.
        kind: see the module's docstring.
        count: how many; no fewer come back.
        size: items of each, 2 to 50.
        seed: of the choice of items that modules are made around.

    Raises:
        SetupError: an unknown kind, a number out of range, or a shop that has not so many modules.
    """
    if kind not in KINDS:
        raise SetupError(f"The kind of module {kind!r} is not known; there are {quoted(KINDS)}.")
    if count < 1 or not 2 <= size <= MOST_ITEMS:
        raise SetupError(
            f"{count} modules of {size} items were asked for; give 1 or more of 2 to {MOST_ITEMS}."
        )
    made: dict[frozenset[str], Module] = {}
    shelf, dice = _Shelf(store), random.Random(seed)
    for items in _made(shelf, kind, size, dice):
        if len(items) == size and frozenset(items) not in made:
            name = f"{kind} {len(made) + 1}"
            made[frozenset(items)] = Module(id=name, kind=kind, items=tuple(items))
        if len(made) == count:
            return list(made.values())
    raise SetupError(
        f"{store.name} has {len(made)} modules of the kind {kind!r} with {size} items of different "
        f"texts, but {count} were asked for; ask for fewer, or for smaller ones."
    )


def around(store: Shop, item: str, size: int, near: Near = "co-purchase") -> Module:
    """The module of an item and what is near it; its category fills up.

    Args:
        store: the shop.
        item: comes first.
        size: 1 to 50 items.
        near: bought together with it, completing a basket with it, or taken in place of it; the last
            two are trained.

    Raises:
        SetupError: an unknown item, a size that is not 1 to 50, or a model that was not trained.
    """
    if not 1 <= size <= MOST_ITEMS:
        raise SetupError(f"A module of {size} items was asked for; give 1 to {MOST_ITEMS}.")
    text, shelf = store.items.row(item).text, _Shelf(store)
    mates = _of_category(shelf, item) if shelf.category.get(item) else []
    first = shelf.neighbours(item, size, near)
    others = [one for one in (*first, *mates) if shelf.text.get(one) != text]
    items = (item, *shelf.unlike(others, size - 1)) if size > 1 else (item,)
    return Module(id=f"around {item}", kind=near, items=items)


def read_modules(path: Path) -> list[Module]:
    """The sets of a CSV, TSV or Parquet file, in the order of the file.

    Raises:
        SetupError: there is no such file.
        DataError: another type of file, a missing column, two columns that may be the same one, an
            empty cell, an item twice in one set, or a set of more than 50 items; rows are counted
            from 1, without the header.
    """
    rows = _read(path)
    table = path.name
    reject_blank(rows, COLUMNS, table=table)
    rows = rows.with_columns(pl.col("set", "item").str.strip_chars())
    twice = ~pl.struct("set", "item").is_first_distinct()
    reject(rows, twice, "item", "its set has it already; leave the row out", table=table)
    place = pl.int_range(pl.len()).over("set")
    most = f"a set has at most {MOST_ITEMS} items; leave out the rest or split the set"
    reject(rows, place >= MOST_ITEMS, "item", most, table=table)
    sets = rows.group_by("set", maintain_order=True).agg("item")
    return [Module(id=name, kind="file", items=tuple(items)) for name, items in sets.iter_rows()]


def _read(path: Path) -> pl.DataFrame:
    """The columns `set` and `item` as text, and `ROW`."""
    if not path.is_file():
        raise SetupError(
            f"There is no file {str(path)!r}; give a CSV, TSV or Parquet file with the columns "
            "set and item."
        )
    kind = path.suffix.lower()
    if kind not in (".csv", ".tsv", ".parquet"):
        raise DataError(f"{path}: this type of file is not known; give .csv, .tsv or .parquet.")
    try:
        if kind == ".parquet":
            rows = pl.read_parquet(path, glob=False)
        else:
            separator = "\t" if kind == ".tsv" else ","
            rows = pl.read_csv(path, separator=separator, infer_schema=False, glob=False)
        named = [pl.col(_column(path, rows.columns, name)).alias(name) for name in COLUMNS]
        rows = rows.select(named)
        rows = rows.select(as_text(rows, name, table=path.name) for name in COLUMNS)
    except UNREADABLE as error:
        problem = str(error).strip().splitlines()[0][:200]
        raise DataError(f"{path}: it cannot be read as {kind} ({problem}); correct it.") from error
    if rows.is_empty():
        raise DataError(f"{path}: the file has no rows; give at least one.")
    return rows.with_row_index(ROW, offset=1)


def _column(path: Path, there: Sequence[str], name: str) -> str:
    found = [column for column in there if column.strip().casefold() in COLUMNS[name]]
    if not found:
        close = nearest(name, there)
        hint = f"rename {close!r}" if close else "add it"
        raise DataError(
            f"{path}: there is no column {name!r} among {quoted(there)}; {hint} (the header is line 1)."
        )
    if len(found) > 1:
        raise DataError(
            f"{path}: the columns {quoted(found)} may each be {name!r}; rename all but one of them "
            "(the header is line 1)."
        )
    return found[0]


class _Shelf:
    """What may be shown of a shop: its sold and sellable items, most bought first."""

    def __init__(self, store: Shop) -> None:
        sold = store.events.frame.group_by("item").agg(
            pl.len().alias("sold"), pl.col("price").median().alias("paid")
        )
        items = store.items.frame
        if "sellable" in items.columns:
            items = items.filter(pl.col("sellable"))
        self.frame = (
            items.select("item", "text", "category", "price")
            .join(sold, on="item", how="inner")
            .with_columns(
                pl.coalesce("paid", "price").alias("paid"),
                # "Pastry > Bread > Bread: Italian": items of one type differ in their size alone
                pl.col("category").str.replace(r"^(.+ > .+) > [^>]+$", "${1}"),
            )
            .sort(["sold", "item"], descending=[True, False])
        )
        self.store = store
        self.text = dict(self.frame.select("item", "text").iter_rows())
        self.category: dict[str, str] = dict(self.frame.select("item", "category").iter_rows())

    @property
    def seeds(self) -> list[str]:
        """Items to make modules around: often bought ones, or all where none is."""
        often = self.frame.filter(pl.col("sold") >= LEAST_SOLD)
        return (self.frame if often.is_empty() else often)["item"].to_list()

    def neighbours(self, item: str, size: int, near: Near) -> list[str]:
        """What is bought with an item more than once, or what a trained tool says; nearest first."""
        if near == "co-purchase":
            return fitted(_more_than_once, self.store).neighbours(item, 4 * size).items
        (ranking,) = trained(TOOLS[near], self.store).recommend([Past(session=[item])], 4 * size)
        return ranking.items

    def unlike(self, items: Iterable[str], size: int, beside: Iterable[str] = ()) -> list[str]:
        """The first items of so many different texts; those not for sale are left out.

        Args:
            items: in the order in which they are wanted.
            size: how many at most.
            beside: items whose texts are taken.
        """
        taken, kept = {self.text[item] for item in beside}, dict[str, str]()
        for item in items:
            if len(kept) == size:
                break
            if item in self.text and self.text[item] not in taken:
                kept.setdefault(self.text[item], item)
        return list(kept.values())


def _more_than_once() -> CoPurchase:
    return CoPurchase(least=2)


def _made(shelf: _Shelf, kind: Kind, size: int, dice: random.Random) -> Iterator[list[str]]:
    """Modules around one item after the other; too small ones and doubles among them."""
    seeds = shelf.seeds
    dice.shuffle(seeds)
    if kind == "mixed":
        yield from _mixed(shelf, seeds, size, dice)
        return
    for seed in seeds:
        if kind == "price band":
            yield _band(shelf, seed, size)
        else:
            yield shelf.unlike([seed, *shelf.neighbours(seed, size, kind)], size)


def _band(shelf: _Shelf, seed: str, size: int) -> list[str]:
    """Items of the seed's category, those of the nearest price first."""
    middle = shelf.frame.filter(pl.col("item") == seed)["paid"].item()
    if not shelf.category[seed] or not middle:
        return []
    band = pl.col("paid").is_between(middle / BAND, middle * BAND)
    near = shelf.frame.filter(pl.col("category") == shelf.category[seed], band)
    away = (pl.col("paid").log() - pl.lit(middle).log()).abs()
    return shelf.unlike([seed, *near.sort(away, maintain_order=True)["item"]], size)


def _mixed(
    shelf: _Shelf, seeds: Sequence[str], size: int, dice: random.Random
) -> Iterator[list[str]]:
    """Popular items of two or three categories of different departments, each theme in one piece."""
    for seed in seeds:
        themes = [seed]
        wanted = dice.choice((2, 3))
        for other in dice.sample(seeds, min(len(seeds), 20)):
            taken = {_department(shelf, theme) for theme in themes}
            if len(themes) < min(wanted, size) and _department(shelf, other) not in taken:
                themes.append(other)
        if len(themes) < 2:
            continue
        shares = [size // len(themes) + (n < size % len(themes)) for n in range(len(themes))]
        items: list[str] = []
        for theme, share in zip(themes, shares, strict=True):
            items += shelf.unlike([theme, *_of_category(shelf, theme)], share, beside=items)
        yield items


def _department(shelf: _Shelf, item: str) -> str:
    return shelf.category[item].split(" > ")[0]


def _of_category(shelf: _Shelf, item: str) -> list[str]:
    return shelf.frame.filter(pl.col("category") == shelf.category[item])["item"].to_list()
