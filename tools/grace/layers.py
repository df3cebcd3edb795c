"""Layers of the model: blocks that a token's slot chooses, and a decoder that keeps what it has read.

Sizes: B batch, K paths of each, S tokens of a path that are told at once, T tokens of the history,
L slots, H heads, d width of a head, D width, R hidden width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention as fused

from merchgraph.tools.grace.config import Config
from merchgraph.tools.grace.jsa import apart

Pair = tuple[Tensor, Tensor]


class Cache(NamedTuple):
    """What the decoder knows so far.

    Attributes:
        history: per layer keys and values (B, H, T, d).
        path: per layer keys and values (B, K, H, S, d) of the tokens so far, or None.
    """

    history: list[Pair]
    path: list[Pair | None]

    def of(self, parents: Tensor) -> Cache:
        """The same, with each path replaced by one of its shopper's (B, K)."""
        rows = torch.arange(len(parents), device=parents.device)[:, None]
        kept: list[Pair | None] = [
            pair and (pair[0][rows, parents], pair[1][rows, parents]) for pair in self.path
        ]
        return Cache(self.history, kept)


class Routed(nn.Module):
    """A feed-forward block per slot; the behaviour of an interaction shifts the hidden layer.

    MBGen routes by position, without a learned router, and joins an embedding of the behaviour to the
    input; that is the same as a shift of the hidden layer.
    """

    def __init__(self, config: Config, length: int, behaviours: int) -> None:
        super().__init__()
        width, hidden = config.width, config.hidden
        self.into = nn.Parameter(torch.randn(length, width, hidden) / width**0.5)
        self.shift = nn.Parameter(torch.zeros(length, hidden))
        self.behaviour = nn.Embedding(behaviours, hidden)
        self.out = nn.Parameter(torch.randn(length, hidden, width) / hidden**0.5)
        nn.init.zeros_(self.behaviour.weight)

    def forward(self, states: Tensor, behaviour: Tensor, first: int = 0) -> Tensor:
        """(B, K, S, D) -> (B, K, S, D); the tokens have the slots from `first` on."""
        slots = slice(first, first + states.shape[2])
        flat = states.permute(2, 0, 1, 3).flatten(1, 2)
        hidden = torch.baddbmm(self.shift[slots, None], flat, self.into[slots])
        hidden = (hidden + self.behaviour(behaviour).flatten(0, 1)).relu()
        found = torch.bmm(hidden, self.out[slots]).view(-1, *states.shape[:2], states.shape[3])
        return found.permute(1, 2, 0, 3)


class DecoderLayer(nn.Module):
    """Attention to the tokens told so far, to the history, then a routed block."""

    def __init__(self, config: Config, length: int, behaviours: int) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.inner = nn.Linear(width, 3 * width, bias=False)
        self.query = nn.Linear(width, width, bias=False)
        self.pair = nn.Linear(width, 2 * width, bias=False)
        self.outs = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(2))
        self.routed = Routed(config, length, behaviours)

    def keys(self, states: Tensor) -> Pair:
        """Keys and values of a history (B, T, D), (B, H, T, d) each."""
        key, value = (
            apart(part, self.heads).transpose(1, 2) for part in self.pair(states).chunk(2, dim=-1)
        )
        return key.contiguous(), value.contiguous()

    def forward(
        self, states: Tensor, history: Pair, there: Tensor, before: Pair | None
    ) -> tuple[Tensor, Pair]:
        """(B, K, S, D) -> the same, and keys and values of all tokens so far.

        Args:
            states: of the tokens to tell, all of them at once if nothing came before.
            history: of `keys`.
            there: (B, T) bool.
            before: (B, K, H, S, d) keys and values of the tokens before; None if there are none.
        """
        inner, seen = self.inside(self.norms[0](states), before)
        states = states + inner
        batch, paths, size, width = states.shape
        query = self.query(self.norms[1](states)).flatten(1, 2)
        query = apart(query, self.heads).transpose(1, 2)
        found = fused(query, *history, attn_mask=there[:, None, None, :])
        found = found.transpose(1, 2).reshape(batch, paths, size, width)
        return states + self.outs[1](found), seen

    def told(self, states: Tensor, behaviour: Tensor, first: int) -> Tensor:
        """The routed block of a layer, added."""
        added: Tensor = self.routed(self.norms[2](states), behaviour, first)
        return states + added

    def inside(self, states: Tensor, before: Pair | None) -> tuple[Tensor, Pair]:
        """Attention of each path's tokens to themselves and to those before."""
        query, key, value = (
            apart(part, self.heads).transpose(2, 3) for part in self.inner(states).chunk(3, dim=-1)
        )
        if before is not None:
            key, value = (torch.cat(both, dim=3) for both in zip(before, (key, value), strict=True))
        found = fused(query, key, value, is_causal=before is None)
        joined: Tensor = self.outs[0](found.transpose(2, 3).flatten(3))
        return joined, (key, value)


class Decoder(nn.Module):
    """Tells the tokens of paths one after the other."""

    def __init__(self, config: Config, length: int, behaviours: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DecoderLayer(config, length, behaviours) for _ in range(config.layers)
        )
        self.last = nn.LayerNorm(config.width)

    def keys(self, states: Tensor) -> list[Pair]:
        """Per layer keys and values of a history (B, T, D)."""
        return [layer.keys(states) for layer in self._each()]

    def _each(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]

    def forward(
        self, states: Tensor, history: list[Pair], there: Tensor, cache: Cache | None = None
    ) -> tuple[Tensor, list[Pair | None]]:
        """(B, K, S, D) -> the same, and per layer keys and values of all tokens so far."""
        told: list[Pair | None] = []
        nobody = torch.zeros(states.shape[:2], dtype=torch.int64, device=states.device)
        for place, layer in enumerate(self._each()):
            before = cache.path[place] if cache else None
            first = before[0].shape[3] if before else 0
            states, seen = layer(states, history[place], there, before)
            states = layer.told(states, nobody, first)
            told.append(seen)
        return self.last(states), told
