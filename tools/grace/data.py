"""From a log to journeys: who did what, in which order of visits, and samples to learn from.

    log = read(items, events, config)
    log.before(journey)                        # what its user did until then

Behaviours: where a log says what a purchase was paid with (`coupon`, `discounted`), they are "regular",
"discount" and "coupon"; else they are the log's own ("view", "cart", "purchase"). A behaviour of less
than a share of `scarce` is a token of histories and is never predicted.

A journey is a session, cut where nothing happens for `gap_minutes`, of at most 64 interactions. What
happens at one time has no order, so interactions are shuffled inside a journey each time they are read.

Sizes: I kept items, R interactions, J journeys, U users, n interactions of a history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.tables import Events, Items
from merchgraph.tools.grace.config import Config
from merchgraph.tools.neighbours import Near, lengths, nearest

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
LONGEST = 64
"""Interactions of a journey."""
PAID = ("regular", "discount", "coupon")
NEAR = 500
"""Neighbours of an item that are kept: those most often in the same journey."""


class Journey(NamedTuple):
    """One visit: item ids and what was done with each; without behaviours, what is usual for it."""

    items: Sequence[str]
    behaviours: Sequence[str] = ()


class History(NamedTuple):
    """What is read of one shopper.

    Attributes:
        item, behaviour: (R,) codes, oldest journey first.
        journey: (R,) 0, 1, 2 ... rising.
    """

    item: Ints
    behaviour: Ints
    journey: Ints


class Later(NamedTuple):
    """What one shopper did from a journey on.

    Attributes:
        item: (R,) codes.
        journey: (R,) 0, 1, 2 ... rising.
        lengths: (I,) Euclidean lengths of the items' columns that cosines are made of.
    """

    item: Ints
    journey: Ints
    lengths: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Goods:
    """Items that can be predicted, and what is known of them.

    Attributes:
        items: (I,) ids, in the catalogue's order.
        column: (I,) int64 in the catalogue.
        counts: (I,) int64 interactions.
        again: (I,) float32 — share of an item's interactions whose shopper had had it before.
        usual: (I,) int64 — its most frequent behaviour.
        behaviours: names, most frequent first.
        predicted: how many of them, from the first, are targets.
        size: interactions of a journey, the mean.
        near: the neighbours of each item.
    """

    items: tuple[str, ...]
    column: Ints
    counts: Ints
    again: Floats
    usual: Ints
    behaviours: tuple[str, ...]
    predicted: int
    size: float
    near: Near


@dataclass(frozen=True, eq=False)
class Log:
    """Interactions in order of user and journey.

    Attributes:
        goods: what the codes mean.
        item, behaviour: (R,) int64.
        starts: (J + 1,) int64 — journey j is starts[j] to starts[j + 1].
        user: (J,) int64.
        first: (J,) int64 — the first journey of its user.
    """

    goods: Goods
    item: Ints
    behaviour: Ints
    starts: Ints
    user: Ints
    first: Ints

    def before(self, journey: int) -> History:
        """What the user of a journey did before it."""
        first = self.first[journey]
        begin, end = self.starts[first], self.starts[journey]
        sizes = np.diff(self.starts[first : journey + 1])
        number = np.repeat(np.arange(journey - first), sizes)
        return History(self.item[begin:end], self.behaviour[begin:end], number)

    def later(self, journey: int) -> Later:
        """What the user of a journey did from it on."""
        last = np.searchsorted(self.user, self.user[journey], side="right")
        rows = slice(self.starts[journey], self.starts[last])
        sizes = np.diff(self.starts[journey : last + 1])
        return Later(self.item[rows], np.repeat(np.arange(last - journey), sizes), self.lengths)

    @cached_property
    def lengths(self) -> NDArray[np.float64]:
        """(I,) see `Later`."""
        return lengths(self.item, self.starts, len(self.goods.items))

    def targets(self, journey: int) -> tuple[Ints, Ints]:
        """Items and behaviours of a journey, without behaviours that are not predicted."""
        rows = slice(self.starts[journey], self.starts[journey + 1])
        kept = self.behaviour[rows] < self.goods.predicted
        return self.item[rows][kept], self.behaviour[rows][kept]

    @property
    def samples(self) -> Ints:
        """Journeys with an earlier one of the same user and something to predict."""
        wanted = self.behaviour < self.goods.predicted
        sums = np.concatenate([[0], np.cumsum(wanted)])
        some = sums[self.starts[1:]] > sums[self.starts[:-1]]
        return np.flatnonzero(some & (self.first < np.arange(len(self.first))))


def read(items: Items, events: Events, config: Config) -> Log:
    """The journeys of a log; items of fewer than `least` events are left out.

    Raises:
        SetupError: SciPy is not installed.
    """
    frame = told(events.frame)
    counts = frame.group_by("item").len("count").filter(pl.col("count") >= config.least)
    kept = items.frame.with_row_index("column").join(
        counts, on="item", how="semi", maintain_order="left"
    )
    columns = kept.select("item", pl.int_range(pl.len()).alias("code"))
    frame = frame.join(columns, on="item", how="inner", maintain_order="left")
    names, predicted = _behaviours(frame, config)
    frame = _journeys(frame, config.gap_minutes)
    number = {name: code for code, name in enumerate(names)}
    codes = frame["code"].to_numpy().astype(np.int64)
    done = frame["behaviour"].replace_strict(number, default=0, return_dtype=pl.Int64).to_numpy()
    journey = frame["journey"].to_numpy().astype(np.int64)
    starts = np.searchsorted(journey, np.arange(int(journey.max(initial=-1)) + 2))
    heads = frame["user"].rle_id().to_numpy().astype(np.int64)[starts[:-1]]
    goods = Goods(
        items=tuple(kept["item"]),
        column=kept["column"].to_numpy().astype(np.int64),
        counts=np.bincount(codes, minlength=len(kept)).astype(np.int64),
        again=_again(frame, len(kept)),
        usual=_usual(codes, done, len(kept), len(names)),
        behaviours=names,
        predicted=predicted,
        size=float(np.diff(starts).mean()) if len(starts) > 1 else 1.0,
        near=nearest(codes, starts, len(kept), NEAR),
    )
    first = np.searchsorted(heads, heads)
    return Log(goods, codes, done.astype(np.int64), starts.astype(np.int64), heads, first)


def told(frame: pl.DataFrame) -> pl.DataFrame:
    """user, session, time, item and behaviour of a log, each once a session and behaviour."""
    what = pl.col("behaviour")
    if {"coupon", "discounted"} <= set(frame.columns):
        with_coupon = pl.col("coupon").fill_null(False)
        paid = pl.when(pl.col("discounted").fill_null(False)).then(pl.lit(PAID[1]))
        paid_how = (
            pl.when(with_coupon).then(pl.lit(PAID[2])).otherwise(paid.otherwise(pl.lit(PAID[0])))
        )
        what = pl.when(what == "purchase").then(paid_how).otherwise(what)
    return frame.select("user", "session", "time", "item", what.alias("behaviour")).unique(
        ["user", "session", "item", "behaviour"], keep="first", maintain_order=True
    )


def _behaviours(frame: pl.DataFrame, config: Config) -> tuple[tuple[str, ...], int]:
    """Names, most frequent first, and how many of them are predicted; one name if none are told."""
    if not config.behaviours:
        return ("any",), 1
    counts = frame.group_by("behaviour").len("count").sort("count", "behaviour", descending=True)
    if not counts.height:
        return ("any",), 1
    often = counts["count"] >= config.scarce * frame.height
    return tuple(counts["behaviour"]), int(often.sum())


def _journeys(frame: pl.DataFrame, gap_minutes: float) -> pl.DataFrame:
    """The log in order of journeys, with their numbers."""
    began = pl.col("time").min().over("user", "session").alias("began")
    frame = frame.with_columns(began).sort("user", "began", "session", "time", maintain_order=True)
    pause = pl.col("time").diff().dt.total_seconds() > gap_minutes * 60
    changed = (pl.struct("user", "session") != pl.struct("user", "session").shift()).fill_null(True)
    frame = frame.with_columns((changed | pause.fill_null(False)).cum_sum().alias("visit"))
    inside = pl.int_range(pl.len()).over("visit") // LONGEST
    frame = frame.with_columns(inside.alias("part"))
    journey = pl.struct("visit", "part").rle_id().cast(pl.Int64).alias("journey")
    return frame.with_columns(journey)


def _again(frame: pl.DataFrame, items: int) -> Floats:
    """(I,) share of interactions that came after an earlier journey with the item, shrunk to the mean."""
    seen = frame.unique(["user", "code", "journey"], maintain_order=True)
    counts = seen.group_by("code").agg(pl.len(), pl.col("user").n_unique().alias("users"))
    table = np.zeros((2, items))
    table[:, counts["code"].to_numpy()] = counts.select("len", "users").to_numpy().T
    times, users = table
    mean = 1 - users.sum() / max(1.0, times.sum())
    return np.asarray((times - users + 20 * mean) / (times + 20), np.float32)


def _usual(codes: Ints, done: Ints, items: int, names: int) -> Ints:
    table = np.bincount(codes * names + done, minlength=items * names).reshape(items, names)
    return np.asarray(table.argmax(1), np.int64)


def past(goods: Goods, journeys: Sequence[Journey]) -> History:
    """The history of a shopper who is told of; items that were not learned are left out.

    Raises:
        SetupError: behaviours of other number than items, or one that the log did not have.
    """
    column = {item: code for code, item in enumerate(goods.items)}
    rows = []
    for journey in journeys:
        known = _codes_of(goods, journey)
        kept = [(column[item], code) for item, code in zip(journey.items, known, strict=True)
                if item in column]  # fmt: skip
        if kept:
            rows.append(kept)
    flat = np.array([pair for row in rows for pair in row], np.int64).reshape(-1, 2)
    number = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    usual = np.where(flat[:, 1] < 0, goods.usual[flat[:, 0]], flat[:, 1])
    return History(flat[:, 0], usual, number.astype(np.int64))


def _codes_of(goods: Goods, journey: Journey) -> list[int]:
    """Of each item its behaviour, -1 for the usual one."""
    if len(goods.behaviours) == 1 or not journey.behaviours:
        return [-1] * len(journey.items)
    if len(journey.behaviours) != len(journey.items):
        raise SetupError(
            f"A journey has {len(journey.items)} items and {len(journey.behaviours)} behaviours; "
            f"give one each, or none."
        )
    for name in journey.behaviours:
        if name not in goods.behaviours:
            raise SetupError(
                f"The behaviour {name!r} was not learned; there are {', '.join(goods.behaviours)}."
            )
    return [goods.behaviours.index(name) for name in journey.behaviours]
