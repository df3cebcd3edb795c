"""Moments of a log to learn from: what was known then, and what was moved to in the weeks that followed.

    now = view(past, settings)              # what is known at past.day
    seen = wanted(now, moves, end)          # (P,) how much each pair came true from past.day to end

Signals and edges come from before the moment and targets from after it, so that the model learns how much
past counts are worth for the future; counts of the same weeks would tell it to believe them wholly.

Sizes: I goods, P pairs, F signals, X numbers of a node.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.tools.gmvo.data import Floats, Log, Moves
from merchgraph.tools.gmvo.edges import Cleaning, Edges, relations
from merchgraph.tools.gmvo.pairs import Pairs
from merchgraph.tools.gmvo.signals import WEEK, Past, in_groups, popularity, signals

TEXT_WIDTH = 32
"""Principal components of the texts' vectors that a node has."""
HISTORY = 3 / 4
"""Of a log too short for one window, the part that is known."""


class Window(NamedTuple):
    """A moment.

    Attributes:
        past: what is known.
        pairs: of the goods bought often enough by then.
        signals: (P, F) float32.
        nodes: (I, X) float32, each column of mean 0 and deviation 1, then the text.
        edges: relations by name.
        bought: (P,) float64 — baskets with both.
    """

    past: Past
    pairs: Pairs
    signals: NDArray[np.float32]
    nodes: NDArray[np.float32]
    edges: dict[str, Edges]
    bought: Floats


def cuts(log: Log, end: float, days: float, count: int) -> list[float]:
    """Moments to learn from, the latest first: each has `days` of targets after it and before it.

    Args:
        log: whose first event begins history.
        end: day at which the log ends.
        days: length of the targets.
        count: at most so many.
    """
    if not len(log.day):
        return []
    first = float(log.day.min())
    found = [end - days * (n + 1) for n in range(count)]
    return [day for day in found if day - first >= days] or [first + HISTORY * (end - first)]


def view(past: Past, least: float, cleaning: Cleaning) -> Window:
    """What is known at a moment.

    Args:
        past: log and moves before it.
        least: purchases by then that make an item a candidate.
        cleaning: what makes an edge.

    Raises:
        SetupError: SciPy is not installed.
    """
    pairs = Pairs.of(past.goods.types, popularity(past, np.inf) >= least)
    return Window(
        past=past,
        pairs=pairs,
        signals=signals(pairs, past),
        nodes=_nodes(past),
        edges=relations(pairs, past, cleaning),
        bought=in_groups(pairs, past, past.log.basket),
    )


def wanted(window: Window, moves: Moves, end: float) -> Floats:
    """(P,) float64 — occasions that came true until `end`; each has a weight of 1 over its targets."""
    later = moves.within(window.past.day, end)
    _, occasion, sizes = np.unique(later.occasion, return_inverse=True, return_counts=True)
    return window.pairs.count(later.source, later.target, 1 / sizes[occasion])


def _nodes(past: Past) -> NDArray[np.float32]:
    goods = past.goods
    columns = [np.log(popularity(past, weeks) + 0.5) for weeks in (2, 16, np.inf)]
    columns += [np.log(goods.prices + 0.01), np.log(goods.relative + 0.01)]
    first = np.full(len(goods.items), past.day)
    np.minimum.at(first, past.log.item, past.log.day)
    columns.append(np.log1p((past.day - first) / WEEK))
    table = np.stack(columns, axis=1)
    scaled = (table - table.mean(axis=0)) / np.maximum(table.std(axis=0), 1e-6)
    parts = [scaled] if past.text is None else [scaled, components(past.text)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def components(vectors: NDArray[np.float32]) -> Floats:
    """(I, 32) float64 — principal components, of mean square 1 over all; fewer if there are fewer."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    # the sign of an axis is free; without a rule, two machines would train two models
    axes = axes[:, np.argsort(-values)[:TEXT_WIDTH]]
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1, 1)
    found = centred @ axes
    scale = np.sqrt((found**2).mean())
    return np.asarray(found / max(scale, 1e-9), np.float64)
