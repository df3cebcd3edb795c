"""Fusion of three modalities, after TMF (Walmart, arXiv 2410.12228): all-modality self-attention (AMSA),
cross-modality attention (CMA), and a projector into the language model's embedding space.

    h_m = W_m v_m + e_m          m in text, graph, image; a learned vector where an item lacks one
    AMSA  A'  = LN(A + MHSA(A));  A'' = LN(A' + FFN(A'))
    CMA   z   = LN(a_text + MHA(a_text, [a_image]));  y = LN(a_graph + MHA(a_graph, [z, a_image]))
    f     = P([y; z])            P: Linear, GELU, Linear; as long as the embeddings of words

The paper's equations are not public in what we could read; these are the design of our digest of it. AMSA
looks over the whole history, with tags for place and behaviour, or within an item (`Config.amsa`).
Candidates look at the history and at themselves, never at each other. A score is there for the stage
that trains the fusion by itself: [y; z] -> 1 and, past the layer norms, which hide how large a count is,
a candidate's own graph numbers, weighted per behaviour (wide and deep, Cheng et al. 2016).

Sizes: B questions, H history, C candidates, N = H + C, d width, E width of embeddings.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from merchgraph.tools.tmf.config import MODALITIES, Config
from merchgraph.tools.tmf.items import Facts, Widths

TEXT, GRAPH, IMAGE = range(3)


class Fused(NamedTuple):
    """What becomes of a batch.

    Attributes:
        vectors: (B, N, E) float32 — to stand in a prompt.
        scores: (B, C) float32 — of candidates, by the fusion alone.
    """

    vectors: Tensor
    scores: Tensor


class Attention(nn.Module):
    """Multi-head attention of (B, Q, d) on (B, S, d)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ask, self.tell = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, asking: Tensor, told: Tensor, seen: Tensor | None = None) -> Tensor:
        """(B, Q, d). seen: (B, Q, S) bool — what may be looked at; None is all."""
        batch, count, width = asking.shape
        query = self.ask(asking).view(batch, count, self.heads, -1).transpose(1, 2)
        key, value = self.tell(told).view(batch, told.shape[1], 2, self.heads, -1).unbind(2)
        mixed = nn.functional.scaled_dot_product_attention(
            query, key.transpose(1, 2), value.transpose(1, 2),
            attn_mask=None if seen is None else seen[:, None],
        )  # fmt: skip
        found: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, count, width))
        return found


class Amsa(nn.Module):
    """All-modality self-attention, (B, S, d) -> (B, S, d)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.inner = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """seen: (B, S, S) bool."""
        tokens = self.first(tokens + self.attention(tokens, tokens, seen))
        found: Tensor = self.second(tokens + self.inner(tokens))
        return found


class Cma(nn.Module):
    """Cross-modality attention, (M, 3, d) -> (M, 2 d): text asks image, graph asks both."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.text, self.graph = Attention(width, heads), Attention(width, heads)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """[y; z]."""
        text, graph, image = tokens[:, TEXT, None], tokens[:, GRAPH, None], tokens[:, IMAGE, None]
        z = self.first(text + self.text(text, image))
        y = self.second(graph + self.graph(graph, torch.cat([z, image], dim=1)))
        return torch.cat([y, z], dim=2)[:, 0]


class Fusion(nn.Module):
    """From a batch of facts to vectors in the embedding space.

    Args:
        widths: of the facts.
        config: settings.
        embedding: E.
        length: mean Euclidean length of the embeddings of words, which the vectors start with.
    """

    def __init__(self, widths: Widths, config: Config, embedding: int, length: float) -> None:
        super().__init__()
        width = config.width
        self.config, self.own = config, widths.graph - 2 * widths.behaviours - 2
        self.enter = nn.ModuleList(nn.Linear(size, width) for size in widths[:3])
        self.missing = nn.Parameter(0.02 * torch.randn(3, width))
        self.tags = nn.Parameter(0.02 * torch.randn(3, width))
        self.places = nn.Embedding(config.history + 1, width)
        self.did = nn.Embedding(widths.behaviours, width)
        self.amsa = Amsa(width, config.heads) if config.amsa != "none" else None
        self.cma = Cma(width, config.heads) if config.cma else None
        inner = self.own if config.fusion == "single" else 2 * width
        self.projector = nn.Sequential(
            nn.Linear(inner, embedding), nn.GELU(), nn.Linear(embedding, embedding)
        )
        self.length = nn.Parameter(torch.tensor([length]))
        self.score = nn.Linear(inner, 1)
        wide = config.wide and config.fusion != "single" and "graph" in config.modalities
        self.wide = nn.Embedding(widths.behaviours, widths.graph) if wide else None
        if self.wide is not None:
            nn.init.zeros_(self.wide.weight)

    def forward(self, facts: Facts) -> Fused:
        """Vectors of all N, scores of the candidates."""
        mixed = self._single(facts) if self.config.fusion == "single" else self._mixed(facts)
        vectors = nn.functional.normalize(self.projector(mixed), dim=-1) * self.length
        scores = self.score(mixed[:, self.config.history :])[..., 0]
        if self.wide is not None:
            graph, asked = (
                part[:, self.config.history :] for part in (facts.graph, facts.behaviour)
            )
            scores = scores + (self.wide(asked) * graph).sum(dim=-1)
        return Fused(vectors, scores)

    def _single(self, facts: Facts) -> Tensor:
        """(B, N, K (D + 1)) — the item's own graph vector, as LLaRA puts in a recommender's."""
        return torch.as_tensor(facts.graph[..., : self.own] * facts.has[..., GRAPH, None])

    def _mixed(self, facts: Facts) -> Tensor:
        """(B, N, 2 d)."""
        tokens = self._tokens(facts)
        batch, count, _, width = tokens.shape
        if self.config.fusion == "mean":
            return tokens.mean(dim=2).repeat(1, 1, 2)
        if self.amsa is not None:
            flat = tokens.view(batch, 3 * count, width)
            tokens = self.amsa(flat, self._seen(facts.real)).view(tokens.shape)
        if self.cma is not None:
            found: Tensor = self.cma(tokens.view(batch * count, 3, width))
            return found.view(batch, count, 2 * width)
        rest = (tokens[:, :, TEXT] + tokens[:, :, IMAGE]) / 2
        return torch.cat([tokens[:, :, GRAPH], rest], dim=2)

    def _tokens(self, facts: Facts) -> Tensor:
        """(B, N, 3, d) — one token per item and modality."""
        made = []
        given = (facts.text, facts.graph, facts.image)
        for number, (name, enter, vectors) in enumerate(
            zip(MODALITIES, self.enter, given, strict=True)
        ):
            has = facts.has[..., number, None] & (name in self.config.modalities)
            made.append(torch.where(has, enter(vectors), self.missing[number]) + self.tags[number])
        where = self.places(facts.place) + self.did(facts.behaviour)
        return torch.as_tensor(torch.stack(made, dim=2) + where[:, :, None])

    def _seen(self, real: Tensor) -> Tensor:
        """(B, 3 N, 3 N) bool — own tokens always; those of the history in the scope of all of it."""
        count = real.shape[1]
        own = torch.eye(count, dtype=torch.bool, device=real.device)
        seen = own.expand(len(real), -1, -1)
        if self.config.amsa == "history":
            history = real & (torch.arange(count, device=real.device) < self.config.history)
            seen = seen | history[:, None]
        return seen.repeat_interleave(3, dim=1).repeat_interleave(3, dim=2)


def listwise(scores: Tensor, right: Tensor) -> Tensor:
    """Cross-entropy of a slate, its right candidates sharing the probability; scores, right: (B, C)."""
    wanted = right.float() / right.sum(dim=1, keepdim=True)
    return -(wanted * scores.log_softmax(dim=1)).sum(dim=1).mean()
