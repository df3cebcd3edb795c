"""All that a trained tool knows, how it is learned, and the arrays that a file keeps of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.checkpoint import as_bytes, as_texts, sizes_of
from merchgraph.tools.complement.blend import PRIOR, SIGNALS, Doubles, Signals, weigh
from merchgraph.tools.complement.config import Config
from merchgraph.tools.complement.data import Log, read
from merchgraph.tools.complement.holdout import Case, Placed, cases, placed
from merchgraph.tools.complement.model import Model, Sums
from merchgraph.tools.data.splits import split_at
from merchgraph.tools.data.tables import Events, Items
from merchgraph.tools.neighbours import Near, nearest

MOST = 3_000
"""Baskets of the last days that are looked at. The card's figures are of half of them, under weights of
the other half; then the blend is weighed on all."""
Progress = Callable[[int, int, str], None]


def quiet(done: int, total: int, told: str) -> None:
    """Tell nobody."""


class Figures(NamedTuple):
    """How often the item taken out is found in the last days; NaN without a basket."""

    baskets: int
    ndcg_blend: float
    ndcg_basket: float
    hit_blend: float
    hit_basket: float


class Where(NamedTuple):
    """How far a training is.

    Attributes:
        step: passes done, over both logs.
        model: of the log that is under way.
        weights, figures: of the blend, once it is weighed.
        weighed: whether it is; the model is then that of the whole log.
        sums: of the passes that are under way.
    """

    step: int
    model: Model
    weights: Doubles
    figures: Figures
    weighed: bool = False
    sums: Sums = MappingProxyType({})


FORM = {
    "weights": "S:f", "items": ":u", "users": ":u", "token_names": ":u", "item_in": "IP:f",
    "item_out": "IP:f", "item_for_user": "IQ:f", "user": "NQ:f", "token": "WP:f",
    "user_token": "VQ:f", "token_counts": "W:i", "counts": "I:i", "near_items": "IK:i",
    "near_cosines": "IK:f",
}  # fmt: skip
"""What a file of the tool holds, see `checkpoint.sizes_of`."""


class Memory(Protocol):
    """Keeps a training that may be stopped."""

    def recall(self) -> Where | None:
        """What was kept; None at the beginning."""

    def keep(self, where: Where) -> None:
        """Keep it in place of what was there."""


@dataclass(frozen=True, eq=False)
class Learned:
    """A trained tool.

    Attributes:
        config: what it was trained with.
        items: (I,) ids, the columns.
        users: (N,) ids; the first, "", is all unknown ones.
        token_names: (W,) of items.
        token_counts: (W,) items that carry each.
        counts: (I,) baskets that hold each.
        model, near, weights: embedding, neighbours and blend.
    """

    config: Config
    items: tuple[str, ...]
    users: tuple[str, ...]
    token_names: tuple[str, ...]
    token_counts: NDArray[np.int64]
    counts: NDArray[np.int64]
    model: Model
    near: Near
    weights: Doubles

    @property
    def signals(self) -> Signals:
        """What scores are made of."""
        return Signals(self.model, self.near, np.log1p(self.counts.astype(np.float64)))

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The arrays that a file keeps; `of` reads them."""
        texts = {"items": self.items, "users": self.users, "token_names": self.token_names}
        return {
            **self.model.tensors(),
            **{name: as_bytes(value) for name, value in texts.items()},
            "near_items": self.near.items, "near_cosines": self.near.cosines,
            "token_counts": self.token_counts, "counts": self.counts, "weights": self.weights,
        }  # fmt: skip

    @classmethod
    def of(cls, tensors: dict[str, NDArray[Any]], config: Config) -> Self:
        """What `tensors` was made from.

        Raises:
            DataError: the blend of another version, which weighed other signals.
            ValueError: what does not fit together.
        """
        sizes = sizes_of(tensors, FORM if config.dual else FORM | {"item_out": FORM["item_in"]})
        if len(tensors["weights"]) != len(SIGNALS):
            raise DataError(
                f"The model weighs {len(tensors['weights'])} signals, but this version has "
                f"{len(SIGNALS)}; make it anew: merchgraph train complement"
            )
        items, users, names = (
            tuple(as_texts(tensors[name])) for name in ("items", "users", "token_names")
        )
        told = {"I": len(items), "N": len(users), "W": len(names)}
        if any(sizes[letter] != size for letter, size in told.items()):
            raise ValueError(f"there are {told} of names, but {sizes} of tensors")
        if tensors["near_items"].size and tensors["near_items"].max() >= len(items):
            raise ValueError("'near_items' names an item beyond the last")
        return cls(
            config, items, users, names, tensors["token_counts"], tensors["counts"],
            Model.of(tensors, config), Near(tensors["near_items"], tensors["near_cosines"]),
            tensors["weights"],
        )  # fmt: skip


class Given(NamedTuple):
    """What is learned from: a catalogue, a log, and a row per user where a shop has one."""

    items: Items
    events: Events
    told: pl.DataFrame | None = None


def learn(
    given: Given, config: Config, *, progress: Progress = quiet, memory: Memory | None = None
) -> tuple[Learned, Figures]:
    """Train twice: on what came before the last days, to weigh the blend on those; then on all.

    Raises:
        SetupError: a package that the training needs is missing, or the rate is too high.
        DataError: a column of `user_columns` is not in the log.
    """
    early, later = _cut(given.events, config)
    first = read(given.items, early, config, given.told)
    whole = read(given.items, given.events, config, given.told)
    nothing = Figures(0, *[float("nan")] * 4)
    where = memory.recall() if memory else None
    where = where or Where(0, Model.fresh(first, config), PRIOR.copy(), nothing)
    for log in (first, whole):
        if log is first and where.weighed:
            continue
        where = _passes(log, config, where, progress, memory)
        if log is first:
            weights, figures = _weighed(first, where.model, early, later)
            where = Where(config.epochs, Model.fresh(whole, config), weights, figures, True)
            if memory:
                memory.keep(where)
    return _learned(whole, config, where), where.figures


def _cut(events: Events, config: Config) -> tuple[Events, Events]:
    last = events.frame["time"].max()
    if not isinstance(last, datetime):  # the log is empty
        return events, events
    split = split_at(events, last - timedelta(days=config.days))
    return split.train, split.test


def _passes(
    log: Log, config: Config, where: Where, progress: Progress, memory: Memory | None
) -> Where:
    """The passes over one log that are left."""
    from merchgraph.tools.complement.fit import passes

    total, begin = 2 * config.epochs, config.epochs if where.weighed else 0
    told = "all" if begin else f"all but the last {config.days} days"
    run = passes(log, config, where.sums)
    progress(where.step, total, f"on {told}")
    for epoch in range(where.step - begin, config.epochs):
        started = time.monotonic()
        seen = run.run(where.model, epoch)
        speed = seen / max(time.monotonic() - started, 1e-9)
        if not np.isfinite(where.model.item_in).all():
            raise SetupError(
                f"The training diverged at the rate {config.rate}; give a lower one, for example "
                f"--set rate={config.rate / 2:g}."
            )
        where = where._replace(step=begin + epoch + 1, sums=run.sums)
        if memory:
            memory.keep(where)
        progress(where.step, total, f"on {told}, epoch {epoch + 1}, {speed:,.0f} observations/s")
    return where


def _weighed(log: Log, model: Model, early: Events, later: Events) -> tuple[Doubles, Figures]:
    asked = cases(log, early, later, most=MOST)
    signals = Signals.counted(model, log)
    half, rest = asked[::2], asked[1::2]
    if not rest:
        return weigh(signals, asked), Figures(0, *[float("nan")] * 4)
    basket = np.eye(len(SIGNALS))[0]
    found = [_places(signals, some, rest) for some in (weigh(signals, half), basket)]
    ndcg, hit = ([float(getattr(one, name).mean()) for one in found] for name in ("ndcg", "hit"))
    return weigh(signals, asked), Figures(len(rest), *ndcg, *hit)


def _places(signals: Signals, weights: Doubles, asked: list[Case]) -> Placed:
    parts = [placed((weights @ signals.of(case))[None], [case]) for case in asked]
    return Placed(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _learned(log: Log, config: Config, where: Where) -> Learned:
    counts = np.bincount(log.tokens.of, minlength=len(log.tokens.names))
    return Learned(
        config, log.items, log.users, log.tokens.names, counts.astype(np.int64), log.counts,
        where.model, nearest(log.rows, log.ends, len(log.items)), where.weights,
    )  # fmt: skip
