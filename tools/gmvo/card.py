"""The model card: what a model was trained on, how, with which figures, and what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from merchgraph.tools.gmvo.config import Config
from merchgraph.tools.gmvo.learn import History
from merchgraph.tools.gmvo.windows import Window

LIMITS = """\
- It learns from what was bought in place of what. In a log without views that mixes substitution with
  variety seeking and with changes of the assortment, and nothing tells what was shown.
- Only items of the same product type are candidates, and only items bought often enough: a new item is in
  no list until then.
- A value weight moves dearer items up. Compare the price ratio of what is shown before calling a gain in
  value a gain.
- Lists hold for the day on which the log ends; popularity moves in weeks. Train again."""
SOURCE = """\
GNN-GMVO (Walmart, arXiv 2310.17732), of which the abstract was read: a graph network for similar items
trained for gross merchandise value on cleaned item relations. Edges, encoder, decoder, losses and the
pairwise signals are our design in that spirit; no figure here is the paper's."""


class Trained(NamedTuple):
    """A finished training."""

    shop: str
    told: History
    now: Window
    losses: Sequence[float]
    before: datetime | None
    figures: Mapping[str, float]


def card(trained: Trained, config: Config) -> str:
    """Markdown for people."""
    told, now = trained.told, trained.now
    end = datetime(1970, 1, 1) + timedelta(days=told.end)
    known = told.moves.within(float("-inf"), told.end)
    figures = [f"- {name}: {value:.4f}" for name, value in trained.figures.items()]
    losses = ", ".join(f"{loss:.4f}" for loss in trained.losses[-3:])
    settings = [f"- {name}: {value}" for name, value in config.model_dump().items()]
    return "\n".join(
        [
            f"# Similar items of {trained.shop}",
            "",
            "## Data",
            "",
            f"- the log before {end:%Y-%m-%d %H:%M}"
            + (", cut there on purpose" if trained.before else ""),
            f"- {len(told.goods.items):,} goods with {config.least} purchases or more, "
            f"{len(now.pairs):,} pairs of one product type",
            f"- {len(known.source):,} moves from an item to another one of its type",
            f"- {', '.join(f'{len(e.at):,} {name}' for name, e in now.edges.items())} edges",
            "",
            "## Figures",
            "",
            *(figures or ["- no validation was handed in; see `merchgraph eval gmvo`"]),
            f"- loss of the last epochs: {losses}",
            "",
            "## Limits",
            "",
            LIMITS,
            "",
            "## Settings",
            "",
            *settings,
            "",
            "## Source",
            "",
            SOURCE,
            "",
        ]
    )
