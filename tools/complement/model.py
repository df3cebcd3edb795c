"""The complement model: what is bought next, told by what is in the basket and by who buys.

    log odds(i | u, history) = <item_out_i, mean of item_in over the history> + <item_for_user_i, user_u>

Xu et al., WSDM 2020 (arXiv 1904.12574), eq. 1 and 6; two item vectors make the score asymmetric and
non-transitive (section 3.2). Tokens pull item_in of like items together (eq. 5). Criterion 1 is the first
product alone, criterion 2 the sum (section 3.3). The paper's formula prints item-out in the user's term
where its definition and the released code have a block of its own, as here. Departures: none of the
losses; a user with one basket shares a vector with all such.

Sizes: I items, P and Q widths, N users, W and X tokens, B histories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from merchgraph.tools.complement.config import Config
from merchgraph.tools.complement.data import Log

Floats = NDArray[np.float32]
Sums = Mapping[str, Floats]
"""Name of a table -> what a pass leaves to the next one beside the table, in its shape."""
FEW = 4
"""Histories up to which scores are summed without BLAS."""
COLD_PASSES, COLD_RATE, COLD_LAST, COLD_NEGATIVES = 200, 0.01, 1e-4, 50
"""Of the released code: passes over the tokens, first and last rate, negatives per token."""


@dataclass(frozen=True, eq=False)
class Model:
    """What is learned.

    Attributes:
        item_in: (I, P) float32 — an item as what is in the basket.
        item_out: (I, P) — as what comes next.
        item_for_user: (I, Q) — as what a user has a taste for.
        user: (N, Q).
        token: (W, P) — context tokens of items.
        user_token: (X, Q).
        largest: histories are pooled by the maximum, not the mean.
    """

    item_in: Floats
    item_out: Floats
    item_for_user: Floats
    user: Floats
    token: Floats
    user_token: Floats
    largest: bool = False

    @classmethod
    def fresh(cls, log: Log, config: Config) -> Self:
        """Small random inputs, zero outputs, as the released code begins."""
        rng = np.random.default_rng(config.seed)

        def small(rows: int, width: int) -> Floats:
            return rng.uniform(-1 / width, 1 / width, (rows, width)).astype(np.float32)

        count, p, q = len(log.items), config.dim, config.user_dim
        item_in = small(count, p)
        return cls(
            item_in=item_in,
            item_out=np.zeros((count, p), np.float32) if config.dual else item_in,
            item_for_user=np.zeros((count, q), np.float32),
            user=small(len(log.users), q),
            token=np.zeros((len(log.tokens.names), p), np.float32),
            user_token=np.zeros((len(log.user_tokens.names), q), np.float32),
            largest=config.pooling == "max",
        )

    def tensors(self) -> dict[str, Floats]:
        """The arrays by name."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "largest"}

    @classmethod
    def of(cls, tensors: dict[str, NDArray[Any]], config: Config) -> Self:
        """From `tensors`; tied vectors are one array again."""
        named = {one.name: tensors[one.name] for one in fields(cls) if one.name != "largest"}
        if not config.dual:
            named["item_out"] = named["item_in"]
        return cls(**named, largest=config.pooling == "max")

    def pooled(self, histories: Sequence[Sequence[int]]) -> Floats:
        """(B, P) — each history as one vector (eq. 6); zeros for an empty one."""
        found = np.zeros((len(histories), self.item_in.shape[1]), np.float32)
        for row, history in zip(found, histories, strict=True):
            if len(history):
                near = self.item_in[np.asarray(history)]
                row[:] = near.max(axis=0) if self.largest else near.mean(axis=0)
        return found

    def by_basket(self, histories: Sequence[Sequence[int]]) -> Floats:
        """(B, I) — s(i, history), criterion 1."""
        pooled = self.pooled(histories)
        if len(pooled) > FEW:
            found: Floats = pooled @ self.item_out.T
            return found
        # on a busy machine the threads of BLAS wait for each other: 20 ms in place of one
        few: Floats = np.einsum("bp,ip->bi", pooled, self.item_out)
        return few

    def by_user(self, users: Sequence[int]) -> Floats:
        """(B, I) — s(i, u), which criterion 2 adds."""
        found: Floats = self.user[np.asarray(users, dtype=np.int64)] @ self.item_for_user.T
        return found

    def cold(self, tokens: Sequence[int], token_counts: NDArray[np.int64], seed: int = 0) -> Floats:
        """(P,) — item-in of an item that was never bought, from its tokens alone (eq. 9).

        Logistic regression of the tokens that it carries against negatives by count^0.5, from zero, the
        tokens' vectors fixed; passes, rate and negatives of the released code.
        """
        rng = np.random.default_rng(seed)
        vector = np.zeros(self.token.shape[1], np.float32)
        chance = np.sqrt(token_counts.astype(np.float64))
        carried = self.token[np.asarray(tokens, dtype=np.int64)]
        for rate in np.linspace(COLD_RATE, COLD_LAST, COLD_PASSES):
            drawn = rng.choice(len(chance), COLD_NEGATIVES * len(tokens), p=chance / chance.sum())
            others = self.token[drawn[~np.isin(drawn, tokens)]]
            step = (1 - _sigmoid(carried @ vector)) @ carried - _sigmoid(others @ vector) @ others
            vector += (rate * step).astype(np.float32)
        return vector


def _sigmoid(x: Floats) -> Floats:
    return ((1 + np.tanh(x / 2)) / 2).astype(
        np.float32
    )  # of the two forms, the one without overflow
