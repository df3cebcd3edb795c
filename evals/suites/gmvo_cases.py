"""Cases of the similar-item suite: real substitutions after the cut, and how a ranking meets them.

A case is one occasion on which a household left an item for others of its type (`tools/gmvo/data.py`).
The item is the query, those bought instead are the targets, all other goods of the type the candidates.
Types of fewer than 9 goods are left out: a list of 8 would hold them whole.

    NDCG@k       as in `evals/metrics/ranking.py`; ties in the order of the catalogue
    Hit@k        1 if a target is among the first k
    GMV@k        sum of the list prices of the targets among the first k
    expected     sum over the first k of list price x chance, the chance of a target after its query being
                 counted over all cases, with 5 more spread by popularity: less noise, the same purchases
    price ratio  mean list price of the first k over the query's

What is shown is not recorded in such a log: GMV counts what was bought anyway, not what a list causes.

Sizes: P pairs, N cases, M rows (a case has one per target).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.gmvo.data import Floats, Ints, Moves
from merchgraph.tools.gmvo.signals import popularity
from merchgraph.tools.gmvo.windows import Window

K = 8
LEAST_GOODS = K + 1
SMOOTHING = 5.0
METRICS = (f"NDCG@{K}", f"Hit@{K}", f"GMV@{K}", f"expected GMV@{K}", "price ratio")
LENGTHS = (4, 20)
"""Other lengths of a list."""
OTHERS = ("NDCG", "Hit", "GMV")
Columns = dict[str, Floats]


@dataclass(frozen=True, eq=False)
class Cases:
    """Occasions after a moment.

    Attributes:
        window: what is known.
        place: (M,) int64 — pair of each row.
        case: (M,) int64 — its case, 0 to N - 1.
        query: (N,) int64 — the good left.
        household: (N,) int64 — whose occasion; what intervals draw.
        worth: (N,) float64 — list prices of all targets.
        chances: (P,) float64 — of the target after the source, counted over the cases.
    """

    window: Window
    place: Ints
    case: Ints
    query: Ints
    household: Ints
    worth: Floats
    chances: Floats

    @classmethod
    def of(cls, window: Window, moves: Moves, end: float = np.inf) -> Self:
        """The occasions from the window's moment until `end`.

        Raises:
            SetupError: there is none.
        """
        pairs, later = window.pairs, moves.within(window.past.day, end)
        place = pairs.place(later.source, later.target)
        many = np.diff(pairs.starts) >= LEAST_GOODS - 1
        kept = (place >= 0) & many[later.source]
        _, first, case = np.unique(later.occasion[kept], return_index=True, return_inverse=True)
        if not len(first):
            raise SetupError(
                f"No purchase after the cut replaces an item of a type with {LEAST_GOODS} goods or "
                f"more; give a longer log, or a lower least."
            )
        place = place[kept]
        prices = window.past.goods.prices[pairs.target[place]]
        return cls(
            window=window,
            place=place,
            case=case,
            query=later.source[kept][first],
            household=later.user[kept][first],
            worth=np.bincount(case, prices).astype(np.float64),
            chances=_chances(window, place, case),
        )

    def __len__(self) -> int:
        return len(self.query)

    def judge(self, scores: NDArray[np.floating], k: int = K) -> Columns:
        """One value per case and metric, (N,) each.

        Args:
            scores: (P,) larger is better.
            k: places that count.
        """
        pairs, prices = self.window.pairs, self.window.past.goods.prices
        ranks = pairs.ranks(scores)
        mine = ranks[self.place]
        found = (mine < k).astype(np.float64)
        gains = np.bincount(self.case, found / np.log2(mine + 2))
        ideal = np.cumsum(1 / np.log2(np.arange(k) + 2))
        targets = np.minimum(np.bincount(self.case), k)
        shown = ranks < k
        expected = np.bincount(pairs.source, shown * prices[pairs.target] * self.chances)
        ratios = shown * prices[pairs.target] / np.maximum(prices[pairs.source], 0.01)
        listed = np.minimum(np.diff(pairs.starts), k)[self.query]
        return {
            f"NDCG@{k}": gains / ideal[targets - 1],
            f"Hit@{k}": (np.bincount(self.case, found) > 0).astype(np.float64),
            f"GMV@{k}": np.bincount(self.case, found * prices[pairs.target[self.place]]),
            f"expected GMV@{k}": expected[self.query],
            "price ratio": np.bincount(pairs.source, ratios)[self.query] / listed,
        }

    def lengths(self, scores: NDArray[np.floating]) -> dict[str, float]:
        """Mean NDCG, Hit and GMV of lists of other lengths."""
        means: dict[str, float] = {}
        for k in LENGTHS:
            found = self.judge(scores, k)
            means |= {f"{name}@{k}": float(found[f"{name}@{k}"].mean()) for name in OTHERS}
        return means


def _chances(window: Window, place: Ints, case: Ints) -> Floats:
    """(P,) — targets per case of the source, shrunk to the popularity of the last 4 weeks."""
    pairs = window.pairs
    recent = popularity(window.past, 4)[pairs.target] + 0.1
    counts = np.bincount(place, minlength=len(pairs)).astype(np.float64)
    per_source = np.zeros(pairs.goods)
    sources, numbers = np.unique(
        np.unique(np.stack([pairs.source[place], case]), axis=1)[0], return_counts=True
    )
    per_source[sources] = numbers
    prior = recent / pairs.sums(recent)
    return np.asarray(
        (counts + SMOOTHING * prior) / (per_source[pairs.source] + SMOOTHING), np.float64
    )
