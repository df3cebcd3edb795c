"""Passes over a log by torch, in batches: the same losses and draws of negatives for a GPU.

Steps are those of Adagrad on the batch's mean, since one plain step for thousands of observations would
be too long for frequent items; so rates are not comparable with the compiled loop's. Sizes as in
`model.py`, and T observations of a batch, K history, G negatives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.complement.config import Config
from merchgraph.tools.complement.data import Log, Tokens
from merchgraph.tools.complement.model import Model, Sums

if TYPE_CHECKING:
    import torch

BATCH = 8_192


class TorchPasses:
    """The passes of one training on one log.

    Args:
        log: what is learned from.
        config: settings.
        device: a torch device; None is that of the settings.
        sums: as `sums` was when a training was stopped; None begins one.

    Attributes:
        sums: name of a table -> Adagrad's sums of squares, its shape, float32.

    Raises:
        SetupError: torch is not installed, or sees no such device.
    """

    def __init__(
        self, log: Log, config: Config, device: str | None = None, sums: Sums | None = None
    ) -> None:
        try:
            import torch
        except ModuleNotFoundError as error:
            raise SetupError(
                "Training on a GPU needs the package torch, which is not installed: "
                "pip install 'merchgraph[torch]'."
            ) from error
        self._device = device or config.device
        if self._device.startswith("cuda") and not torch.cuda.is_available():
            raise SetupError(
                "The settings ask for the device 'cuda', but torch sees none; train with --preset cpu."
            )
        self.log, self.config = log, config
        self.sums = dict(sums or {})
        chances = {
            "item": log.counts,
            "token": _counts(log.tokens),
            "user": _counts(log.user_tokens),
        }
        self._chances = {
            name: torch.from_numpy(counts**config.power).to(self._device)
            for name, counts in chances.items()
        }

    def run(self, model: Model, epoch: int) -> int:
        """One pass, number `epoch` from 0; changes the model and returns the observations met."""
        import torch

        if not self.log.observations:
            return 0
        rng = np.random.default_rng([self.config.seed, epoch])
        torch.manual_seed(int(rng.integers(2**62)))
        named = {name: array for name, array in model.tensors().items() if len(array)}
        if not self.config.dual:
            del named["item_out"]
        tables = {
            n: torch.from_numpy(a).to(self._device).requires_grad_() for n, a in named.items()
        }
        tables.setdefault("item_out", tables["item_in"])
        steps = torch.optim.Adagrad([tables[name] for name in named], lr=self.config.rate)
        self._resume(steps, tables)
        target, near, user = self._observations(rng)
        for begin in range(0, len(target), BATCH):
            part = slice(begin, begin + BATCH)
            share = (epoch + begin / len(target)) / self.config.epochs
            steps.param_groups[0]["lr"] = self.config.rate * (1 - share)
            steps.zero_grad()
            self._loss(tables, target[part], near[part], user[part]).backward()  # type: ignore[no-untyped-call]
            steps.step()
        for name in named:
            named[name][:] = tables[name].detach().cpu().numpy()
            self.sums[name] = steps.state[tables[name]]["sum"].cpu().numpy()
        return len(target)

    def _resume(self, steps: Any, tables: dict[str, torch.Tensor]) -> None:
        """Go on with the sums of squares of the pass before."""
        import torch

        for name, sums in self.sums.items():
            steps.state[tables[name]]["sum"] = torch.tensor(sums, device=self._device)

    def _observations(self, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
        """Targets (T,), histories (T, K) with -1 where there is none, and users (T,), in random order."""
        import torch

        log, k = self.log, self.config.history
        basket = np.repeat(np.arange(len(log.ends) - 1), np.diff(log.ends))
        rows = log.rows[np.lexsort([rng.random(len(basket)), basket])].astype(np.int64)
        place = np.arange(len(rows)) - log.ends[:-1][basket]
        targets = rng.permutation(np.flatnonzero(place > 0))
        back = np.arange(1, k + 1)
        before = rows[np.maximum(targets[:, None] - back, 0)]
        near = np.where(place[targets, None] >= back, before, -1)
        user = log.user_of[basket[targets]].astype(np.int64)
        made = rows[targets], near, user
        return tuple(torch.from_numpy(array).to(self._device) for array in made)

    def _loss(
        self,
        tables: dict[str, torch.Tensor],
        target: torch.Tensor,
        near: torch.Tensor,
        user: torch.Tensor,
    ) -> torch.Tensor:
        """The losses of a batch (eq. 3 to 5), divided by its observations."""
        config = self.config
        there = (near >= 0).unsqueeze(-1)
        vectors = tables["item_in"][near.clamp(min=0)]
        if config.pooling == "max":
            pooled = vectors.masked_fill(~there, float("-inf")).amax(1)
        else:
            pooled = (vectors * there).sum(1) / there.sum(1)
        drawn = self._drawn("item", target)
        scores = (tables["item_out"][drawn] * pooled.unsqueeze(1)).sum(-1)
        if config.user:
            taste = tables["user"][user].unsqueeze(1)
            scores = scores + (tables["item_for_user"][drawn] * taste).sum(-1)
        loss = _bernoulli(scores)
        if config.context and len(self.log.tokens.names):
            loss = loss + config.meets * self._told(tables, near[:, 0], self.log.tokens, "token")
        if config.context and config.user and len(self.log.user_tokens.names):
            loss = loss + self._told(tables, user, self.log.user_tokens, "user")
        return loss / len(target)

    def _told(
        self, tables: dict[str, torch.Tensor], who: torch.Tensor, tokens: Tokens, kind: str
    ) -> torch.Tensor:
        """The token losses of some items or users."""
        import torch

        ends, things = tokens.ends, who.cpu().numpy()
        sizes = ends[things + 1] - ends[things]
        owner = np.repeat(things, sizes)
        inside = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        words = torch.from_numpy(tokens.of[ends[owner] + inside].astype(np.int64)).to(self._device)
        source, target = ("item_in", "token") if kind == "token" else ("user", "user_token")
        vectors = tables[source][torch.from_numpy(owner).to(self._device)].unsqueeze(1)
        return _bernoulli((tables[target][self._drawn(kind, words)] * vectors).sum(-1))

    def _drawn(self, kind: str, positive: torch.Tensor) -> torch.Tensor:
        """(T, 1 + G) — the positives, and negatives; one that equals its positive is drawn once more."""
        import torch

        shape = len(positive), self.config.negatives
        if not len(positive):
            return positive.new_zeros((0, 1 + self.config.negatives))
        chances = self._chances[kind]
        drawn, again = (
            torch.multinomial(chances, shape[0] * shape[1], replacement=True).view(shape)
            for _ in range(2)
        )
        negatives = torch.where(drawn == positive[:, None], again, drawn)
        return torch.cat([positive[:, None], negatives], dim=1)


def _bernoulli(scores: torch.Tensor) -> torch.Tensor:
    """(T, 1 + G) log odds, the bought one first -> the sum of their losses (eq. 3)."""
    from torch.nn.functional import softplus

    return softplus(-scores[:, 0]).sum() + softplus(scores[:, 1:]).sum()


def _counts(tokens: Tokens) -> NDArray[np.float64]:
    return np.bincount(tokens.of, minlength=len(tokens.names)).astype(np.float64)
