"""`merchgraph train grace`: learn to tell the next visit from a shop's log, and keep the model.

    generator = train(shop("complete_journey"), PRESETS["cpu"], folder, progress=tell)

Every 100 steps the state is kept in `training/` inside the folder, so that the same call goes on where it
was stopped. At the end the folder holds weights, paths, settings and a model card.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from merchgraph.runtime.errors import SetupError
from merchgraph.tools import checkpoint
from merchgraph.tools.checkpoint import Progress, quiet
from merchgraph.tools.data.splits import split_at
from merchgraph.tools.data.tables import Shop
from merchgraph.tools.grace.card import Trained, card
from merchgraph.tools.grace.config import PRESETS, Config
from merchgraph.tools.grace.learn import learn, prepare
from merchgraph.tools.grace.tool import Generator

__all__ = ["PRESETS", "Config", "train"]
UNFINISHED = "training"
Validate = Callable[[Generator], Mapping[str, float]]


def train(
    store: Shop,
    config: Config,
    folder: Path,
    *,
    before: datetime | None = None,
    progress: Progress = quiet,
    validate: Validate | None = None,
) -> Generator:
    """Train a model on a shop's log and keep it in a folder; a model that is there is replaced.

    Args:
        store: catalogue and log.
        config: settings.
        folder: for the model; it is made if it is not there.
        before: nothing of the log from this time on is seen; None sees all.
        progress: told (done, total, what) after each step.
        validate: figures for the model card, by name.

    Raises:
        SetupError: a package or the GPU is missing; nobody came twice, or no item has `least` events;
            the folder holds an unfinished training with other settings or data, or cannot be
            written; `before` has a time zone.
    """
    events = store.events if before is None else split_at(store.events, before).train
    told = prepare(store.items, events, config)
    if not len(told.log.samples):
        raise SetupError(
            f"Nothing to learn from in {store.name}: no shopper came twice for items of "
            f"{config.least} events or more; give a longer log, or a lower least."
        )
    name = f"{store.name} {store.fingerprint} before {before}, {len(store.events)} events"
    unfinished = folder / UNFINISHED
    learned, losses = learn(told, config, state=(unfinished, name), progress=progress)
    model = Generator.from_learned(tuple(store.items.frame["item"]), learned, config)
    figures = validate(model) if validate else {}
    trained = Trained(store.name, told, losses, before, figures)
    checkpoint.save(folder, model.tensors(), config, card(trained, config))
    shutil.rmtree(unfinished, ignore_errors=True)
    return model
