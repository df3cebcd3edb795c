"""The training loop: any module that scores pairs, on the windows of a log, stopped and resumed.

    model = scorer(windows, config)
    losses = fit(model, windows, config, state=(folder, name_of_the_data))
    found = scores(model, window, config)

After each epoch the weights, the optimiser's moments and the losses are in a folder; the same call goes
on from there and ends at the same bits as one that was not stopped.

Sizes: P pairs, I goods.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from merchgraph.runtime.errors import SetupError
from merchgraph.tools import checkpoint
from merchgraph.tools.checkpoint import Progress, quiet
from merchgraph.tools.data.checks import quoted
from merchgraph.tools.gmvo.config import Config
from merchgraph.tools.gmvo.data import Floats
from merchgraph.tools.gmvo.model import (
    Encoder,
    Graph,
    Scorer,
    Targets,
    expected,
    listwise,
    pointwise,
    weights_of,
)
from merchgraph.tools.gmvo.signals import NAMES
from merchgraph.tools.gmvo.windows import Window

START = {"wallet": 0.4, "wallet, 12 weeks": 0.3, "switch, 12 weeks": 0.15,
         "switch back, 12 weeks": 0.15, "household cosine": 0.2}  # fmt: skip
"""First weights of the signals: the ranking of an untrained model."""
WARM = 0.2
"""Part of the steps in which the learning rate rises."""
SEEDS = 100_003
"""Epochs have seeds of their own, so that a training that goes on draws what it would have drawn."""


class Learnt(BaseModel):
    """How far a training is; what makes two trainings the same one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: Config
    data: str
    losses: list[float]


class Example(NamedTuple):
    """One window as tensors."""

    graph: Graph
    targets: Targets


def scorer(windows: Sequence[Window], config: Config) -> Scorer:
    """The model that the settings name, with its first weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        width = windows[0].nodes.shape[1]
        relations, layers = len(config.relations), config.layers
        encoder = (
            Encoder(width, config.width, relations, layers, config.dropout)
            if config.parts != "signals"
            else None
        )
        scale = _scale(windows)
        start = torch.tensor([START.get(name, 0.0) for name in NAMES]) * scale[1]
        return Scorer(encoder, config.width, scale if config.parts != "graph" else None, start)


def fit(
    model: nn.Module,
    windows: Sequence[tuple[Window, Floats]],
    config: Config,
    *,
    state: tuple[Path, str] | None = None,
    progress: Progress = quiet,
) -> list[float]:
    """Train in place; the mean loss of each epoch.

    Args:
        model: `Graph` -> (P,) scores.
        windows: what was known, and (P,) how often each pair came true afterwards.
        config: settings.
        state: folder and name of the data, to go on after a stop; None keeps nothing.
        progress: told after each epoch.

    Raises:
        SetupError: the folder holds a training with other settings or data, or cannot be written; or
            there is no GPU, and the settings ask for one.
    """
    device = _device(config)
    model.to(device)
    examples = [example(window, came, config, device) for window, came in windows if came.any()]
    if not examples:
        return []
    optimiser = _optimiser(model, config)
    losses = _resume(model, optimiser, config, state) if state else []
    for epoch in range(len(losses), config.epochs):
        losses.append(_epoch(model, optimiser, examples, config, epoch))
        if state:
            _keep(model, optimiser, Learnt(config=config, data=state[1], losses=losses), state[0])
        progress(epoch + 1, config.epochs, f"loss {losses[-1]:.4f}")
    return losses


def scores(model: nn.Module, window: Window, config: Config) -> NDArray[np.float32]:
    """(P,) float32 — scores of the window's pairs."""
    device = torch.device(config.device)
    model.to(device).eval()
    with torch.no_grad():
        found = model(graph(window, config, device))
    return np.asarray(found.cpu().numpy(), np.float32)


def graph(window: Window, config: Config, device: torch.device) -> Graph:
    """A window as tensors."""
    edges = []
    for name in config.relations:
        at, of, weight = window.edges[name]
        index = torch.from_numpy(np.stack([of, at])).to(device)
        edges.append((index, torch.from_numpy(weight.astype(np.float32)).to(device)))
    return Graph(
        nodes=torch.from_numpy(window.nodes).to(device),
        signals=torch.from_numpy(window.signals).to(device),
        source=torch.from_numpy(window.pairs.source).to(device),
        target=torch.from_numpy(window.pairs.target).to(device),
        edges=edges,
    )


def example(window: Window, came: Floats, config: Config, device: torch.device) -> Example:
    """A window with what came true; negatives are half uniform, half by what is bought together."""
    pairs = window.pairs
    uniform = 1 / pairs.sums(np.ones(len(pairs)))
    together = pairs.sums(window.bought)
    hard = np.where(together > 0, window.bought / np.maximum(together, 1), uniform)
    noise = config.negatives * (uniform + hard) / 2
    value = window.past.goods.relative[pairs.target]
    # the list of a source that nobody left adds nothing to a loss
    asked = torch.from_numpy(pairs.sums(came) > 0).to(device)
    here = graph(window, config, device)
    here = here._replace(
        signals=here.signals[asked], source=here.source[asked], target=here.target[asked]
    )
    rest = [torch.from_numpy(a.astype(np.float32)).to(device) for a in (came, value, noise)]
    return Example(here, Targets(here.source, *(column[asked] for column in rest)))


def loss(scores: Tensor, targets: Targets, config: Config, goods: int) -> Tensor:
    """(1 - lambda) of the relevance loss and lambda of the value loss."""
    ones = torch.ones_like(targets.wanted)
    by_pair = pointwise if config.objective == "pointwise" else listwise
    weights = weights_of(targets.value, config.gamma)
    total = scores.new_zeros(())
    if config.value < 1:
        total = total + (1 - config.value) * by_pair(scores, targets, ones, goods)
    if config.value > 0 and config.objective == "expected":
        total = total + config.value * expected(scores, targets, config.temperature, goods)
    elif config.value > 0:
        total = total + config.value * by_pair(scores, targets, weights, goods)
    return total


def _device(config: Config) -> torch.device:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise SetupError(
            "The device is 'cuda', but torch sees no GPU here; take --preset cpu, or --set device=cpu."
        )
    return torch.device(config.device)


def _epoch(
    model: nn.Module,
    optimiser: torch.optim.AdamW,
    examples: Sequence[Example],
    config: Config,
    epoch: int,
) -> float:
    """One round over the windows in an order of its own; what is drawn depends on the epoch alone."""
    model.train()
    order = np.random.default_rng((config.seed, epoch)).permutation(len(examples))
    total, steps = 0.0, config.epochs * len(examples)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed * SEEDS + epoch)
        for step, number in enumerate(order, start=epoch * len(examples)):
            here, targets = examples[number]
            for group in optimiser.param_groups:
                group["lr"] = group["top"] * _share(step / steps)
            found = loss(model(here), targets, config, len(here.nodes))
            optimiser.zero_grad()
            found.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += found.item()
    return total / len(examples)


def _share(done: float) -> float:
    """Learning rate over its greatest: up in a line, down in half a cosine."""
    if done < WARM:
        return max(done / WARM, 0.01)
    return float((1 + np.cos(np.pi * (done - WARM) / (1 - WARM))) / 2)


def _scale(windows: Sequence[Window]) -> Tensor:
    """(2, F) mean and deviation of each signal over all windows; deviation 1 where it is 0."""
    table = np.concatenate([window.signals for window in windows])
    if not len(table):
        return torch.stack([torch.zeros(len(NAMES)), torch.ones(len(NAMES))])
    deviation = table.std(axis=0, dtype=np.float64)
    mean = table.mean(axis=0, dtype=np.float64)
    return torch.from_numpy(
        np.stack([mean, np.where(deviation > 1e-6, deviation, 1)]).astype(np.float32)
    )


def _optimiser(model: nn.Module, config: Config) -> torch.optim.AdamW:
    named = dict(model.named_parameters())
    signals = [named.pop("weights")] if "weights" in named else []
    groups = [
        {"params": signals, "top": config.signal_rate, "weight_decay": 0.0},
        {"params": list(named.values()), "top": config.rate, "weight_decay": config.decay},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=config.rate)


def _keep(model: nn.Module, optimiser: torch.optim.AdamW, learnt: Learnt, folder: Path) -> None:
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    for number, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{number}/{name}": tensor for name, tensor in moments.items()}
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    checkpoint.save(
        folder, arrays, learnt, "A training that was not finished; the same call goes on.\n"
    )


def _resume(
    model: nn.Module, optimiser: torch.optim.AdamW, config: Config, state: tuple[Path, str]
) -> list[float]:
    """Go on where the folder's training is; its losses, none where there is no training."""
    folder, data = state
    if not (folder / checkpoint.WEIGHTS).exists():
        return []
    learnt, arrays = checkpoint.load(folder, Learnt, f"remove the folder {str(folder)!r}")
    if learnt.config != config or learnt.data != data:
        mine, theirs = config.model_dump(), learnt.config.model_dump()
        others = [name for name in mine if mine[name] != theirs[name]] or ["the data"]
        raise SetupError(
            f"The folder {str(folder)!r} holds a training with other settings ({quoted(others)}); "
            f"go on with those, name another folder, or remove it."
        )
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    prefix = "model/"
    model.load_state_dict(
        {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
    )
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser/"):
            _, number, moment = name.split("/")
            moments.setdefault(int(number), {})[moment] = tensor
    optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})
    return list(learnt.losses)
