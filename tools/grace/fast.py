"""JSA in less time: each branch gathers the keys that it reads, none is masked away.

    compressed, inter, current   one attention over the few keys that all queries share
    intra                        the keys of the N chosen interactions, gathered once per interaction

The same numbers as `JourneyAttention`, forward and backward, which a test checks. The shared branches go
through PyTorch's fused attention; the intra branch is one small problem per interaction and head.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as fused

from merchgraph.tools.grace.jsa import Blocks, Heads, JourneyAttention


class FastJourneyAttention(JourneyAttention):
    """`JourneyAttention` by gathering; weights and results are the same."""

    def summaries(self, query: Tensor, summary: Heads, blocks: Blocks) -> Tensor:
        """(B, n, L, H, d) — what the summaries tell."""
        return _shared(query, *summary, _gaps(blocks.there))

    def inside(self, query: Tensor, pair: Heads, chosen: Tensor, real: Tensor) -> Tensor:
        """(B, n, L, H, d) — what the chosen interactions tell."""
        return _gathered(query, pair, chosen, real)

    def common(self, name: str, states: Tensor, query: Tensor, blocks: Blocks) -> Tensor:
        """(B, n, L, H, d) — what the branches inter and current read; only that is projected."""
        if name == "inter":
            rows, cut = slice(None), self.coarse
        else:
            rows, cut = slice(-min(self.window, query.shape[1]), None), slice(None)
        pair = self.pair(name, states[:, rows, cut])
        there = _gaps(blocks.there[:, rows])
        if there is not None:
            there = there.repeat_interleave(pair.key.shape[2], dim=1)
        return _shared(query, pair.key.flatten(1, 2), pair.value.flatten(1, 2), there)


def _gaps(there: Tensor) -> Tensor | None:
    """None where nothing is padding: attention without a mask is faster."""
    return None if bool(there.all()) else there


def _shared(query: Tensor, key: Tensor, value: Tensor, there: Tensor | None) -> Tensor:
    """All queries (B, n, L, H, d) read the same keys (B, K, H, d), those that are there (B, K)."""
    flat, keys, values = (
        part.transpose(1, 2) for part in (query.flatten(1, 2), key, value)
    )  # (B, H, T or K, d)
    if there is None:
        found = fused(flat, keys, values)
    else:
        # what may read nothing gets a uniform share of zeros, not NaN
        some = there.any(1)[:, None, None, None]
        mask = there[:, None, None, :] | ~some
        found = fused(flat, keys, values, attn_mask=mask) * some
    return found.transpose(1, 2).reshape(query.shape)


def _gathered(query: Tensor, pair: Heads, chosen: Tensor, real: Tensor) -> Tensor:
    """Each interaction reads the tokens of those that it has chosen.

    Args:
        query: (B, n, L, H, d).
        pair: (B, n, L, H, d) keys and values.
        chosen: (B, n, N) int64; real: (B, n, N) bool.
    """
    batch, count, length, heads, width = query.shape
    # a row per interaction and head, so that what is gathered lies as the products want it
    places = chosen + torch.arange(batch, device=query.device)[:, None, None] * count
    rows = (
        places[:, :, None] * heads + torch.arange(heads, device=query.device)[:, None]
    ).flatten()
    keys, values = (
        side.transpose(2, 3).reshape(batch * count * heads, -1).index_select(0, rows)
        .view(batch * count * heads, -1, width) for side in pair
    )  # fmt: skip
    asked = (query / width**0.5).transpose(2, 3).flatten(0, 2)
    scores = torch.bmm(asked, keys.transpose(1, 2))
    if not real.all():
        mask = real.repeat_interleave(length, dim=2)[:, :, None].expand(-1, -1, heads, -1)
        scores = scores.masked_fill(~mask.flatten(0, 2)[:, None, :], float("-inf"))
    found = torch.bmm(scores.softmax(-1), values)
    return found.view(batch, count, heads, length, width).transpose(2, 3)
