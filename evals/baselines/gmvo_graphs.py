"""Graph networks of PyG on the tool's edges, with its decoder and loss: GCN, GraphSAGE, GAT, LightGCN.

    model = network("GCN", windows, config)      # scores pairs as `Scorer` does, from the graph alone

They know one kind of edge, so the relations are put together. LightGCN (He et al. 2020, doi:10.1145/
3397271.3401063) learns a vector per item and nothing of its features; the others read the nodes' numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from merchgraph.tools.gmvo.config import Config
from merchgraph.tools.gmvo.model import Graph, Scorer
from merchgraph.tools.gmvo.signals import NAMES
from merchgraph.tools.gmvo.windows import Window

Kind = Literal["GCN", "GraphSAGE", "GAT", "LightGCN"]
KINDS: tuple[Kind, ...] = ("GCN", "GraphSAGE", "GAT", "LightGCN")
FIRST = 0.1
"""Deviation of LightGCN's first vectors."""


def network(kind: Kind, windows: Sequence[Window], config: Config) -> Scorer:
    """A model of that kind with its first weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        goods, width = windows[0].nodes.shape
        encoder = (
            Light(goods, config.width, config.layers)
            if kind == "LightGCN"
            else Stack(kind, width, config)
        )
        return Scorer(encoder, config.width, None, torch.zeros(len(NAMES)))


class Stack(nn.Module):
    """Layers of one kind, (I, X) -> (I, D), with a residual and a norm as in the tool's encoder."""

    def __init__(self, kind: Kind, nodes: int, config: Config) -> None:
        super().__init__()
        width = config.width
        self.enter = nn.Linear(nodes, width)
        self.layers = nn.ModuleList(_layer(kind, width) for _ in range(config.layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.layers))
        self.dropout, self.weighted = nn.Dropout(config.dropout), kind == "GCN"

    def forward(self, graph: Graph) -> Tensor:
        """(I, D) float32."""
        index, weight = _together(graph)
        hidden: Tensor = torch.tanh(self.enter(graph.nodes))
        for layer, norm in zip(self.layers, self.norms, strict=True):
            told = layer(hidden, index, weight) if self.weighted else layer(hidden, index)
            hidden = norm(hidden + torch.relu(self.dropout(told)))
        return hidden


class Light(nn.Module):
    """Vectors of items, spread over the edges and averaged over the layers: (I, D)."""

    def __init__(self, goods: int, width: int, layers: int) -> None:
        super().__init__()
        from torch_geometric.nn import LGConv

        self.items = nn.Parameter(FIRST * torch.randn(goods, width))
        self.spread, self.layers = LGConv(), layers

    def forward(self, graph: Graph) -> Tensor:
        """(I, D) float32."""
        index, weight = _together(graph)
        found: list[Tensor] = [self.items]
        for _ in range(self.layers):
            found.append(self.spread(found[-1], index, weight))
        return torch.stack(found).mean(dim=0)


def _layer(kind: Kind, width: int) -> Any:
    from torch_geometric.nn import GATConv, GCNConv, SAGEConv

    if kind == "GCN":
        return GCNConv(width, width)
    if kind == "GAT":
        heads = 1 if width % 2 else 2
        return GATConv(width, width // heads, heads=heads)
    return SAGEConv(width, width)


def _together(graph: Graph) -> tuple[Tensor, Tensor]:
    """All relations as one: index (2, E) and weight (E,), each pair once, weights added up."""
    from torch_geometric.utils import coalesce

    index = torch.cat([index for index, _ in graph.edges], dim=1)
    weight = torch.cat([weight for _, weight in graph.edges])
    merged, total = coalesce(index, weight, num_nodes=len(graph.nodes))
    return merged, total
