"""Passes over a log on the processor: prepares what the compiled loop needs and runs it in threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.complement.config import Config
from merchgraph.tools.complement.data import Log, Tokens
from merchgraph.tools.complement.model import Model, Sums

if TYPE_CHECKING:
    from merchgraph.tools.complement.kernel import Baskets, Chances, Plan
    from merchgraph.tools.complement.torch_fit import TorchPasses


class Passes:
    """The passes of one training on one log.

    Attributes:
        sums: none; plain steps leave nothing to the next pass.

    Raises:
        SetupError: numba is not installed.
    """

    sums: Sums = MappingProxyType({})

    def __init__(self, log: Log, config: Config) -> None:
        try:
            from merchgraph.tools.complement import kernel
        except ModuleNotFoundError as error:
            raise SetupError(
                "Training on the processor needs the package numba, which is not installed: "
                "pip install 'merchgraph[torch]'."
            ) from error
        self._kernel, self.log, self.config = kernel, log, config
        tokens = log.tokens if config.context else log.tokens.none()
        told = log.user_tokens if config.context else log.user_tokens.none()
        self._chances: tuple[Chances, Chances, Chances] = (
            alias(log.counts, config.power), alias(_counts(tokens), config.power),
            alias(_counts(told), config.power),
        )  # fmt: skip
        users = log.user_of if config.user else np.full_like(log.user_of, -1)
        self._baskets: Baskets = kernel.Baskets(
            log.rows, log.ends, users, tokens.of, tokens.ends, told.of, told.ends
        )

    def run(self, model: Model, epoch: int) -> int:
        """One pass, number `epoch` from 0; changes the model and returns the observations met.

        With one thread the same bits come out again, whatever ran before.
        """
        config, tables = self.config, self._kernel.Tables(*model.tensors().values())
        rng = np.random.default_rng([config.seed, epoch])
        order = rng.permutation(len(self.log.ends) - 1)
        order = order[np.diff(self.log.ends)[order] > 1]
        seeds = rng.integers(1, 2**63, size=config.threads).astype(np.uint64)
        plan = self._plan(epoch)

        def part(n: int) -> int:
            mine = order[n :: config.threads].copy()
            return int(self._kernel.run(tables, self._baskets, mine, plan, seeds[n]))

        if config.threads == 1:
            return part(0)
        with ThreadPoolExecutor(config.threads) as threads:
            return sum(threads.map(part, range(config.threads)))

    def _plan(self, epoch: int) -> Plan:
        config = self.config
        first, last = (config.rate * (1 - n / config.epochs) for n in (epoch, epoch + 1))
        items, tokens, told = self._chances
        return self._kernel.Plan(
            config.history, config.meets, config.negatives, config.pooling == "max" or None,
            float(first), float(last), items, tokens, told,
        )  # fmt: skip


def alias(counts: NDArray[np.int64], power: float) -> Chances:
    """Chances in proportion to count^power, to draw from in one step (Vose 1991, 10.1109/32.92917)."""
    from merchgraph.tools.complement.kernel import Chances

    weights = counts.astype(np.float64) ** power
    scaled = weights / max(weights.sum(), 1e-300) * len(weights)
    keep, other = np.ones(len(weights)), np.arange(len(weights))
    small, large = list(np.flatnonzero(scaled < 1)), list(np.flatnonzero(scaled >= 1))
    while small and large:
        low, high = small.pop(), large[-1]
        keep[low], other[low] = scaled[low], high
        scaled[high] -= 1 - scaled[low]
        if scaled[high] < 1:
            small.append(large.pop())
    return Chances(keep.astype(np.float32), other.astype(np.int32))


def _counts(tokens: Tokens) -> NDArray[np.int64]:
    return np.bincount(tokens.of, minlength=len(tokens.names)).astype(np.int64)


def passes(log: Log, config: Config, sums: Sums | None = None) -> Passes | TorchPasses:
    """What runs the passes on the device that the settings name.

    Args:
        log: what is learned from.
        config: settings.
        sums: of the passes of a training that was stopped.

    Raises:
        SetupError: numba or torch is not installed, or there is no such device.
    """
    if config.device == "cpu":
        return Passes(log, config)
    from merchgraph.tools.complement.torch_fit import TorchPasses

    return TorchPasses(log, config, sums=sums)
