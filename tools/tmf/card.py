"""The model card: what a model was trained on, how, with which figures, and what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from merchgraph.tools.tmf.config import Config

if TYPE_CHECKING:
    from merchgraph.tools.tmf.lesson import View

LIMITS = """\
- It orders a slate; it does not find items. A shop retrieves first.
- A household's own frequency is hard to beat on repeats: read `merchgraph eval tmf` before this is used.
- A behaviour of a shop with one kind of purchase is how it was priced, not an intent.
- Labels are short and shared by many items; the language model tells items of one label apart by their
  vectors alone.
- SmolLM2-135M is small. With a larger model (`--set llm=FOLDER`) nothing here was measured."""
USE = """\
- `merchgraph eval tmf`, and `tmf` among the sources and the fusion of `merchgraph run arag`.
- The adapter by itself is a model for agents, of text alone: `--model embedded/smollm2-135m+FOLDER` with
  this folder, or `merchgraph serve MODEL --adapter tmf=FOLDER/adapter` with a GPU."""
SOURCE = """\
TMF (Walmart, arXiv 2410.12228), of which the abstract and accounts of others were read: three modalities,
all-modality self-attention, cross-modality attention, a text-only warm-up, LoRA. Its equations, encoders
and prompts are not public in what we could read; protocol and curriculum follow LLaRA (code at 9733f73).
No figure here is the paper's."""


class Trained(NamedTuple):
    """A finished training."""

    shop: str
    seen: View
    losses: Mapping[str, Sequence[float]]
    told: Sequence[str]
    before: datetime | None
    figures: Mapping[str, float]


def card(trained: Trained, config: Config) -> str:
    """Markdown for people."""
    seen = trained.seen
    start, end = (datetime(1970, 1, 1) + timedelta(days=d) for d in (seen.start, seen.end))
    figures = [f"- {name}: {value:.4f}" for name, value in trained.figures.items()]
    settings = [f"- {name}: {value}" for name, value in config.model_dump().items()]
    losses = [
        f"- {stage}: {len(values)} steps, loss {np.mean(values[:10]):.3f} in the first ten, "
        f"{np.mean(values[-10:]):.3f} in the last"
        for stage, values in trained.losses.items()
    ]
    before = ", cut there on purpose" if trained.before else ""
    lines = [
        f"# TMF: a language model that ranks for {trained.shop}",
        *_section("Data"),
        f"- the log before {end:%Y-%m-%d %H:%M}{before}",
        f"- {len(seen.kept):,} goods with {config.least} purchases or more; behaviours: "
        f"{', '.join(seen.past.behaviours)}",
        f"- graph of what was before {start:%Y-%m-%d}, {len(seen.questions):,} questions after",
        *(f"- {line}" for line in trained.told),
        *_section("Figures"),
        *(figures or ["- no validation was handed in; see `merchgraph eval tmf`"]),
        *losses,
        *_section("Use"),
        USE,
        *_section("Limits"),
        LIMITS,
        *_section("Settings"),
        *settings,
        *_section("Source"),
        SOURCE,
        "",
    ]
    return "\n".join(lines)


def _section(name: str) -> list[str]:
    return ["", f"## {name}", ""]
