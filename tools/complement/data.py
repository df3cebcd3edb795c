"""From a shop's log to arrays: baskets of kept items, tokens of items and users.

    log = read(store.items, train, config, facts(store))
    log.items[log.rows[log.ends[4]]]            # the first item of basket 4

Sizes: I kept items, N users, B baskets, R rows, W item tokens, X user tokens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from merchgraph.runtime.errors import DataError
from merchgraph.tools.complement.config import Config, Source
from merchgraph.tools.contract import PURCHASE
from merchgraph.tools.data.tables import Events, Items, Shop

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
BINS = 10
"""Price tokens: equally many items each."""
RARE, PLAIN = 5, 0.05
"""Words in fewer titles than the one, or in a greater share of all than the other, are no tokens: our
choice, the paper does not say."""
WORD = re.compile(r"[^\W\d_]{2,}")


class Tokens(NamedTuple):
    """Which tokens each thing carries: thing n has of[ends[n]:ends[n + 1]], numbers into `names`."""

    names: tuple[str, ...]
    of: Ints
    ends: Longs

    @classmethod
    def made(cls, told: list[list[str]], *, least: int = 1) -> Self:
        """Number what is told of each thing; tokens of fewer things than `least` are left out."""
        lists = [list(dict.fromkeys(names)) for names in told]
        count: dict[str, int] = {}
        for names in lists:
            for name in names:
                count[name] = count.get(name, 0) + 1
        number = {name: n for n, name in enumerate(sorted(n for n in count if count[n] >= least))}
        kept = [[number[name] for name in names if name in number] for names in lists]
        ends = np.concatenate([[0], np.cumsum([len(one) for one in kept])]).astype(np.int64)
        flat = [token for one in kept for token in one]
        return cls(tuple(number), np.array(flat, dtype=np.int32), ends)

    def row(self, thing: int) -> Ints:
        """The tokens of one thing."""
        return self.of[self.ends[thing] : self.ends[thing + 1]]

    def none(self) -> Self:
        """The same things, without a token."""
        return type(self)((), self.of[:0], np.zeros_like(self.ends))


@dataclass(frozen=True, eq=False)
class Log:
    """Baskets of distinct kept items, in order of their time.

    Attributes:
        items: (I,) ids, in the catalogue's order.
        users: (N,) ids; the first, "", stands for all who have a single basket.
        rows: (R,) int32 items of the baskets, one after the other.
        ends: (B + 1,) int64; basket b is rows[ends[b]:ends[b + 1]].
        user_of: (B,) int32.
        tokens: of items.
        user_tokens: of users.
    """

    items: tuple[str, ...]
    users: tuple[str, ...]
    rows: Ints
    ends: Longs
    user_of: Ints
    tokens: Tokens
    user_tokens: Tokens

    @property
    def counts(self) -> Longs:
        """(I,) in how many baskets each item is."""
        return np.bincount(self.rows, minlength=len(self.items)).astype(np.int64)

    @property
    def observations(self) -> int:
        """Targets with a history, in one pass."""
        sizes = np.diff(self.ends)
        return int(np.maximum(sizes - 1, 0).sum())


def facts(store: Shop) -> pl.DataFrame | None:
    """The table of a shop that tells of its users, one row each, if it has one."""
    table = store.extras.get("demographics")
    return table.lazy().collect() if table is not None else None


def read(items: Items, events: Events, config: Config, told: pl.DataFrame | None = None) -> Log:
    """The purchases of a log; an item counts once a basket. A log without purchases counts whole.

    Args:
        items: the catalogue.
        events: nothing of the test in it.
        config: `least`, `tokens` and `user_columns` are looked at.
        told: a row of texts per user.

    Raises:
        DataError: a column of `user_columns` is not in the log.
    """
    frame, known = purchases(events.frame), _known(items, events)
    often = known.group_by("item").len("bought")
    counted = items.frame.join(often, on="item", how="left", maintain_order="left")
    kept = counted.filter(pl.col("bought").fill_null(0) >= config.least)
    columns = kept.select("item").with_row_index("column")
    baskets = (
        known.join(columns, on="item", maintain_order="left", how="inner")
        .group_by("user", "session", maintain_order=True)
        .agg(pl.col("time").min(), pl.col("column"))
        .sort("time", maintain_order=True)
    )
    returning = baskets.group_by("user").len().filter(pl.col("len") > 1)["user"].sort().to_list()
    users = ("", *returning)
    number = {user: n for n, user in enumerate(users)}
    sizes = baskets["column"].list.len().to_numpy()
    return Log(
        items=tuple(kept["item"]),
        users=users,
        rows=baskets["column"].explode(empty_as_null=False).to_numpy().astype(np.int32),
        ends=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        user_of=np.array([number.get(user, 0) for user in baskets["user"]], dtype=np.int32),
        tokens=item_tokens(kept, config.tokens),
        user_tokens=_user_tokens(users, frame, config.user_columns, told),
    )


def most_bought(items: Items, events: Events) -> int:
    """In how many baskets the most frequent item of the catalogue is; 0 if none was bought."""
    most = _known(items, events)["item"].value_counts()["count"].max()
    return most if isinstance(most, int) else 0


def _known(items: Items, events: Events) -> pl.DataFrame:
    """The purchases of items of the catalogue, each once a basket."""
    return (
        purchases(events.frame)
        .unique(["user", "session", "item"], maintain_order=True)
        .join(items.frame.select("item"), on="item", how="semi", maintain_order="left")
    )


def purchases(frame: pl.DataFrame) -> pl.DataFrame:
    """The purchases of a log, or all of one that has none."""
    bought = frame.filter(pl.col("behaviour") == PURCHASE)
    return bought if bought.height else frame


def item_tokens(items: pl.DataFrame, sources: tuple[Source, ...]) -> Tokens:
    """The context tokens of some rows of a catalogue, each with its kind in front: "brand=Acme"."""
    told: list[list[str]] = [[] for _ in range(items.height)]
    prices = items["price"].rank("ordinal").to_list()
    priced = max(1, items.height - items["price"].null_count())
    words = _words(items["title"].to_list()) if "words" in sources else [[]] * items.height
    columns = zip(items["category"], items["brand"], items["seller"], prices, words, strict=True)
    for row, (path, brand, seller, rank, title) in zip(told, columns, strict=True):
        levels = [part for part in path.split(" > ") if part]
        row += [f"level {n}={part}" for n, part in enumerate(levels) if "category" in sources]
        row += [f"brand={brand}"] * (brand is not None and "brand" in sources)
        row += [f"seller={seller}"] * (seller is not None and "seller" in sources)
        if rank is not None and "price" in sources:
            row.append(f"price={int((rank - 1) * BINS // priced)}")
        row += [f"word={word}" for word in title]
    return Tokens.made(told)


def _words(titles: list[str]) -> list[list[str]]:
    lists = [list(dict.fromkeys(WORD.findall(title.lower()))) for title in titles]
    count: dict[str, int] = {}
    for words in lists:
        for word in words:
            count[word] = count.get(word, 0) + 1
    most = PLAIN * len(titles)
    return [[word for word in words if RARE <= count[word] <= most] for words in lists]


def _user_tokens(
    users: tuple[str, ...],
    frame: pl.DataFrame,
    columns: tuple[str, ...],
    told: pl.DataFrame | None,
) -> Tokens:
    for column in columns:
        if column not in frame.columns:
            raise DataError(
                f"events: there is no column {column!r} to tell of users by; there are "
                f"{', '.join(frame.columns)}: name one of those in user_columns."
            )
    found: dict[str, list[str]] = {user: [] for user in users}
    firsts = frame.group_by("user").agg(pl.col(column).first() for column in columns)
    for table in (firsts, told):
        if table is None:
            continue
        for row in table.iter_rows(named=True):
            if row["user"] in found:
                found[row["user"]] += [f"{name}={value}" for name, value in row.items()
                                       if name != "user" and value is not None]  # fmt: skip
    return Tokens.made([found[user] for user in users])
