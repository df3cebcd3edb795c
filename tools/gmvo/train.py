"""`merchgraph train gmvo`: learn which items stand in for which from a shop's log, and keep it.

    similar = train(shop("complete_journey"), PRESETS["cpu"], folder, progress=tell)

After each epoch the state is kept in `training/` inside the folder, so that the same call goes on where
it was stopped. At the end the folder holds the lists of all goods, the settings and a model card.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from merchgraph.runtime.errors import SetupError
from merchgraph.tools import checkpoint
from merchgraph.tools.checkpoint import Progress, quiet
from merchgraph.tools.data.tables import Shop, local
from merchgraph.tools.gmvo.card import Trained, card
from merchgraph.tools.gmvo.config import PRESETS, Config
from merchgraph.tools.gmvo.learn import day_of, history, learn, lists
from merchgraph.tools.gmvo.tool import Similar

__all__ = ["PRESETS", "Config", "train"]
UNFINISHED = "training"
Validate = Callable[[Similar], Mapping[str, float]]


def train(
    store: Shop,
    config: Config,
    folder: Path,
    *,
    before: datetime | None = None,
    progress: Progress = quiet,
    validate: Validate | None = None,
) -> Similar:
    """Train a model on a shop's log and keep it in a folder; a model that is there is replaced.

    Args:
        store: catalogue and log.
        config: settings.
        folder: for the model; it is made if it is not there.
        before: nothing of the log from this time on is seen; None sees all.
        progress: told (done, total, what) after each window and epoch.
        validate: figures for the model card, by name.

    Raises:
        SetupError: a package or the GPU is missing; no two goods share a product type; nothing was
            ever bought instead of something else; the folder holds an unfinished training with other
            settings or data, or cannot be written; `before` has a time zone.
    """
    end = None if before is None else day_of(local(before))
    told = history(store.items, store.events, config, end)
    if not len(told.moves.within(float("-inf"), told.end).source):
        raise SetupError(
            f"Nothing to learn from in {store.name}: no item of a product type was bought in place "
            f"of another one with {config.least} purchases or more; the catalogue needs categories "
            f"or a column product_type, and the log households that come again, or a lower least."
        )
    name = f"{store.name} {store.fingerprint} before {before}, {len(store.events)} events"
    unfinished = folder / UNFINISHED
    now, scores, losses = learn(told, config, state=(unfinished, name), progress=progress)
    found = lists(now, scores, store.items)
    model = Similar.from_lists(store.items, found, config)
    figures = validate(model) if validate else {}
    trained = Trained(store.name, told, now, losses, before, figures)
    checkpoint.save(folder, model.tensors(), config, card(trained, config))
    shutil.rmtree(unfinished, ignore_errors=True)
    return model
