"""A small recurrent network with attention over a span's bins: what order tells beyond summaries.

Bins are held against the span's first half second and go through one GRU layer; attention weighs its
states, so a short reaction counts in a calm span. Sizes: N clips, C spans, T bins, F features, H width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from merchgraph.tools.reactions.cuts import Cut
from merchgraph.tools.reactions.windows import BASE, Floats

if TYPE_CHECKING:
    import torch


@dataclass
class Gru:
    """A GRU with attention, trained on all clips at a time.

    Attributes:
        width: H.
        epochs: steps of Adam.
        rate: of a step.
        decay: of the weights.
    """

    width: int = 8
    epochs: int = 40
    rate: float = 0.02
    decay: float = 1e-2
    seed: int = 0

    def fit(self, cut: Cut) -> Self:
        """Learn; the same seed gives the same network."""
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits as entropy

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.net = _network(cut.bins.shape[-1], self.width)
            x, y = _sequences(cut), torch.tensor(cut.error, dtype=torch.float32)
            y = y.repeat_interleave(cut.bins.shape[1])
            step = torch.optim.AdamW(self.net.parameters(), self.rate, weight_decay=self.decay)
            balance = (1 - y).sum() / y.sum()
            self.net.train()
            for _ in range(self.epochs):
                step.zero_grad()
                entropy(self.net(x), y, pos_weight=balance).backward()  # type: ignore[no-untyped-call]
                step.step()
        self.net.eval()
        return self

    def p(self, cut: Cut) -> Floats:
        """(N,) probability of an error."""
        import torch

        with torch.no_grad():
            logits = self.net(_sequences(cut)).reshape(cut.bins.shape[:2])
            return np.asarray(torch.sigmoid(logits.mean(1)).double().numpy())


def _sequences(cut: Cut) -> torch.Tensor:
    """(N * C, T, F) bins minus those of the span's start."""
    import torch

    start = cut.bins[:, :, :BASE].mean(2, keepdims=True)
    return torch.tensor(np.concatenate(cut.bins - start), dtype=torch.float32)


def _network(features: int, width: int) -> torch.nn.Module:
    from torch import Tensor, nn

    class Network(nn.Module):
        """x: (N, T, F) -> (N,) logits."""

        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(features, width, batch_first=True)
            self.drop = nn.Dropout(0.3)
            self.weigh = nn.Linear(width, 1)
            self.out = nn.Linear(width, 1)

        def forward(self, x: Tensor) -> Tensor:
            states = self.drop(self.gru(x)[0])
            weights = self.weigh(states).softmax(1)
            logits: Tensor = self.out((weights * states).sum(1))
            return logits[:, 0]

    return Network()
