"""The two tables of a shop, `Items` and `Events`, and the `Shop` that ties them.

A table is checked when it is made: a bad cell is a DataError that names column, row and remedy,
where rows are counted from 1 in the frame's given order.

    items = Items(pl.DataFrame({"item": ["a"], "title": ["Oat milk"], "category": ["Dairy"]}))
    items.row("a").text                                   # 'Oat milk. Dairy'
    Shop("mine", items, events).history("7")[-1].items    # the user's last basket
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import polars as pl
from pydantic import BaseModel, ConfigDict

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.data.checks import (
    ROW,
    examples,
    instead,
    quoted,
    reject,
    reject_blank,
    reject_price,
    require_columns,
    typed,
)

ITEM_COLUMNS = ("item", "title", "category", "brand", "price", "seller", "image", "text")
EVENT_COLUMNS = ("user", "session", "time", "behaviour", "item", "price", "quantity")


class Item(BaseModel):
    """One row of a catalogue: what agents and prompts may know of an item."""

    model_config = ConfigDict(frozen=True)

    item: str
    title: str
    category: str
    brand: str | None
    price: float | None
    text: str


class Basket(BaseModel):
    """One session of one user: its items in the log's order, at the time of its first event."""

    model_config = ConfigDict(frozen=True)

    session: str
    time: datetime
    items: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Items:
    """A catalogue.

    Columns of `frame`, then any extra ones:
        item: text, unique, not blank; integers are turned into text.
        title: text, not blank.
        category: path "Department > Category > Type", "" if unknown.
        brand, seller, image: text or null.
        price: typical unit price in the shop's currency, 0 or more, or null.
        text: what models and embedders read; made of title, category, brand and, where there is
            one, the extra column `size` when it is missing or null.

    Only `item` and `title` must be given.

    Raises:
        DataError: a column is missing or has the wrong type, or a cell breaks the rules above.
    """

    frame: pl.DataFrame

    def __post_init__(self) -> None:
        require_columns(self.frame.columns, ("item", "title"), table="items")
        frame = typed(self.frame, ITEM_COLUMNS, numbers=("price",), table="items")
        reject_blank(frame, ("item", "title"), table="items")
        reject_price(frame, table="items")
        twice = "an item has one row; leave out the others"
        reject(frame, ~pl.col("item").is_first_distinct(), "item", twice, table="items")
        frame = frame.with_columns(pl.col("category").fill_null(""))
        size = [pl.col("size").cast(pl.String)] if "size" in frame.columns else []
        parts = [pl.col("title"), pl.col("category"), pl.col("brand"), *size]
        derived = pl.concat_str(
            [pl.when(part != "").then(part) for part in parts], separator=". ", ignore_nulls=True
        )
        frame = frame.with_columns(pl.coalesce("text", derived).alias("text"))
        object.__setattr__(self, "frame", frame.drop(ROW, strict=False))

    def __len__(self) -> int:
        return self.frame.height

    def __contains__(self, item: object) -> bool:
        return item in self._rows

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {item: row for row, item in enumerate(self.frame["item"].to_list())}

    @cached_property
    def _facts(self) -> pl.DataFrame:
        return self.frame.select(*Item.model_fields)

    def row(self, item: str) -> Item:
        """One item.

        Raises:
            SetupError: the catalogue does not have it.
        """
        if item not in self._rows:
            known = list(self._rows)
            raise SetupError(
                f"The item {item!r} is not in the catalogue ({examples(known, 'item')}); "
                f"{instead(item, known)}"
            )
        return Item(**self._facts.row(self._rows[item], named=True))

    def get(self, items: Iterable[str]) -> list[Item]:
        """The items in the order asked for.

        Raises:
            SetupError: the catalogue does not have one of them.
        """
        return [self.row(item) for item in items]


@dataclass(frozen=True, eq=False)
class Events:
    """A log of events, in order of user and time.

    Columns of `frame`, then any extra ones:
        user, session, behaviour, item: text, not blank; integers are turned into text.
        time: Datetime in microseconds without a time zone: the shop's local time, never null.
        price: unit price paid in the shop's currency, 0 or more, or null.
        quantity: units, negative for returns, or null.

    `price` and `quantity` may be left out. Rows of the same user and time keep their given order. A
    log without rows is valid: a split may make one.

    Raises:
        DataError: a column is missing or has the wrong type, or a cell breaks the rules above.
    """

    frame: pl.DataFrame

    def __post_init__(self) -> None:
        require_columns(self.frame.columns, EVENT_COLUMNS[:5], table="events")
        dtype = self.frame.schema["time"]
        if not isinstance(dtype, pl.Datetime) or dtype.time_zone is not None:
            raise DataError(
                f"events: column 'time' has the type {dtype}, but a Datetime without time zone is "
                f"expected; parse it, or take off its zone with dt.replace_time_zone(None)."
            )
        numbers = ("price", "quantity")
        frame = typed(self.frame, EVENT_COLUMNS, numbers=numbers, table="events")
        never = "every event needs a time; fill the cell or leave the row out"
        reject(frame, pl.col("time").is_null(), "time", never, table="events")
        reject_blank(frame, ("user", "session", "behaviour", "item"), table="events")
        reject_price(frame, table="events")
        frame = frame.drop(ROW, strict=False)
        if not _in_order(frame):
            frame = frame.sort("user", "time", maintain_order=True)
        object.__setattr__(self, "frame", frame)

    def __len__(self) -> int:
        return self.frame.height

    @cached_property
    def _spans(self) -> dict[str, tuple[int, int]]:
        runs = self.frame.select(pl.col("user").rle().alias("run")).unnest("run")
        starts = runs.with_columns(pl.col("len").cum_sum().shift(1, fill_value=0).alias("start"))
        return {user: (start, size) for size, user, start in starts.iter_rows()}

    @property
    def users(self) -> tuple[str, ...]:
        """Every user of the log once, in the order of the table (sorted as text)."""
        return tuple(self._spans)

    def of(self, user: str) -> pl.DataFrame:
        """The user's events in time order, as a slice of the table; no rows for an unknown user."""
        start, size = self._spans.get(user, (0, 0))
        return self.frame.slice(start, size)


@dataclass(frozen=True, eq=False)
class Shop:
    """A catalogue and a log with the same item ids.

    An event whose item is not in the catalogue stays in `events`, is counted in `unknown_items` and
    is left out of `history`, so that every item of a history can be looked up.

    Attributes:
        name: what people and traces call the shop.
        extras: other tables of the shop by name (coupons, promotions), most of them lazy.
        fingerprint: changes when the source data or its loader changes; "" if unknown.

    Raises:
        DataError: a table has no rows, or no event has an item of the catalogue.
    """

    name: str
    items: Items
    events: Events
    extras: Mapping[str, pl.LazyFrame | pl.DataFrame] = field(default_factory=dict)
    fingerprint: str = ""

    def __post_init__(self) -> None:
        for table, rows in (("catalogue", len(self.items)), ("log", len(self.events))):
            if not rows:
                raise DataError(f"The {table} of {self.name} has no rows; give at least one.")
        if self.unknown_items == len(self.events):
            raise DataError(
                f"No event of {self.name} has an item of its catalogue: the log has "
                f"{quoted(self.events.frame['item'].head(2))}, the catalogue "
                f"{quoted(self.items.frame['item'].head(2))}; map the same id in both."
            )

    @cached_property
    def unknown_items(self) -> int:
        """How many event rows have an item that the catalogue lacks."""
        counts = self.events.frame.group_by("item").len()
        unknown = counts.join(self.items.frame.select("item"), on="item", how="anti")
        return int(unknown["len"].sum())

    def history(self, user: str, before: datetime | None = None) -> list[Basket]:
        """The user's baskets in time order, made of the events earlier than `before` only.

        Raises:
            SetupError: the log does not have the user, or has nothing of them before that time, or
                `before` has a time zone.
        """
        events = self.events.of(user)
        if events.is_empty():
            users = self.events.users
            raise SetupError(
                f"The user {user!r} is not in {self.name} ({examples(users, 'user')}); "
                f"{instead(user, users)}"
            )
        if before is not None:
            events = events.filter(pl.col("time") < local(before))
        known = pl.Series([item in self.items for item in events["item"]], dtype=pl.Boolean)
        baskets = (
            events.filter(known)
            .group_by("session", maintain_order=True)
            .agg(pl.col("time").min(), pl.col("item").alias("items"))
        )
        if baskets.is_empty():
            first = self.events.of(user)["time"][0]
            raise SetupError(
                f"The user {user!r} of {self.name} has no basket of known items before "
                f"{before or 'now'} (the first event is at {first}); choose a later time or "
                f"another user."
            )
        return [Basket(**basket) for basket in baskets.iter_rows(named=True)]


def _in_order(frame: pl.DataFrame) -> bool:
    user, time = pl.col("user"), pl.col("time")
    later = (user > user.shift()) | ((user == user.shift()) & (time >= time.shift()))
    return bool(frame.select(later.all()).item())


def local(time: datetime) -> datetime:
    """The time itself.

    Raises:
        SetupError: it has a time zone; a log's times are local and have none.
    """
    if time.tzinfo is not None:
        raise SetupError(
            f"The time {time} has a time zone, but a shop's times are local; "
            f"give it without one: datetime({time.year}, {time.month}, {time.day})."
        )
    return time
