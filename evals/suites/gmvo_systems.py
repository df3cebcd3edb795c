"""What the similar-item suite compares: rankings by hand, graph networks, the tool and its ablations.

A trained system is a config, trained once per seed; its scores are kept in the cache, so that a suite
that was stopped goes on where it stood.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.files import put
from merchgraph.runtime.settings import settings
from merchgraph.tools.gmvo.config import Config
from merchgraph.tools.gmvo.data import Floats
from merchgraph.tools.gmvo.edges import RELATIONS
from merchgraph.tools.gmvo.windows import Window

VERSION = "1"  # raise it when the same config trains another model
LAMBDAS = (0.0, 0.25, 0.5, 0.75, 1.0)
GRAPH_ONLY = {"parts": "graph", "value": 0.0, "epochs": 20, "rate": 1e-2, "decay": 0.01}
"""A graph without signals starts from nothing and learns longer; its epochs are only where the suite
begins to look (`gmvo_lengths.py`)."""
Kind = Literal["baseline", "ablation", "method"]
Scored = NDArray[np.float32]


class Trained(NamedTuple):
    """A system that is trained.

    Attributes:
        name, about: for the report.
        kind: of system.
        config: its settings but the seed.
        network: of `evals/baselines/gmvo_graphs.py`; "" is the tool's own.
    """

    name: str
    about: str
    kind: Kind
    config: Config
    network: str = ""


def trained(base: Config) -> list[Trained]:
    """The trained systems of the report's first table."""
    graph = base.model_copy(update=GRAPH_ONLY)
    systems = [
        Trained(name, f"{name} of PyG on the same edges", "baseline", graph, name)
        for name in ("GCN", "GraphSAGE", "GAT", "LightGCN")
    ]
    relevance = base.model_copy(update={"value": 0.0})
    clean = tuple(name for name in RELATIONS if name != "together")
    systems += [
        Trained("graph only", "the relational encoder without signals", "ablation", graph),
        Trained(
            "graph, no co-purchase", "graph only, without the contaminant relation", "ablation",
            graph.model_copy(update={"relations": clean}),
        ),
        Trained(
            "signals only", "the decoder's signals without the graph", "ablation",
            relevance.model_copy(update={"parts": "signals"}),
        ),
    ]  # fmt: skip
    return systems + [
        Trained(named(value), f"the tool trained with lambda = {value}", "method", config)
        for value, config in ((v, base.model_copy(update={"value": v})) for v in LAMBDAS)
    ]


def named(value: float) -> str:
    """The tool's name at a lambda."""
    return f"gmvo {value:g}"


def frontier(base: Config) -> list[Trained]:
    """The value losses beside each other, on the signals alone, which train in seconds."""
    alone = base.model_copy(update={"parts": "signals"})
    losses: dict[str, dict[str, object]] = {
        "gamma 1": {"gamma": 1.0},
        "gamma .5": {"gamma": 0.5},
        "expected value": {"objective": "expected"},
        "by pair": {"objective": "pointwise"},
    }
    return [
        Trained(f"{name}, {value:g}", "", "ablation", alone.model_copy(update=u | {"value": value}))
        for name, u in losses.items()
        for value in LAMBDAS
    ]


@dataclass(frozen=True)
class Trainer:
    """Trains systems on the same windows.

    Attributes:
        data: names the log and its cut.
        make: what was known and what came true, to learn from; called once, when something is trained.
        now: what is scored.
    """

    data: str
    make: Callable[[], Sequence[tuple[Window, Floats]]]
    now: Window

    @cached_property
    def windows(self) -> Sequence[tuple[Window, Floats]]:
        """What is learned from."""
        return self.make()

    def scores(self, system: Trained, seed: int) -> Scored:
        """(P,) float32 — scores of the pairs of `now`, from the cache where they were found before.

        Raises:
            SetupError: the cache cannot be written.
        """
        config = system.config.model_copy(update={"seed": seed})
        key = f"{VERSION} {self.data} {system.network} {config.model_dump_json()}"
        name = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        file = settings().cache_dir / "gmvo-suite" / f"{name}.npy"
        if file.exists():
            kept: Scored = np.load(file, allow_pickle=False)
            if kept.shape == (len(self.now.pairs),):
                return kept
        found = self._train(system.network, config)
        _keep(file, found)
        return found

    def _train(self, network: str, config: Config) -> Scored:
        from merchgraph.tools.gmvo.fit import fit, scorer, scores

        windows = [window for window, _ in self.windows]
        if network:
            from merchgraph.evals.baselines import gmvo_graphs as graphs

            (kind,) = (kind for kind in graphs.KINDS if kind == network)
            model = graphs.network(kind, windows, config)
        else:
            model = scorer(windows, config)
        fit(model, self.windows, config)
        return scores(model, self.now, config)


def mean_of(columns: Iterable[Mapping[str, Floats]]) -> dict[str, Floats]:
    """Each metric's mean over seeds, case by case."""
    some = list(columns)
    return {name: np.mean([one[name] for one in some], axis=0) for name in some[0]}


def _keep(file: Path, found: Scored) -> None:
    data = BytesIO()
    np.save(data, found, allow_pickle=False)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        put(file, data.getvalue())
    except OSError as error:
        raise SetupError(
            f"Scores cannot be kept in {str(file.parent)!r} ({error.strerror or error}); set "
            "MERCHGRAPH_CACHE to a folder that can be written to, or make room there."
        ) from error
