"""What a training makes of a log, and what is kept of it: the goods, their paths, and weights.

told = prepare(items, events, config)        # journeys and paths
learned, losses = learn(told, config)
Learned.of(learned.tensors(), config)        # the same again
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.checkpoint import Progress, as_bytes, as_texts, quiet
from merchgraph.tools.data.tables import Events, Items
from merchgraph.tools.grace.config import Config
from merchgraph.tools.grace.data import Goods, Log, read
from merchgraph.tools.grace.paths import Paths
from merchgraph.tools.neighbours import Near

if TYPE_CHECKING:
    from merchgraph.tools.grace.model import Grace

Tensors = Mapping[str, NDArray[Any]]
WEIGHT = "model/"


class Told(NamedTuple):
    """What is learned from."""

    log: Log
    paths: Paths


@dataclass(frozen=True, eq=False)
class Learned:
    """A model, and what its numbers mean."""

    model: Grace
    goods: Goods

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What `of` reads."""
        goods, paths = self.goods, self.model.paths
        kept = {WEIGHT + name: array for name, array in self.model.weights().items()}
        return kept | {
            "items": as_bytes(goods.items),
            "behaviours": as_bytes(goods.behaviours),
            "slots": as_bytes(paths.slots),
            "tokens": paths.tokens,
            "column": goods.column,
            "counts": goods.counts,
            "again": goods.again,
            "usual": goods.usual,
            "near": goods.near.items,
            "cosines": goods.near.cosines,
            "numbers": np.array([goods.predicted, goods.size]),
        }

    @classmethod
    def of(cls, tensors: Tensors, config: Config) -> Self:
        """A model that was kept; it answers on the CPU.

        Raises:
            SetupError: torch is not installed.
            KeyError, ValueError, RuntimeError: tensors are missing, or do not fit together.
        """
        items, near = tuple(as_texts(tensors["items"])), Near(tensors["near"], tensors["cosines"])
        if near.items.shape != near.cosines.shape or len(near.items) != len(items):
            raise ValueError(f"{len(items)} items have {len(near.items)} rows of neighbours")
        goods = Goods(
            items=items,
            column=tensors["column"],
            counts=tensors["counts"],
            again=tensors["again"],
            usual=tensors["usual"],
            behaviours=tuple(as_texts(tensors["behaviours"])),
            predicted=int(tensors["numbers"][0]),
            size=float(tensors["numbers"][1]),
            near=near,
        )
        paths = Paths(tuple(as_texts(tensors["slots"])), tensors["tokens"])
        model = _network(config.model_copy(update={"device": "cpu"}), paths, goods)
        import torch

        model.load_state_dict(
            {
                name.removeprefix(WEIGHT): torch.from_numpy(array.copy())
                for name, array in tensors.items()
                if name.startswith(WEIGHT)
            }
        )
        return cls(model.eval(), goods)


def prepare(items: Items, events: Events, config: Config) -> Told:
    """Journeys of a log, and paths of its items.

    Raises:
        SetupError: texts are slots, and the text model is not installed.
    """
    log = read(items, events, config)
    frame = items.frame[log.goods.column.tolist()]
    vectors = None
    if {"text 1", "text 2"} & set(config.slots):
        if not len(frame):
            vectors = np.zeros((0, 1), np.float32)
        else:
            from merchgraph.tools.embedding import Embedder

            vectors = Embedder().embed(frame["text"].to_list())
    return Told(log, Paths.of(frame, config, vectors))


def learn(
    told: Told,
    config: Config,
    *,
    state: tuple[Path, str] | None = None,
    progress: Progress = quiet,
) -> tuple[Learned, list[float]]:
    """Train on a log; the model, and the loss of each step.

    Raises:
        SetupError: torch is not installed, or as `fit` of `fit.py`.
    """
    model = _network(config, told.paths, told.log.goods)
    from merchgraph.tools.grace.fit import fit

    losses = fit(model, told.log, state=state, progress=progress)
    return Learned(model.cpu().eval(), told.log.goods), losses


def _network(config: Config, paths: Paths, goods: Goods) -> Grace:
    try:
        from merchgraph.tools.grace.fit import network
    except ModuleNotFoundError as error:
        raise SetupError(
            f"GRACE needs the package {error.name!r}, which is not installed: "
            f"pip install 'merchgraph[torch]'."
        ) from error
    return network(config, paths, goods)
