"""The model card: what a model was trained on, how, with which figures, and what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from merchgraph.tools.grace.config import Config
from merchgraph.tools.grace.learn import Told

LIMITS = """\
- It learns what comes at the next visit, in a log that tells what was bought and not what was shown.
- Only items bought often enough have a path: a new item cannot be told until then.
- A behaviour such as "discount" is the shop's price action, no stage on the way to a purchase.
- The search is narrow: what it does not find is ranked by popularity alone."""
SOURCE = """\
GRACE (Walmart, RecSys 2025, arXiv 2507.14758), of which the abstract and summaries were read, on the
skeleton of MBGen, whose code was read. Numbers of blocks and widths, the copy path, the prior of tokens
and probabilities over the trie are our design; no figure here is the paper's."""


class Trained(NamedTuple):
    """A finished training."""

    shop: str
    told: Told
    losses: Sequence[float]
    before: datetime | None
    figures: Mapping[str, float]


def card(trained: Trained, config: Config) -> str:
    """Markdown for people."""
    parts = {
        "Data": _data(trained, config),
        "Paths": _paths(trained.told),
        "Figures": _figures(trained),
        "Limits": [LIMITS],
        "Settings": [f"- {name}: {value}" for name, value in config.model_dump().items()],
        "Source": [SOURCE],
    }
    lines = [f"# Next visits at {trained.shop}", ""]
    for title, told in parts.items():
        lines += [f"## {title}", "", *told, ""]
    return "\n".join(lines)


def _data(trained: Trained, config: Config) -> list[str]:
    log, goods = trained.told.log, trained.told.log.goods
    cut = f" before {trained.before:%Y-%m-%d %H:%M}" if trained.before else ""
    return [
        f"- {len(log.item):,} interactions in {len(log.user):,} journeys of "
        f"{len(np.unique(log.user)):,} shoppers{cut}",
        f"- {len(goods.items):,} items with {config.least} events or more",
        f"- behaviours: {', '.join(goods.behaviours)}; predicted: "
        f"{', '.join(goods.behaviours[: goods.predicted])}",
    ]


def _paths(told: Told) -> list[str]:
    rows = [
        f"| {one.slot} | {one.tokens:,} | {one.prefixes:,} | {one.bits:.2f} | {one.left:.2f} |"
        for one in told.paths.facts()
    ]
    head = ["| slot | tokens | prefixes | bits | bits left of the item |", "|---|---|---|---|---|"]
    same = f"{told.paths.collisions:,} items share all but the index with an earlier one."
    return [*head, *rows, "", same]


def _figures(trained: Trained) -> list[str]:
    figures = [f"- {name}: {value:.4f}" for name, value in trained.figures.items()]
    late = float(np.mean(trained.losses[-100:])) if trained.losses else float("nan")
    return [
        *(figures or ["- no validation was handed in; see `merchgraph eval grace`"]),
        f"- loss of the last 100 steps: {late:.4f} nats per item",
    ]
