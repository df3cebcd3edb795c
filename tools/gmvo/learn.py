"""From a log to chances: windows are made, the model is trained, and every pair is scored as of the end.

What is kept of a model is the list of each good, since types split the catalogue and lists are short: a
query is a look-up, and the graph network runs once per training.

Sizes: C items of the catalogue, I goods, P pairs, D width of text vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.checkpoint import Progress, quiet
from merchgraph.tools.data.tables import Events, Items
from merchgraph.tools.gmvo.config import Config
from merchgraph.tools.gmvo.data import DAY_US, Floats, Goods, Log, Moves, goods, log, moves
from merchgraph.tools.gmvo.pairs import Pairs
from merchgraph.tools.gmvo.signals import Past
from merchgraph.tools.gmvo.windows import Window, cuts, view, wanted


class Lists(NamedTuple):
    """The candidates of each good.

    Attributes:
        column: (I,) int64 — of each good, in the catalogue.
        starts: (I + 1,) int64 — the list of good i is starts[i] to starts[i + 1].
        target: (P,) int64 — columns in the catalogue.
        chance: (P,) float32 — shares of a list, which add up to 1.
    """

    column: NDArray[np.int64]
    starts: NDArray[np.int64]
    target: NDArray[np.int64]
    chance: NDArray[np.float32]

    def check(self, items: int) -> None:
        """Refuse lists that do not fit a catalogue of so many items.

        Raises:
            ValueError: what does not fit.
        """
        ends = [0, *self.starts.tolist(), len(self.target)]
        if len(self.starts) != len(self.column) + 1 or ends != sorted(ends):
            raise ValueError("'starts' are not the starts of one list a good")
        if max([-1, *self.column.tolist(), *self.target.tolist()]) >= items:
            raise ValueError(f"an item beyond the {items} of the catalogue is named")


NOTHING = Lists(
    column=np.zeros(0, np.int64),
    starts=np.zeros(1, np.int64),
    target=np.zeros(0, np.int64),
    chance=np.zeros(0, np.float32),
)


@dataclass(frozen=True)
class History:
    """A log, cut into what can be known at a moment.

    Attributes:
        goods: what is sold; the same at each moment.
        log, moves: all that happened, before and after `end`.
        end: day at which learning ends.
        text: (I, D) float32, or None.
    """

    goods: Goods
    log: Log
    moves: Moves
    end: float
    text: NDArray[np.float32] | None = field(default=None, repr=False)

    def at(self, day: float, config: Config) -> Window:
        """What is known at a day; earlier, an item needs fewer purchases in proportion."""
        first = float(self.log.day.min()) if len(self.log.day) else day
        part = (day - first) / (self.end - first) if self.end > first else 1.0
        known = self.moves.within(-np.inf, day)
        past = Past(self.goods, self.log.before(day), known, day, self.text)
        return view(past, max(1.0, config.least * part), config.cleaning)

    def windows(self, config: Config) -> Iterator[tuple[Window, Floats]]:
        """What was known at moments before the end, and how often each pair came true after each."""
        known = self.log.before(self.end)
        for day in cuts(known, self.end, config.horizon_days, config.windows):
            window = self.at(day, config)
            until = min(day + config.horizon_days, self.end)
            yield window, wanted(window, self.moves, until)


def history(items: Items, events: Events, config: Config, end: float | None = None) -> History:
    """The log as arrays; goods are those that were bought often enough before the end.

    Args:
        items: the catalogue.
        events: a log.
        config: settings.
        end: day at which learning ends, in days since 1970-01-01; None is the end of the log.

    Raises:
        SetupError: texts are asked for, and the text model is not installed.
    """
    last = end if end is not None else _midnight(events)
    known = events.frame["time"].dt.epoch("us") / DAY_US < last
    kept = goods(items, Events(events.frame.filter(known)), config.least)
    text = None
    if config.text and kept.items:
        from merchgraph.tools.embedding import Embedder

        text = Embedder().embed(kept.texts)
    past = log(events, kept)
    return History(kept, past, moves(past, kept), last, text)


def day_of(time: datetime) -> float:
    """Days since 1970-01-01."""
    return (time - datetime(1970, 1, 1)).total_seconds() / 86_400


def learn(
    told: History,
    config: Config,
    *,
    state: tuple[Path, str] | None = None,
    progress: Progress = quiet,
) -> tuple[Window, NDArray[np.float32], list[float]]:
    """Train on what is before the history's end; the window at the end, its scores, and the losses.

    Raises:
        SetupError: torch, torch_geometric or SciPy is not installed; see also `fit` of `fit.py`.
    """
    try:
        from merchgraph.tools.gmvo.fit import fit, scorer, scores
    except ModuleNotFoundError as error:
        raise SetupError(
            f"Training needs the package {error.name!r}, which is not installed: "
            f"pip install 'merchgraph[torch]'."
        ) from error
    examples = []
    for window in told.windows(config):
        examples.append(window)
        progress(0, config.epochs, f"{len(examples)} of {config.windows} windows")
    now = told.at(told.end, config)
    model = scorer([window for window, _ in examples] or [now], config)
    losses = fit(model, examples, config, state=state, progress=progress)
    return now, scores(model, now, config), losses


def lists(window: Window, found: NDArray[np.float32], items: Items) -> Lists:
    """The candidates of each good with their chances, softmax of the scores."""
    pairs, kept = window.pairs, window.past.goods
    column = {item: place for place, item in enumerate(items.frame["item"])}
    columns = np.array([column[item] for item in kept.items], dtype=np.int64)
    return Lists(
        column=columns,
        starts=pairs.starts.astype(np.int64),
        target=columns[pairs.target] if len(pairs) else np.zeros(0, np.int64),
        chance=softmax(pairs, found),
    )


def softmax(pairs: Pairs, found: NDArray[np.float32]) -> NDArray[np.float32]:
    """(P,) float32 — shares of exp(score) in each source's list."""
    top = np.full(pairs.goods, -np.inf)
    np.maximum.at(top, pairs.source, found)
    raised = np.exp(found - top[pairs.source])
    return np.asarray(raised / pairs.sums(raised.astype(np.float64)), np.float32)


def _midnight(events: Events) -> float:
    """The end of the last day of a log; 0 where it is empty."""
    last: Any = events.frame["time"].dt.epoch("us").max()
    return 0.0 if last is None else float(last // DAY_US + 1)
