"""From a log to a training: what is seen of it, what is made of that, and the model at its end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import polars as pl

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.checkpoint import Progress, quiet
from merchgraph.tools.data.tables import Events, Items
from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.data import DAY_US, Draw, Log, Question, behaviour_of, log, questions
from merchgraph.tools.tmf.goods import Goods, goods
from merchgraph.tools.tmf.graph import Relations, relations
from merchgraph.tools.tmf.items import Known
from merchgraph.tools.tmf.learn import AT_ONCE, Lesson
from merchgraph.tools.tmf.llm import llm
from merchgraph.tools.tmf.network import Network
from merchgraph.tools.tmf.prompt import Prompts
from merchgraph.tools.tmf.store import Parts
from merchgraph.tools.tmf.tool import Tmf

MOST = 20_000
"""Questions that are drawn; more than that are not gone through in any preset."""


class View(NamedTuple):
    """What is seen of a log.

    Attributes:
        kept: the goods, counted before the end.
        past: their log before the end.
        start, end: days between which questions lie; the graph is of what was before the start.
        questions: to learn from.
    """

    kept: Goods
    past: Log
    start: float
    end: float
    questions: list[Question]


def view(items: Items, events: Events, config: Config, end: datetime | None = None) -> View:
    """Cut a log.

    Args:
        items: the catalogue.
        events: the log.
        config: settings.
        end: nothing from this time on is learned from; None is the end of the log's last day.
    """
    last = end or _midnight(events)
    day = (last - datetime(1970, 1, 1)).total_seconds() * 1e6 / DAY_US
    before = Events(events.frame.filter(pl.col("time") < last))
    kept = goods(items, before, config.least, config.words)
    past = log(before, kept)
    start = day - 7.0 * config.weeks
    needed = max(config.fuse_steps * AT_ONCE, sum(config.steps) * config.batch)
    draw = Draw(
        start, day, min(needed, MOST), positives=config.positives, seed=config.seed
    )  # a household is asked about all its baskets
    return View(kept, past, start, day, questions(past, kept, draw, config))


def lesson(seen: View, config: Config, progress: Progress = quiet) -> Lesson:
    """A training of a view, with first weights.

    Raises:
        SetupError: a package, the language model or the GPU is missing.
    """
    known = knowledge(seen, config, progress) if config.seeing and len(seen.kept) else None
    return lesson_with(seen, known, config)


def knowledge(
    seen: View, config: Config, progress: Progress = quiet, graph: Relations | None = None
) -> Known:
    """Vectors of the goods; the graph is of what was before the questions.

    Args:
        seen: the log.
        config: settings.
        progress: told of the graph's steps and of pictures.
        graph: one that was trained before; None trains one.

    Raises:
        SetupError: a picture is not there.
    """
    found = graph or relations(seen.past, len(seen.kept), seen.start, config, progress)
    return Known.of(seen.kept, found, config, progress)


def lesson_with(seen: View, known: Known | None, config: Config) -> Lesson:
    """A training with vectors that were made before; they are not looked at without modalities."""
    import torch

    if config.device == "cuda" and not torch.cuda.is_available():
        raise SetupError(
            "The device is 'cuda', but torch sees no GPU here; take --preset cpu, or "
            "--set device=cpu."
        )
    model = llm(config)
    mine = known if config.seeing else None
    network = Network(model, mine.widths if mine else None, config)
    prompts = Prompts(model.tokenizer, seen.kept, seen.past.behaviours, config)
    return Lesson(network, mine, prompts, seen.questions, config)


def model_of(items: Items, seen: View, made: Lesson) -> Tmf:
    """The tool with what was learned."""
    usual = behaviour_of(seen.past, len(seen.kept), seen.end)
    parts = Parts(
        tuple(items.frame["item"]), seen.kept, seen.past.behaviours, usual, made.known, made.network
    )
    return Tmf(made.config).with_parts(parts)


def _midnight(events: Events) -> datetime:
    """The end of the last day of a log; 1970 where it is empty."""
    last: Any = events.frame["time"].max()
    if last is None:
        return datetime(1970, 1, 1)
    return datetime(last.year, last.month, last.day) + timedelta(days=1)
