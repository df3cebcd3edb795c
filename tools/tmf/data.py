"""A shop's log as questions: what a household did, and which of 20 items it took next.

    kept = goods(store.items, store.events, end, config)
    past = log(store.events, kept)
    drawn = questions(past, kept, Draw(start, end, many=400), config)

A behaviour is what the log calls it; where its rows say how a purchase was priced (columns `coupon` and
`discounted`), the behaviour is "coupon", "discount" or "regular". Candidates of a question have different
labels, since a label is all that a language model reads of them. A random slate is drawn evenly from the
goods, a hard one from the goods of the target's category nearest in price. What else was in the target's
basket is no candidate, since it would be right as well.

Sizes: I goods, N rows of the log, P rows of a trail, H items of a history, C candidates, K behaviours.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from merchgraph.tools.data.tables import Events
from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.goods import Goods

DAY_US = 86_400_000_000
TARGET_SHARE = 0.05
"""Of the rows of a log: what is rarer is told in a history, but never asked for."""
ORDER = ("view", "cart", "remove", "purchase", "regular", "discount", "coupon")
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Kind = Literal["random", "hard"]
KINDS: tuple[Kind, ...] = ("random", "hard")


class Trail(NamedTuple):
    """What one household did, oldest first.

    Attributes:
        items, behaviours: (P,) int64 codes.
        baskets: (P,) int64 — rising; rows of one basket have no order.
    """

    items: Ints
    behaviours: Ints
    baskets: Ints

    def latest(self, size: int) -> tuple[Ints, Ints]:
        """The (H,) items met last and what was done with each last, oldest first.

        Of items met in the same basket, those met most often before are the later ones.
        """
        items, place, counts = np.unique(self.items[::-1], return_index=True, return_counts=True)
        place = len(self.items) - 1 - place
        order = np.lexsort((place, counts, self.baskets[place]))[-size:]
        return items[order], self.behaviours[place[order]]


class Question(NamedTuple):
    """One question.

    Attributes:
        user: code of the household.
        trail: what is known.
        asked: code of the behaviour that is asked for.
        slate: (C,) int64 — candidates.
        right: (C,) bool — those that came true.
        kind: how the others were drawn.
    """

    user: int
    trail: Trail
    asked: int
    slate: Ints
    right: NDArray[np.bool_]
    kind: Kind


class Log:
    """Events of the goods, household by household, oldest first.

    Attributes:
        users: ids of the households.
        behaviours: (K,) their names.
        user, item, behaviour, basket: (N,) int64 codes.
        day: (N,) float64 — days since 1970-01-01.
    """

    def __init__(self, frame: pl.DataFrame, behaviours: tuple[str, ...]) -> None:
        self.behaviours = behaviours
        self.users: tuple[str, ...] = tuple(frame["user"].unique(maintain_order=True))
        code = {name: n for n, name in enumerate(self.users)}
        self.user = _ints(frame["user"].replace_strict(code, return_dtype=pl.Int64))
        self.item = _ints(frame["column"])
        names = {name: n for n, name in enumerate(behaviours)}
        self.behaviour = _ints(frame["did"].replace_strict(names, return_dtype=pl.Int64))
        self.basket = _ints(frame.select(pl.struct("user", "session").rle_id())["user"])
        self.day: Floats = frame["time"].dt.epoch("us").to_numpy() / DAY_US

    @cached_property
    def starts(self) -> Ints:
        """(B + 1,) first row of each basket, and N."""
        return np.append(np.flatnonzero(np.diff(self.basket, prepend=-1)), len(self.basket))

    @cached_property
    def first(self) -> Ints:
        """(users,) first row of each household."""
        return np.flatnonzero(np.diff(self.user, prepend=-1))

    def trail(self, user: int, until: int) -> Trail:
        """A household's rows before row `until`."""
        rows = slice(int(self.first[user]), until)
        return Trail(self.item[rows], self.behaviour[rows], self.basket[rows])

    def targets(self, end: float) -> Ints:
        """Behaviours that are asked for: those with a share of the rows before a day."""
        counts = np.bincount(self.behaviour[self.day < end], minlength=len(self.behaviours))
        named = np.array([name not in ("view", "remove") for name in self.behaviours], dtype=bool)
        common = counts >= TARGET_SHARE * counts.sum()
        return np.flatnonzero(common & (named if (common & named).any() else True))


class Draw(NamedTuple):
    """Which questions are asked.

    Attributes:
        start, end: days between which the target's basket lies.
        many: how many; fewer where there are fewer baskets.
        positives: most right candidates of one.
        kinds: of slate, in turn.
        each: whether a household is asked once, about its first basket.
        seed: of all that is drawn.
    """

    start: float
    end: float
    many: int
    positives: int = 1
    kinds: tuple[Kind, ...] = KINDS
    each: bool = False
    seed: int = 0


def log(events: Events, kept: Goods, behaviours: tuple[str, ...] = ()) -> Log:
    """The events of the goods, each item once per session and behaviour.

    Args:
        events: of a shop.
        kept: the goods.
        behaviours: those that count, in the order of their codes; none: all, in an order of their own.
    """
    columns = pl.DataFrame({"item": pl.Series(kept.items, dtype=pl.String)}).with_row_index(
        "column"
    )
    frame = events.frame.with_columns(_did(events.frame).alias("did"))
    frame = frame.select("user", "session", "time", "item", "did").join(
        columns, on="item", maintain_order="left"
    )
    frame = frame.unique(["user", "session", "item", "did"], keep="first", maintain_order=True)
    starts = frame.group_by("user", "session", maintain_order=True).agg(
        pl.col("time").min().alias("begun")
    )
    # sessions may overlap in time; a trail has one after the other
    frame = frame.join(starts, on=["user", "session"], maintain_order="left")
    frame = frame.sort("user", "begun", "session", maintain_order=True)
    if behaviours:
        return Log(frame.filter(pl.col("did").is_in(behaviours)), behaviours)
    met = set(frame["did"].unique())
    return Log(frame, (*(n for n in ORDER if n in met), *sorted(met - set(ORDER))))


def questions(past: Log, kept: Goods, draw: Draw, config: Config) -> list[Question]:
    """Questions about baskets between two days, by the draw's seed.

    A basket without a row of an asked behaviour, or of a household without a trail, asks nothing.
    """
    rng = np.random.default_rng((draw.seed, 17))
    asked = past.targets(draw.start)
    found: list[Question] = []
    for basket in _baskets(past, draw, rng):
        if len(found) == draw.many:
            break
        kind = draw.kinds[len(found) % len(draw.kinds)]
        # of its own per basket: the same target, whatever else is drawn
        mine = np.random.default_rng((draw.seed, 19, basket))
        one = _question(past, kept, basket, asked, (draw, kind), config, mine)
        if one:
            found.append(one)
    return found


def behaviour_of(past: Log, goods_: int, end: float) -> Ints:
    """(I,) what is done with each item most often before a day; 0 where nothing was."""
    table = np.zeros((goods_, max(1, len(past.behaviours))), np.int64)
    rows = past.day < end
    np.add.at(table, (past.item[rows], past.behaviour[rows]), 1)
    return np.asarray(table.argmax(axis=1), np.int64)


def _baskets(past: Log, draw: Draw, rng: np.random.Generator) -> Iterator[int]:
    """Baskets of the time, in an order that is drawn."""
    starts = past.starts[:-1]
    inside = np.flatnonzero((past.day[starts] >= draw.start) & (past.day[starts] < draw.end))
    inside = inside[starts[inside] > past.first[past.user[starts[inside]]]]
    if draw.each:
        _, first = np.unique(past.user[starts[inside]], return_index=True)
        inside = inside[first]
    yield from rng.permutation(inside).tolist()


def _question(
    past: Log,
    kept: Goods,
    basket: int,
    asked: Ints,
    how: tuple[Draw, Kind],
    config: Config,
    rng: np.random.Generator,
) -> Question | None:
    draw, kind = how
    start, end = int(past.starts[basket]), int(past.starts[basket + 1])
    items, did = past.item[start:end], past.behaviour[start:end]
    rows = np.flatnonzero(np.isin(did, asked))
    if not len(rows):
        return None
    behaviour = int(did[rng.choice(rows)])
    chosen = rng.permutation(items[did == behaviour])
    right = kept.distinct(chosen, draw.positives)
    others = kept.others(right, set(items.tolist()), config.slate - len(right), kind, rng)
    slate = np.concatenate([right, others])
    order = rng.permutation(len(slate))
    user = int(past.user[start])
    truth = np.arange(len(slate)) < len(right)
    return Question(user, past.trail(user, start), behaviour, slate[order], truth[order], kind)


def _did(frame: pl.DataFrame) -> pl.Expr:
    if not {"coupon", "discounted"} <= set(frame.columns):
        return pl.col("behaviour")
    priced = (
        pl.when(pl.col("coupon"))
        .then(pl.lit("coupon"))
        .when(pl.col("discounted"))
        .then(pl.lit("discount"))
        .otherwise(pl.lit("regular"))
    )
    return pl.when(pl.col("behaviour") == "purchase").then(priced).otherwise("behaviour")


def _ints(column: pl.Series) -> Ints:
    return np.asarray(column.to_numpy(), np.int64)
