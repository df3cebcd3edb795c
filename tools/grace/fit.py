"""The training loop: journeys are drawn, what came before each is read, and what came next is told.

What a step does depends on the seed and its number alone, so that a training that was stopped ends with
the same bits on one thread. The library is asked for nothing but CPU or one GPU.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from merchgraph.runtime.errors import SetupError
from merchgraph.tools import checkpoint
from merchgraph.tools.checkpoint import Progress, quiet
from merchgraph.tools.data.checks import quoted
from merchgraph.tools.grace.config import Config
from merchgraph.tools.grace.data import Goods, Log
from merchgraph.tools.grace.model import Grace
from merchgraph.tools.grace.paths import Paths
from merchgraph.tools.grace.samples import sample

WARM = 0.1
"""Part of the steps in which the rate rises."""
CLIP = 1.0
"""Greatest norm of a gradient, as MBGen."""
KEEP = 100
"""Steps between two states on disk."""


class Learnt(BaseModel):
    """A training that is under way.

    Attributes:
        config: of the training.
        data: names the log.
        losses: of the steps so far.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: Config
    data: str
    losses: list[float]


def network(config: Config, paths: Paths, goods: Goods) -> Grace:
    """A model with first weights that depend on the seed alone.

    Raises:
        SetupError: the settings ask for a GPU that is not there.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise SetupError(
            "The device is 'cuda', but torch sees no GPU here; take --preset cpu, or --set device=cpu."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = Grace(config, paths, goods)
    return model.to(config.device)


def fit(
    model: Grace,
    log: Log,
    *,
    state: tuple[Path, str] | None = None,
    progress: Progress = quiet,
) -> list[float]:
    """Train in place; the loss of each step, in nats per item that came next.

    Args:
        model: of the log's goods.
        log: what is learned from.
        state: folder and name of the data, to go on after a stop; None keeps nothing.
        progress: told after each step.

    Raises:
        SetupError: the folder holds a training with other settings or data, or cannot be written.
    """
    config, journeys = model.config, log.samples
    if not len(journeys):
        return []
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.rate, weight_decay=config.decay)
    losses = _resume(model, optimiser, state) if state else []
    model.train()
    for step in range(len(losses), config.steps):
        rng = np.random.default_rng((config.seed, step))
        drawn = journeys[rng.integers(len(journeys), size=config.batch)]
        for group in optimiser.param_groups:
            group["lr"] = config.rate * _share(step / config.steps)
        loss = model.loss(*sample(log, drawn, config, rng))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        losses.append(loss.item())
        if state and len(losses) % KEEP == 0:
            _keep(model, optimiser, Learnt(config=config, data=state[1], losses=losses), state[0])
        progress(step + 1, config.steps, f"loss {np.mean(losses[-50:]):.4f}")
    model.eval()
    return losses


def _share(done: float) -> float:
    """Learning rate over its greatest: up in a line, down in half a cosine."""
    if done < WARM:
        return max(done / WARM, 0.01)
    return float((1 + np.cos(np.pi * (done - WARM) / (1 - WARM))) / 2)


def _keep(model: Grace, optimiser: torch.optim.AdamW, learnt: Learnt, folder: Path) -> None:
    arrays: dict[str, NDArray[Any]] = {
        f"model/{name}": array for name, array in model.weights().items()
    }
    for number, moments in optimiser.state_dict()["state"].items():
        arrays |= {
            f"optimiser/{number}/{name}": part.cpu().numpy() for name, part in moments.items()
        }
    checkpoint.save(
        folder, arrays, learnt, "A training that was not finished; the same call goes on.\n"
    )


def _resume(model: Grace, optimiser: torch.optim.AdamW, state: tuple[Path, str]) -> list[float]:
    """Go on where the folder's training is; its losses, none where there is no training."""
    folder, data = state
    if not (folder / checkpoint.WEIGHTS).exists():
        return []
    learnt, arrays = checkpoint.load(folder, Learnt, f"remove the folder {str(folder)!r}")
    if learnt.config != model.config or learnt.data != data:
        mine, theirs = model.config.model_dump(), learnt.config.model_dump()
        others = [name for name in mine if mine[name] != theirs[name]] or ["the data"]
        raise SetupError(
            f"The folder {str(folder)!r} holds a training with other settings ({quoted(others)}); "
            f"go on with those, name another folder, or remove it."
        )
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    weights = {
        name.removeprefix("model/"): part
        for name, part in tensors.items()
        if name.startswith("model/")
    }
    model.load_state_dict(weights)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, part in tensors.items():
        if name.startswith("optimiser/"):
            _, number, moment = name.split("/")
            moments.setdefault(int(number), {})[moment] = part
    optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})
    return list(learnt.losses)
