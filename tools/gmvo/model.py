"""The model: a relational encoder of the item graph, a directed decoder, and the losses.

    h_i <- LN(h_i + relu(W0 h_i + sum_r sum_{j in N_r(i)} a^r_ij W_r h_j))       two layers
    s(i -> j) = h_i^T diag(theta) h'_j + b_j + w . signals(i, j)                 h' = a second head of h

The paper (GNN-GMVO, arXiv 2310.17732) is known here by its abstract: a graph network over cleaned item
relations that is trained for gross merchandise value. Encoder, decoder and losses are our design in that
spirit; the signals in the decoder, too. They enter linearly, with weights that start as the product of
the wallet, the switches and popularity, so that an untrained model ranks well already.

Sizes: I goods, P pairs, E edges of a relation, R relations, X numbers of a node, D width, F signals.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    # importing PyG 2.8 compiles functions in a way that torch 2.13 calls deprecated
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch_geometric.nn import MessagePassing

LIMITS = (0.2, 5.0)
"""What a price-aware weight is clipped to."""


class Graph(NamedTuple):
    """What a model reads of a window.

    Attributes:
        nodes: (I, X) float32.
        signals: (P, F) float32, as they come.
        source, target: (P,) int64.
        edges: per relation, index (2, E) int64 [from, at] and weight (E,) float32.
    """

    nodes: Tensor
    signals: Tensor
    source: Tensor
    target: Tensor
    edges: list[tuple[Tensor, Tensor]]


class Targets(NamedTuple):
    """What a loss reads of a window.

    Attributes:
        source: (P,) int64.
        wanted: (P,) float32, 0 or more — how often a pair came true.
        value: (P,) float32 — price of the target over the mean of its type.
        noise: (P,) float32 — negatives of a pair per positive of its source, by expectation.
    """

    source: Tensor
    wanted: Tensor
    value: Tensor
    noise: Tensor


class Relational(MessagePassing):  # type: ignore[misc]  # PyG ships no types
    """One layer: (I, D) and the edges of R relations -> (I, D)."""

    def __init__(self, width: int, relations: int, dropout: float) -> None:
        super().__init__(aggr="sum")
        self.own = nn.Linear(width, width)
        self.others = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(relations))
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)

    def forward(self, nodes: Tensor, edges: list[tuple[Tensor, Tensor]]) -> Tensor:
        """nodes: (I, D) -> (I, D)."""
        told = self.own(nodes)
        for linear, (index, weight) in zip(self.others, edges, strict=True):
            told = told + self.propagate(index, x=linear(nodes), weight=weight)
        return torch.as_tensor(self.norm(nodes + torch.relu(self.dropout(told))))

    def message(self, x_j: Tensor, weight: Tensor) -> Tensor:
        """x_j: (E, D), weight: (E,) -> (E, D)."""
        return weight[:, None] * x_j


class Encoder(nn.Module):
    """A stack of relational layers."""

    def __init__(self, nodes: int, width: int, relations: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(nodes, width)
        self.layers = nn.ModuleList(Relational(width, relations, dropout) for _ in range(layers))

    def forward(self, graph: Graph) -> Tensor:
        """(I, D) float32."""
        hidden: Tensor = torch.tanh(self.enter(graph.nodes))
        for layer in self.layers:
            hidden = torch.as_tensor(layer(hidden, graph.edges))
        return hidden


class Decoder(nn.Module):
    """A score for each pair, from both ends: h_i^T diag(theta) h'_j + b_j."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.source, self.target = nn.Linear(width, width), nn.Linear(width, width)
        self.bias = nn.Linear(width, 1)
        self.theta = nn.Parameter(torch.full((width,), 1 / width))

    def forward(self, hidden: Tensor, graph: Graph) -> Tensor:
        """hidden: (I, D) -> (P,) float32."""
        one, other = self.source(hidden) * self.theta, self.target(hidden)
        scores: Tensor = (one[graph.source] * other[graph.target]).sum(dim=1)
        biases: Tensor = self.bias(hidden)
        return scores + biases[graph.target, 0]


class Scorer(nn.Module):
    """Scores of pairs by the graph, by the signals, or by both.

    Args:
        encoder: None leaves the graph out.
        width: D of the encoder.
        scale: (2, F) float32 — mean and deviation of each signal; None leaves the signals out.
        start: (F,) float32 — first weights of the standardised signals.
    """

    def __init__(
        self, encoder: nn.Module | None, width: int, scale: Tensor | None, start: Tensor
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = Decoder(width) if encoder is not None else None
        self.weights = nn.Parameter(start.clone()) if scale is not None else None
        self.register_buffer("scale", scale)

    def forward(self, graph: Graph) -> Tensor:
        """(P,) float32."""
        scores = graph.signals.new_zeros(len(graph.source))
        if self.weights is not None:
            scale = self.get_buffer("scale")
            scores = scores + ((graph.signals - scale[0]) / scale[1]) @ self.weights
        if self.encoder is not None and self.decoder is not None:
            scores = scores + self.decoder(self.encoder(graph), graph)
        return scores


def log_softmax(scores: Tensor, source: Tensor, goods: int) -> Tensor:
    """(P,) — log of each pair's share of exp(score) in the list of its source."""
    empty = scores.new_full((goods,), -torch.inf)
    top = empty.scatter_reduce(0, source, scores.detach(), "amax")
    shifted = scores - top[source]
    total = scores.new_zeros(goods).index_add(0, source, shifted.exp())
    return shifted - total[source].log()


def weights_of(value: Tensor, gamma: float) -> Tensor:
    """(P,) — g = (price / mean price of the type) ^ gamma, clipped to [0.2, 5]."""
    return value.clamp_min(1e-6).pow(gamma).clamp(*LIMITS)


def listwise(scores: Tensor, targets: Targets, weights: Tensor, goods: int) -> Tensor:
    """Weighted cross-entropy of what came true against the softmax over a source's candidates.

    Its optimum is wanted times weights, up to the list's sum: a weight of a target's value moves it up.
    """
    told = targets.wanted * weights
    return -(told * log_softmax(scores, targets.source, goods)).sum() / told.sum()


def pointwise(scores: Tensor, targets: Targets, weights: Tensor, goods: int) -> Tensor:
    """L_rel (weights 1) and L_gmv of the digest: -sum g log p - sum over negatives g log(1 - p).

    Negatives count by their expected number. A pair's odds are its share of the list over that number,
    so that scores tend to a log share here, too. Since g weighs both sides of a pair, the optimum of a
    pair does not depend on it: only what the model cannot fit gives way to the dearer pairs.
    """
    logits = log_softmax(scores, targets.source, goods) - targets.noise.log()
    of_source = scores.new_zeros(goods).index_add(0, targets.source, targets.wanted)
    negatives = targets.noise * of_source[targets.source]
    hit = targets.wanted * nn.functional.softplus(-logits)
    miss = negatives * nn.functional.softplus(logits)
    return (weights * (hit + miss)).sum() / (weights * targets.wanted).sum()


def expected(scores: Tensor, targets: Targets, temperature: float, goods: int) -> Tensor:
    """L_list: -sum softmax(s / T) value wanted, the value that one item drawn from the list brings."""
    chance = log_softmax(scores / temperature, targets.source, goods).exp()
    return -(chance * targets.value * targets.wanted).sum() / targets.wanted.sum()
