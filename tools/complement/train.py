"""`merchgraph train complement`: learn what goes with what from a shop's log, and keep it.

    learned = train(shop("complete_journey"), PRESETS["cpu"], folder, progress=tell)

After each pass over the log the state is kept in `training/` inside the folder, so that the same call
goes on where it was stopped; with one thread it ends with the same bits as a run that never stopped. A
training on a GPU keeps the sums of Adagrad there too.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.checkpoint import WEIGHTS, load, save
from merchgraph.tools.complement.blend import SIGNALS
from merchgraph.tools.complement.config import PRESETS, Config
from merchgraph.tools.complement.data import facts, most_bought
from merchgraph.tools.complement.learned import (
    Figures,
    Given,
    Learned,
    Progress,
    Where,
    learn,
    quiet,
)
from merchgraph.tools.complement.model import Model
from merchgraph.tools.data.splits import split_at
from merchgraph.tools.data.tables import Events, Shop

__all__ = ["PRESETS", "Config", "train"]
COMMAND = "merchgraph train complement"
UNFINISHED = "training"
SUM = "sum of "
"""In front of a table's name: its sums, in the state's file."""


class State(BaseModel):
    """A training that is under way; another one in the folder is told by it.

    Attributes:
        config: of the training.
        log: shop, fingerprint, rows and last time of what is learned from.
        step: passes done.
        weights, figures, weighed: as in `Where`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: Config
    log: str
    step: int
    weights: list[float]
    figures: list[float | None]
    weighed: bool


@dataclass(frozen=True)
class _Kept:
    """The memory of one training, in a folder."""

    folder: Path
    config: Config
    log: str

    def recall(self) -> Where | None:
        if not (self.folder / WEIGHTS).is_file():
            return None
        try:
            state, tensors = load(self.folder, State, COMMAND)
        except DataError as error:
            raise DataError(
                f"The unfinished training in {str(self.folder)!r} is damaged or of another version; "
                f"remove that folder and begin again: {COMMAND}"
            ) from error
        for name, mine, theirs in (
            ("settings", self.config.model_dump_json(), state.config.model_dump_json()),
            ("log", self.log, state.log),
        ):
            if mine != theirs:
                raise SetupError(
                    f"The folder {str(self.folder)!r} holds an unfinished training with another "
                    f"{name}: {_differs(theirs, mine)}; finish that one, remove the folder, or name "
                    f"another by --out."
                )
        figures = [float("nan") if value is None else value for value in state.figures]
        sums = {n.removeprefix(SUM): t for n, t in tensors.items() if n.startswith(SUM)}
        return Where(state.step, Model.of(tensors, self.config), np.array(state.weights),
                     Figures(int(figures[0]), *figures[1:]), state.weighed, sums)  # fmt: skip

    def keep(self, where: Where) -> None:
        figures = [None if np.isnan(value) else value for value in where.figures]
        state = State(
            config=self.config, log=self.log, step=where.step, weights=where.weights.tolist(),
            figures=figures, weighed=where.weighed,
        )  # fmt: skip
        told = f"A training that is not finished; the same command goes on: {COMMAND}\n"
        sums = {f"{SUM}{name}": tensor for name, tensor in where.sums.items()}
        save(self.folder, where.model.tensors() | sums, state, told)


def train(
    store: Shop,
    config: Config,
    folder: Path,
    *,
    before: datetime | None = None,
    progress: Progress = quiet,
) -> Learned:
    """Train, keep the model in `folder`, and return it; a finished model there is replaced.

    Args:
        store: catalogue and log.
        config: settings, for example `PRESETS["cpu"]`.
        folder: of the model.
        before: nothing of the log at or after this time is seen.
        progress: called with (passes done, all passes, what goes on).

    Raises:
        SetupError: no item is in `least` baskets, the folder holds an unfinished training with other
            settings or of another log, or a package is missing.
        DataError: a column of `user_columns` is not in the log, or an unfinished training cannot be read.
    """
    events = split_at(store.events, before).train if before else store.events
    _must_have_items(store, events, config.least)
    kept = _Kept(folder / UNFINISHED, config, _named(store, events))
    given = Given(store.items, events, facts(store))
    learned, figures = learn(given, config, progress=progress, memory=kept)
    save(folder, learned.tensors(), config, card(store, events, learned, figures))
    shutil.rmtree(kept.folder, ignore_errors=True)
    return learned


def _must_have_items(store: Shop, events: Events, least: int) -> None:
    most = most_bought(store.items, events)
    if most < least:
        remedy = (
            f"set fewer, for example --set least={(most + 1) // 2}" if most else "give a longer log"
        )
        raise SetupError(
            f"No item of {store.name} is in {least} baskets of the log or more, as the setting least "
            f"asks; the most frequent one is in {most}: {remedy}."
        )


def _named(store: Shop, events: Events) -> str:
    return f"{store.name} {store.fingerprint} {len(events)} rows to {events.frame['time'].max()!s}"


def _differs(theirs: str, mine: str) -> str:
    """The first setting that differs, or both texts."""
    try:
        old, new = json.loads(theirs), json.loads(mine)
    except ValueError:
        return f"{theirs!r} there, {mine!r} here"
    name = next(name for name in new if new[name] != old.get(name))
    return f"{name} is {old.get(name)!r} there and {new[name]!r} here"


def card(store: Shop, events: Events, learned: Learned, figures: Figures) -> str:
    """What the model is and is not, for people."""
    times, config = events.frame["time"], learned.config
    weights = ", ".join(
        f"{name} {weight:.2f}" for name, weight in zip(SIGNALS, learned.weights, strict=True)
    )
    return f"""# Complementary products of {store.name}

What is bought together with what, by dual item embeddings blended with basket counts.

- Log: {len(events):,} events, {times.min()!s} to {times.max()!s};
  {len(learned.items):,} items that are in {config.least} baskets or more,
  {len(learned.users) - 1:,} shoppers with two baskets or more.
- Settings: `config.json`. Blend: {weights}.
- The last {config.days} days, seen by neither embedding nor counts of that measurement:
  {figures.baskets:,} baskets with one item taken out, all items ranked. NDCG@10
  {figures.ndcg_blend:.3f} blended and {figures.ndcg_basket:.3f} by the embedding alone; Hit@10
  {figures.hit_blend:.3f} and {figures.hit_basket:.3f}.
  In that measurement the blend was weighed on as many other baskets of these days; here it is weighed on
  all of them, and embedding and counts are of the whole log.

## Limits

It knows what was bought, not what was looked at or shown; a frequent pair may be habit, not need. Items
in fewer baskets are no candidates; a new item is placed by its tokens. In groceries a large share is
bought again, and the signal `own` answers to that.

## Source

Xu et al., Knowledge-aware complementary product representation learning, WSDM 2020 (arXiv 1904.12574):
model, losses, sampler and cold start follow its text and its released code. The blend is ours. Its tables
are not reproduced here: their values could not be read, its logs are others.
"""
