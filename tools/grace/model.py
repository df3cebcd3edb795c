"""GRACE: an encoder of tokenized journeys, a decoder of paths, and a path that copies.

    P(b, item) = g * copy(b, item) + (1 - g) * told(b, item)

`told` is the product of the decoder's token probabilities along the path (behaviour first, then coarse to
fine); `copy` is a softmax over the items that the shopper has had; g is read off the encoder's start. The
copy path is ours: in a grocery half of the next items were bought before.

The skeleton is MBGen's, read in its public code: encoder and decoder, behaviour before the item's tokens,
feed-forward blocks that are chosen by the slot of a token and know its behaviour. Departures: no user
token, since shoppers are told by their past alone; journeys ago instead of relative positions, since a
basket has no order; probabilities are taken over the tokens that lead to an item; and a token starts at
its share in the log (`Paths.priors`), so that an untrained model tells the most popular items.

Sizes: B batch, n interactions with the start, L = 1 + P tokens of each, T = n L, K paths, D width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from merchgraph.tools.grace.candidates import FEATURES
from merchgraph.tools.grace.config import Config
from merchgraph.tools.grace.data import Goods
from merchgraph.tools.grace.fast import FastJourneyAttention
from merchgraph.tools.grace.jsa import Blocks, DenseAttention
from merchgraph.tools.grace.layers import Cache, Decoder, Routed
from merchgraph.tools.grace.paths import Paths
from merchgraph.tools.grace.samples import Batch, Targets

AGES = 64
"""Journeys ago that have an embedding of their own; older ones share the last."""
COPIED = 32
"""Width of the copy path."""


class Read(NamedTuple):
    """A history that was read.

    Attributes:
        states: (B, T, D); there: (B, T) bool.
        start: (B, D) — of the whole history.
    """

    states: Tensor
    there: Tensor
    start: Tensor


class Copies(NamedTuple):
    """What the copy path tells.

    Attributes:
        gate: (B,) log g; (B,) log (1 - g) is `rest`.
        share: (B, M, behaviours) log probabilities, which add up to 1 over both.
    """

    gate: Tensor
    rest: Tensor
    share: Tensor


class EncoderLayer(nn.Module):
    """Attention between tokens, then a block that their slots choose."""

    def __init__(self, config: Config, length: int, behaviours: int) -> None:
        super().__init__()
        kind = DenseAttention if config.attention == "dense" else FastJourneyAttention
        self.attention = kind(config, length)
        self.first, self.second = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.routed = Routed(config, length, behaviours)

    def forward(self, states: Tensor, blocks: Blocks, behaviour: Tensor) -> Tensor:
        """(B, n, L, D) -> (B, n, L, D)."""
        states = states + self.attention(self.first(states), blocks)
        routed: Tensor = self.routed(self.second(states), behaviour)
        return states + routed


class Grace(nn.Module):
    """The whole model.

    Args:
        config: settings.
        paths: of the items.
        goods: their counts and the behaviours.
    """

    def __init__(self, config: Config, paths: Paths, goods: Goods) -> None:
        super().__init__()
        self.config, self.paths = config, paths
        self.predicted, names = goods.predicted, len(goods.behaviours)
        told = [names, *paths.sizes] if config.behaviours else [*paths.sizes]
        self.sizes, length, width = told, len(told), config.width
        offsets = np.cumsum([1, *told])
        self.offsets = [int(offset) for offset in offsets[:-1]]
        self.embed = nn.Embedding(int(offsets[-1]), width)
        self.slot = nn.Parameter(torch.randn(length, width))
        self.ago = nn.Embedding(AGES, width)
        self.out = nn.Linear(width, int(offsets[-1]))
        self.encoder = nn.ModuleList(
            EncoderLayer(config, length, names + 1) for _ in range(config.layers)
        )
        self.last = nn.LayerNorm(width)
        self.decoder = Decoder(config, length, names + 1)
        self.gate = nn.Linear(width + 1, 1)
        self.mine = nn.ModuleDict({
            "features": nn.Linear(len(FEATURES), COPIED),
            "tokens": nn.Linear(width, COPIED, bias=False),
            "start": nn.Linear(width, COPIED, bias=False),
        })  # fmt: skip
        self.told = nn.Linear(COPIED, goods.predicted)
        # what is told begins at the prior
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self._tables(goods)

    def _tables(self, goods: Goods) -> None:
        """What follows from the paths and is not learned."""
        shares = self.paths.priors(goods.counts)
        for depth, (table, children) in enumerate(zip(shares, self.paths.children, strict=True)):
            known = table if self.config.prior else np.where(children >= 0, 0, -np.inf)
            prior = np.float32(known if self.config.trie else np.zeros_like(table))
            self.register_buffer(f"prior{depth}", torch.from_numpy(prior), persistent=False)
            self.register_buffer(f"after{depth}", torch.from_numpy(children), persistent=False)
        start = len(self.sizes) - len(self.paths.slots)
        tokens = self.paths.tokens + np.array(self.offsets[start:])
        self.register_buffer("tokens", torch.from_numpy(tokens), persistent=False)
        self.register_buffer("nodes", torch.from_numpy(self.paths.nodes), persistent=False)

    def table(self, name: str) -> Tensor:
        """What `_tables` made: tokens (I, P), nodes (I, P + 1), prior and after of each depth."""
        return self.get_buffer(name)

    def read(self, batch: Batch) -> Read:
        """The encoder over a batch of histories."""
        device = self.slot.device
        item, behaviour, journey, ago, there = (
            torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in batch[:5]
        )
        tokens = self.block(item, behaviour)
        states = self.embed(tokens) + self.slot
        states = states + self.ago(ago.clamp(max=AGES - 1))[:, :, None]
        blocks = Blocks(journey, there)
        for layer in self.encoder:
            states = layer(states, blocks, behaviour + 1)
        states = self.last(states)
        flat = there.repeat_interleave(states.shape[2], dim=1)
        return Read(states.flatten(1, 2), flat, states[:, 0].mean(1))

    def block(self, item: Tensor, behaviour: Tensor) -> Tensor:
        """(..., L) tokens of interactions (...); item -1 is the start."""
        tokens = self.table("tokens")[item.clamp(min=0)]
        if self.config.behaviours:
            tokens = torch.cat([behaviour[..., None] + self.offsets[0], tokens], dim=-1)
        start: Tensor = tokens * (item >= 0)[..., None]
        return start

    def told_paths(self, read: Read, item: Tensor, behaviour: Tensor) -> Tensor:
        """(B, K) log probability that the decoder tells these behaviours and items (B, K)."""
        tokens = self.block(item, behaviour)
        states, _ = self.decoder(self.asked(tokens), self.decoder.keys(read.states), read.there)
        total = torch.zeros(item.shape, device=states.device)
        nodes = self.table("nodes")[item]
        for place in range(len(self.sizes)):
            depth = place - (len(self.sizes) - len(self.paths.slots))
            node = nodes[..., depth] if depth >= 0 else None
            logs = self.logs(states[:, :, place], place, node)
            token = tokens[..., place, None] - self.offsets[place]
            total = total + logs.gather(-1, token).squeeze(-1)
        return total

    def asked(self, tokens: Tensor) -> Tensor:
        """(B, K, L, D) — what the decoder is given to tell the tokens (B, K, L): the ones before."""
        before = torch.cat([torch.zeros_like(tokens[..., :1]), tokens[..., :-1]], dim=-1)
        given: Tensor = self.embed(before) + self.slot
        return given

    def logs(self, states: Tensor, place: int, node: Tensor | None) -> Tensor:
        """(..., V) log probabilities of the tokens of a slot, after a node of the trie."""
        size = self.predicted if node is None else self.sizes[place]
        rows = slice(self.offsets[place], self.offsets[place] + size)
        scores = nn.functional.linear(states, self.out.weight[rows], self.out.bias[rows])
        if node is not None:
            depth = place - (len(self.sizes) - len(self.paths.slots))
            scores = scores + self.table(f"prior{depth}")[node]
        return scores.log_softmax(-1)

    def copies(self, read: Read, batch: Batch) -> Copies:
        """What the copy path tells of the candidates; without any it is closed."""
        device = read.start.device
        item = torch.from_numpy(batch.candidates).to(device)
        features = torch.from_numpy(batch.features).to(device)
        there, known = item >= 0, (item >= 0).sum(1, keepdim=True)
        tokens = self.mine["tokens"](self.embed.weight)[
            self.table("tokens")[item.clamp(min=0)]
        ].mean(2)
        hidden = self.mine["features"](features) + tokens + self.mine["start"](read.start)[:, None]
        scores = self.told(nn.functional.gelu(hidden)).masked_fill(~there[..., None], -1e9)
        share = scores.flatten(1).log_softmax(-1).view(scores.shape)
        gate = self.gate(torch.cat([read.start, known.float().log1p() / 5], dim=-1)).squeeze(-1)
        gate = gate.masked_fill(known.squeeze(-1) == 0, -1e9)
        if not self.config.copies:
            gate = torch.full_like(gate, -1e9)
        log_sigmoid = nn.functional.logsigmoid
        return Copies(log_sigmoid(gate), log_sigmoid(-gate), share)

    def loss(self, batch: Batch, targets: Targets) -> Tensor:
        """Mean of -log P(b, item) over what came next, and the decoder's own part of it, weighted."""
        device = self.slot.device
        item, behaviour, copy = (torch.from_numpy(part).to(device) for part in targets)
        wanted, read = item >= 0, self.read(batch)
        told = self.told_paths(read, item.clamp(min=0), behaviour.clamp(min=0))
        own = -told[wanted].mean()
        if self.config.copies:
            copies = self.copies(read, batch)
            rows = torch.arange(len(item), device=device)[:, None]
            mine = copies.share[rows, copy.clamp(min=0), behaviour.clamp(min=0)]
            mine = mine.masked_fill(copy < 0, -1e9)
            told = torch.logaddexp(copies.gate[:, None] + mine, copies.rest[:, None] + told)
        return self.config.alone * own - told[wanted].mean()

    def cache(self, read: Read) -> Cache:
        """Where a search begins."""
        return Cache(self.decoder.keys(read.states), [None] * self.config.layers)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """What was learned, by name."""
        return {name: part.detach().cpu().numpy() for name, part in self.state_dict().items()}
