"""The graph modality: what the graph of households, items and behaviours says of an item.

One LightGCN (He et al. 2020, doi:10.1145/3397271.3401063; the model of PyG) per behaviour, trained by BPR
on the edges of a window. A household is folded in from its trail by one step of the same convolution, so
that households which the training never met are no exception, and questions about later baskets are
answered without their own edges. An item's numbers are

    its vector and degree under each behaviour                  the same for all households
    affinity (household . item) and log(1 + edges) of each      for the household that is asked about

Sizes: K behaviours, I goods, D width, n items of a question.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # PyG scripts what torch gives up
    from torch_geometric.nn import LightGCN

from merchgraph.tools.checkpoint import Progress, quiet
from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.data import Ints, Log, Trail

Floats32 = NDArray[np.float32]
AT_ONCE = 65_536
"""Edges of a step."""
RATE, DECAY, FIRST = 2e-2, 1e-4, 0.1


class Relations(NamedTuple):
    """What was learned from the graph.

    Attributes:
        vectors: (K, I, D) float32.
        degrees: (K, I) float32 — households with an edge.
        scale: (2 K + 2,) float32 — deviation of what `mine` tells, over households and their items.
    """

    vectors: Floats32
    degrees: Floats32
    scale: Floats32

    @property
    def known(self) -> NDArray[np.bool_]:
        """(I,) whether the item has an edge."""
        return np.asarray(self.degrees.sum(axis=0) > 0, np.bool_)

    @property
    def table(self) -> Floats32:
        """(I, K (D + 1)) float32 — vectors and log degrees, each column standardised."""
        kinds, goods, width = self.vectors.shape
        many = np.moveaxis(self.vectors, 0, 1).reshape(goods, kinds * width)
        whole = np.concatenate([many, np.log1p(self.degrees).T], axis=1)
        if not goods:
            return np.asarray(whole, np.float32)
        spread = whole.std(axis=0)
        return np.asarray(
            (whole - whole.mean(axis=0)) / np.where(spread > 0, spread, 1), np.float32
        )

    def mine(self, trail: Trail, items: Ints) -> Floats32:
        """(n, 2 K + 2) float32 — a household's affinities, log edges, all edges, and if any."""
        edges = self.edges(trail, items)
        times = np.expm1(edges).sum(axis=0)
        found = [*self.affinities(trail, items), *edges, np.log1p(times), times > 0]
        return np.asarray(np.stack(found, axis=1) / self.scale, np.float32)

    def affinities(self, trail: Trail, items: Ints) -> list[Floats32]:
        """Per behaviour (n,): the household's vector times the item's."""
        found = []
        for kind, (vectors, degrees) in enumerate(zip(self.vectors, self.degrees, strict=True)):
            own = np.unique(trail.items[trail.behaviours == kind])
            weight = 1 / np.sqrt(np.maximum(degrees[own], 1) * max(1, len(own)))
            found.append(np.asarray(vectors[items] @ (weight @ vectors[own]), np.float32))
        return found

    def edges(self, trail: Trail, items: Ints) -> list[Floats32]:
        """Per behaviour (n,): log(1 + times that the household did it with the item)."""
        found = []
        for kind in range(len(self.vectors)):
            own, counts = np.unique(trail.items[trail.behaviours == kind], return_counts=True)
            place = np.searchsorted(own, items)
            met = np.append(own, -1)[np.minimum(place, len(own))] == items
            found.append(np.where(met, np.log1p(np.append(counts, 0)[place]), 0).astype(np.float32))
        return found


def relations(
    past: Log, goods: int, start: float, config: Config, progress: Progress = quiet
) -> Relations:
    """Learn from the rows before a day.

    Args:
        past: the log.
        goods: I.
        start: the day.
        config: settings.
        progress: told after each step.
    """
    shape = (len(past.behaviours), goods)
    vectors = np.zeros((*shape, config.graph_width), np.float32)
    degrees = np.zeros(shape, np.float32)
    total = config.graph_steps * len(past.behaviours)
    for kind in range(len(past.behaviours)):
        rows = (past.day < start) & (past.behaviour == kind)
        edges = np.unique(np.stack([past.user[rows], past.item[rows]]), axis=1)
        degrees[kind] = np.bincount(edges[1], minlength=goods)
        if edges.shape[1]:
            told = (kind * config.graph_steps, total, progress)
            vectors[kind] = _learned(edges, len(past.users), goods, config, told)
    bare = Relations(vectors, degrees, np.ones(2 * len(past.behaviours) + 2, np.float32))
    return bare._replace(scale=_scale(bare, past, start, config))


def _learned(
    edges: Ints, users: int, goods: int, config: Config, told: tuple[int, int, Progress]
) -> Floats32:
    """(I, D) item vectors of one behaviour by BPR."""
    done, total, progress = told
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = LightGCN(users + goods, config.graph_width, config.graph_layers)
        torch.nn.init.normal_(model.embedding.weight, std=FIRST)
        one = torch.from_numpy(np.stack([edges[0], edges[1] + users]))
        both = torch.cat([one, one.flip(0)], dim=1)
        optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
        size = min(AT_ONCE, one.shape[1])
        for step in range(config.graph_steps):
            drawn = one[:, torch.randint(one.shape[1], (size,))]
            false = users + torch.randint(goods, (size,))
            found = model.get_embedding(both)
            of = found[drawn[0]]
            gap = (of * (found[drawn[1]] - found[false])).sum(dim=1)
            first = model.embedding.weight
            length = first[drawn[0]].square().sum() + first[drawn[1]].square().sum()
            loss = torch.nn.functional.softplus(-gap).mean() + DECAY * length / size
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            progress(done + step + 1, total, f"graph, loss {loss.item():.3f}")
        with torch.no_grad():
            vectors = model.get_embedding(both)[users:]
    return np.asarray(vectors.numpy(), np.float32)


def _scale(bare: Relations, past: Log, start: float, config: Config) -> Floats32:
    """Deviations of a household's numbers, over some households and all that they met."""
    rng = np.random.default_rng(config.seed)
    found = []
    for user in rng.permutation(len(past.users))[:200]:
        until = int(past.first[user] + np.sum(past.day[past.user == user] < start))
        trail = past.trail(int(user), until)
        if len(trail.items):
            met = np.unique(trail.items)
            others = rng.integers(len(bare.known), size=len(met))
            found.append(bare.mine(trail, np.concatenate([met, others])))
    spread = np.concatenate(found).std(axis=0) if found else np.ones(len(bare.scale))
    return np.asarray(np.where(spread > 1e-6, spread, 1), np.float32)
