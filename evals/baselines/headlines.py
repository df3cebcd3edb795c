"""What picks the headline with more clicks: chance, length, a ridge; see `headline_model.py` for models.

    judge = Ridge().fit(earlier).judge
    judge([("You will not believe this", "A report on soil")])        # [0.61]

A judge is given pairs of headlines and says, for each, how probable it is that the first had more clicks.
Sizes: N texts, D width of a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.upworthy import clear_pairs, split
from merchgraph.tools.embedding import Embedder
from merchgraph.tools.vectors import Progress

Pairs = Sequence[tuple[str, str]]
Judge = Callable[[Pairs], Sequence[float]]
"""(first, second) headlines -> of each pair the probability that the first had more clicks, 0 to 1."""
PENALTIES = (0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0)
HELD_OUT = 0.25
"""Share of the tests, the latest, on which the penalty is chosen."""


def chance(pairs: Pairs) -> list[float]:
    """Knows nothing."""
    return [0.5] * len(pairs)


class Length:
    """The longer headline in characters, or the shorter one: whichever won more often before.

    Attributes:
        longer: which of both, after `fit`.
    """

    longer: bool

    def fit(self, headlines: pl.DataFrame) -> Self:
        """Learn the side from the clear pairs of these headlines."""
        pairs = clear_pairs(headlines)
        more = pl.col("first").str.len_chars().cast(pl.Int64) - pl.col("second").str.len_chars()
        won = pairs.select((more.sign() * pl.col("z").sign()).sum()).item()
        self.longer = bool(won > 0)
        return self

    def judge(self, pairs: Pairs) -> list[float]:
        """1, 0, or 0.5 for headlines of the same length."""
        side = 0.5 if self.longer else -0.5
        return [0.5 + side * float(np.sign(len(a) - len(b))) for a, b in pairs]


class Ridge:
    """Ridge regression of the log click rate on a headline's vector, within tests.

    Vectors are taken minus their mean over the headlines of the same test and image, so that neither
    the topic nor the image counts (the mean rate drops out with it). The penalty is the one that
    picks best on the clear pairs of the latest quarter of the tests; then all of them are fitted.

    Args:
        embedder: gives the vectors; None is `Embedder()`.

    Attributes:
        penalty: the chosen one, after `fit`.
    """

    penalty: float

    def __init__(self, embedder: Embedder | None = None) -> None:
        self.embedder = embedder or Embedder()

    def fit(self, headlines: pl.DataFrame, *, progress: Progress | None = None) -> Self:
        """Learn from headlines as `upworthy.load` has them.

        Args:
            headlines: at least two tests with a clear pair, in different weeks.
            progress: as of `Embedder.embed`; headlines that are new to it take a while.

        Raises:
            SetupError: there are too few headlines to choose a penalty on.
        """
        self.embedder.embed(headlines["headline"].to_list(), progress=progress)
        weeks = headlines.unique("test")["week"].sort()
        week = int(weeks[int((1 - HELD_OUT) * len(weeks))]) if len(weeks) else 0
        parts = split(headlines, week=week)
        known, held = clear_pairs(parts.earlier), clear_pairs(parts.later)
        if not known.height or not held.height:
            raise SetupError(
                f"The ridge needs clear pairs of headlines before and after a week, but of the "
                f"{headlines.height:,} headlines {known.height} pairs are earlier and {held.height} "
                "later; give more tests."
            )
        first, second = (self._vectors(held[side].to_list()) for side in ("first", "second"))
        won = held["z"].to_numpy() > 0
        fitted = self._fitted(parts.earlier)
        right = [((((first - second) @ w) > 0) == won).mean() for w in fitted]
        best = int(np.argmax(right))
        self.penalty, self.weights = PENALTIES[best], self._fitted(headlines)[best]
        return self

    def judge(self, pairs: Pairs) -> list[float]:
        """From the difference of the predicted log rates, as log odds: only its sign is fitted."""
        first, second = (self._vectors([pair[side] for pair in pairs]) for side in (0, 1))
        found: list[float] = (1 / (1 + np.exp((second - first) @ self.weights))).tolist()
        return found

    def _fitted(self, headlines: pl.DataFrame) -> list[NDArray[np.float64]]:
        """(D,) weights for each penalty."""
        rate = ((pl.col("clicks") + 0.5) / (pl.col("shows") + 1)).log()
        rows = headlines.with_columns(
            rate.alias("rate"), pl.struct("test", "image").rank("dense").alias("group")
        )
        vectors, group = self._vectors(rows["headline"].to_list()), rows["group"].to_numpy() - 1
        sums = np.zeros((int(group.max()) + 1, vectors.shape[1]))
        np.add.at(sums, group, vectors)
        vectors = vectors - sums[group] / np.bincount(group)[group, None]
        square, product = vectors.T @ vectors, vectors.T @ rows["rate"].to_numpy()
        return [np.linalg.solve(square + k * np.eye(len(square)), product) for k in PENALTIES]

    def _vectors(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(N, D)."""
        return self.embedder.embed(texts).astype(np.float64)
