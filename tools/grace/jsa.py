"""Journey-aware sparse attention (JSA) in plain PyTorch, each branch with a mask over what it may read.

    compressed   one summary per interaction, of the whole history: phi(tokens of b)
    intra        all tokens of the N interactions of the own journey that matter most
    inter        c coarse tokens (the department) of every interaction, across journeys
    current      all tokens of the latest W interactions

    o_i = sum over branches of sigmoid(U h_i) * softmax(q_i K / sqrt(d)) V    a gate per branch, head

Keys and values of each branch have projections of their own, as in NSA (arXiv 2502.11089); GRACE (arXiv
2507.14758) names the four parts, and what is not said there is our choice. What matters is told by the
compressed keys: the mean over heads and tokens of q K_b, so that the tokens of one interaction, which
are known together, choose together. An interaction always chooses itself. Choosing has no gradient;
it reaches the compressed keys through their own branch.

Coarse tokens of the own journey are read, too: so no branch is ever without a key, and with c = L, W = n
and one journey of N interactions each branch is exactly dense attention.

`fast.py` computes the same in less time. Sizes: B batch, n interactions (the first one is the start), L
tokens of each, T = n L, H heads, d width of a head, D = H d.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from merchgraph.tools.grace.config import Config

NEVER = -1e9


class Blocks(NamedTuple):
    """Which interactions a history has, newest last.

    Attributes:
        journey: (B, n) int64 — equal where two are of one journey.
        there: (B, n) bool — False is padding; the start is always there.
    """

    journey: Tensor
    there: Tensor


class Heads(NamedTuple):
    """Keys and values of one branch, (B, n, L, H, d) each, or (B, n, H, d) of summaries."""

    key: Tensor
    value: Tensor


class JourneyAttention(nn.Module):
    """JSA of the encoder: from and to (B, n, L, D).

    Args:
        config: width, heads, branches, select, coarse, window.
        length: L.
    """

    def __init__(self, config: Config, length: int) -> None:
        super().__init__()
        self.branches, self.heads = config.branches, config.heads
        self.select, self.window = config.select, config.window
        self.coarse = coarse_of(config.coarse, length)
        width = config.width
        self.query = nn.Linear(width, width, bias=False)
        self.pairs = nn.ModuleDict(
            {name: nn.Linear(width, 2 * width, bias=False) for name in config.branches}
        )
        self.summary: nn.Module = nn.Sequential(nn.Linear(length * width, width), nn.GELU())
        self.gate = nn.Linear(width, len(config.branches) * config.heads)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, states: Tensor, blocks: Blocks) -> Tensor:
        """(B, n, L, D) -> (B, n, L, D)."""
        query = self.split(self.query(states))
        summary = self.compressed(states) if "compressed" in self.branches else None
        found: dict[str, Tensor] = {}
        for name in self.branches:
            if name == "compressed" and summary:
                found[name] = self.summaries(query, summary, blocks)
            elif name == "intra":
                pair = self.pair(name, states)
                # without summaries the mean key of an interaction tells whether it matters
                told = summary.key if summary else pair.key.mean(2)
                found[name] = self.inside(query, pair, *self.chosen(query, told, blocks))
            else:
                found[name] = self.common(name, states, query, blocks)
        return self.join(states, found)

    def summaries(self, query: Tensor, summary: Heads, blocks: Blocks) -> Tensor:
        """(B, n, L, H, d) — what the summaries (B, n, H, d) tell."""
        return attend(query, *summary, blocks.there[:, None, :])

    def inside(self, query: Tensor, pair: Heads, chosen: Tensor, real: Tensor) -> Tensor:
        """(B, n, L, H, d) — what the chosen interactions (B, n, N) tell, where they are real."""
        batch, count, length = query.shape[:3]
        marks = torch.zeros(batch, count, count, device=query.device)
        seen = marks.scatter_add(2, chosen, real.float()) > 0
        mask = seen.repeat_interleave(length, dim=2)
        return attend(query, pair.key.flatten(1, 2), pair.value.flatten(1, 2), mask)

    def common(self, name: str, states: Tensor, query: Tensor, blocks: Blocks) -> Tensor:
        """(B, n, L, H, d) — what the branches inter and current read, the same for all queries."""
        count, length = query.shape[1:3]
        pair, there = self.pair(name, states), blocks.there
        every = torch.ones(length, dtype=torch.bool, device=there.device)
        if name == "inter":
            every = torch.zeros(length, dtype=torch.bool, device=there.device)
            every[self.coarse] = True
        else:
            there = there & (torch.arange(count, device=there.device) >= count - self.window)
        mask = (there[:, :, None] & every).flatten(1)[:, None, :]
        return attend(query, pair.key.flatten(1, 2), pair.value.flatten(1, 2), mask)

    def chosen(self, query: Tensor, told: Tensor, blocks: Blocks) -> tuple[Tensor, Tensor]:
        """(B, n, N) int64 interactions of the own journey, and (B, n, N) bool which of them are real.

        Args:
            query: (B, n, L, H, d).
            told: (B, n, H, d) a key of each interaction.
            blocks: whose journeys.
        """
        with torch.no_grad():
            worth = torch.einsum("bnhd,bmhd->bnm", query.mean(2), told)
            count = worth.shape[1]
            own = blocks.journey[:, :, None] == blocks.journey[:, None, :]
            own = own & blocks.there[:, None, :]
            itself = torch.eye(count, dtype=torch.bool, device=own.device)
            worth = worth.masked_fill(~own, NEVER).masked_fill(itself, -NEVER)
            best = worth.topk(min(self.select, count), dim=2)
            return best.indices, best.values > NEVER / 2

    def compressed(self, states: Tensor) -> Heads:
        """(B, n, H, d) keys and values of whole interactions."""
        return self.pair("compressed", self.summary(states.flatten(2)))

    def pair(self, name: str, states: Tensor) -> Heads:
        """Keys and values of a branch."""
        key, value = self.pairs[name](states).chunk(2, dim=-1)
        return Heads(self.split(key), self.split(value))

    def split(self, states: Tensor) -> Tensor:
        """(..., D) -> (..., H, d)."""
        return apart(states, self.heads)

    def join(self, states: Tensor, found: dict[str, Tensor]) -> Tensor:
        """Branches of (B, n, L, H, d), gated and added, -> (B, n, L, D)."""
        gates = apart(self.gate(states).sigmoid(), len(self.branches))
        total = sum(found[name] * gates[..., place, :, None]
                    for place, name in enumerate(self.branches))  # fmt: skip
        assert isinstance(total, Tensor)
        joined: Tensor = self.out(total.flatten(-2))
        return joined


class DenseAttention(nn.Module):
    """Attention of all tokens to all, from and to (B, n, L, D)."""

    def __init__(self, config: Config, length: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.pair = nn.Linear(config.width, 2 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, states: Tensor, blocks: Blocks) -> Tensor:
        """(B, n, L, D) -> (B, n, L, D)."""
        parts = (self.query(states), *self.pair(states).chunk(2, dim=-1))
        query, key, value = (
            apart(part.flatten(1, 2), self.heads).transpose(1, 2) for part in parts
        )
        mask = None if blocks.there.all() else blocks.there.repeat_interleave(states.shape[2], 1)
        mask = mask if mask is None else mask[:, None, None, :]
        found = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        joined: Tensor = self.out(found.transpose(1, 2).reshape(states.shape))
        return joined


def coarse_of(count: int, length: int) -> slice:
    """Which tokens of an interaction are coarse: from the second on, the first is its behaviour."""
    start = max(0, min(1, length - count))
    return slice(start, start + count)


def apart(states: Tensor, count: int) -> Tensor:
    """(..., D) -> (..., count, D / count)."""
    return states.view(*states.shape[:-1], count, states.shape[-1] // count)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Softmax attention with a mask; a query that may read nothing gets zeros.

    Args:
        query: (B, n, L, H, d).
        key, value: (B, K, H, d).
        mask: (B, n or 1, K) bool — which keys an interaction's tokens may read.

    Returns:
        (B, n, L, H, d).
    """
    scores = torch.einsum("bnlhd,bkhd->bnlhk", query, key) / query.shape[-1] ** 0.5
    allowed = mask[:, :, None, None, :]
    shares = scores.masked_fill(~allowed, NEVER).softmax(-1) * allowed
    return torch.einsum("bnlhk,bkhd->bnlhd", shares, value)


def keys_read(config: Config, interactions: int, length: int) -> float:
    """Keys that a query reads: n + N L + c n + W L, at most; all T = n L of them when dense."""
    tokens = interactions * length
    if config.attention == "dense":
        return float(tokens)
    read = {
        "compressed": interactions,
        "intra": min(config.select, interactions) * length,
        "inter": min(config.coarse, length) * interactions,
        "current": min(config.window, interactions) * length,
    }
    return float(sum(read[name] for name in config.branches))
