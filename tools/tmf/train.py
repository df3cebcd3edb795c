"""`merchgraph train tmf`: teach a language model to rank by text, graph and image, and keep it.

    model = train(shop("complete_journey"), PRESETS["cpu"], folder, progress=tell)

Every ten steps the state is kept in `training/` inside the folder, so that the same call goes on where it
was stopped. At the end the folder holds what was trained, the settings, a model card, and the adapter by
itself for engines that serve the language model (`adapter/`, see `adapter.py`).
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
from merchgraph.tools.tmf.card import Trained, card
from merchgraph.tools.tmf.config import PRESETS, Config
from merchgraph.tools.tmf.tool import Tmf, tensors_of

__all__ = ["PRESETS", "Config", "train"]
UNFINISHED, ADAPTER = "training", "adapter"
Validate = Callable[[Tmf], Mapping[str, float]]


def train(
    store: Shop,
    config: Config,
    folder: Path,
    *,
    before: datetime | None = None,
    progress: Progress = quiet,
    validate: Validate | None = None,
) -> Tmf:
    """Train a model on a shop's log and keep it in a folder; a model that is there is replaced.

    Args:
        store: catalogue and log.
        config: settings.
        folder: for the model; it is made if it is not there.
        before: nothing of the log from this time on is seen; None sees all.
        progress: told (done, total, what) after each step.
        validate: figures for the model card, by name.

    Raises:
        SetupError: a package, the language model or the GPU is missing; no basket asks a question; the
            folder holds an unfinished training with other settings or data, or cannot be written;
            `before` has a time zone.
    """
    lessons = tensors_of("lesson")
    end = None if before is None else local(before)
    seen = lessons.view(store.items, store.events, config, end)
    if not seen.questions:
        raise SetupError(
            f"Nothing to learn from in {store.name}: no household came back in the last "
            f"{config.weeks} weeks of the log with {config.least} purchases or more of what it "
            f"took; give a longer log, or set weeks= or least=."
        )
    made = lessons.lesson(seen, config, progress)
    name = f"{store.name} {store.fingerprint} before {before}, {len(store.events)} events"
    losses = made.learn((folder / UNFINISHED, name), progress)
    model: Tmf = lessons.model_of(store.items, seen, made)
    figures = validate(model) if validate else {}
    told = made.known.pictures.told if made.known else ()
    trained = Trained(store.name, seen, losses, told, before, figures)
    checkpoint.save(folder, model.tensors(), config, card(trained, config))
    tensors_of("adapter").write(made.network.llm, folder / ADAPTER, config)
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
    return model
