"""The shipped score: what the embedding, the counts and the shopper's own past say, weighed.

A candidate's score is a weighted sum of signals. The weights are those under which NDCG of the item
taken out of baskets is greatest, baskets of a later window than the signals were made of. This is no part
of the paper: there the embedding stands alone. Sizes: S signals, I items, C cases, H rivals of a target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from merchgraph.tools.complement.data import Log
from merchgraph.tools.complement.holdout import Case
from merchgraph.tools.complement.model import Model
from merchgraph.tools.neighbours import Near, nearest

Doubles = NDArray[np.float64]
SIGNALS = ("basket", "cosine", "cosine sum", "own", "own share", "popularity")
"""basket: <item_out, pooled item_in> of the session (criterion 1); cosine: log(1 + c / FLOOR) of the mean
basket cosine c with the session's items; their sum; own: log(1 + earlier purchases); own share: log(1 +
SHARE x their share of all earlier ones); popularity: log(1 + count)."""
PRIOR = np.array([0.5, 1.5, 1.0, 1.0, 0.8, 0.0])
"""Weights where nothing can be learned, and where learning begins."""
FLOOR, SHARE = 0.002, 200.0
HARD, EVEN = 300, 200
"""Rivals of a target: the best ones by `PRIOR`, and some drawn evenly from the rest, who stand for it."""
RIDGE = 1e-5
"""Keeps weights finite: only their ratios matter to a ranking."""


@dataclass(frozen=True, eq=False)
class Signals:
    """What scores are made of.

    Attributes:
        model: trained.
        near: neighbours by cosine.
        popularity: (I,) log(1 + count).
    """

    model: Model
    near: Near
    popularity: Doubles

    @classmethod
    def counted(cls, model: Model, log: Log) -> Self:
        """Of a model and of what is counted in a log.

        Raises:
            SetupError: SciPy is not installed.
        """
        return cls(
            model,
            nearest(log.rows, log.ends, len(log.items)),
            np.log1p(log.counts.astype(np.float64)),
        )

    def of(self, case: Case) -> Doubles:
        """(S, I) float64, finite; 0 where the case says nothing."""
        found = np.zeros((len(SIGNALS), len(self.popularity)))
        session = list(dict.fromkeys(case.session))
        found[0] = self.model.by_basket([session])[0]
        found[2] = self.near.sums(session)
        found[1] = np.log1p(found[2] / (max(len(session), 1) * FLOOR))
        own = np.array(list(case.own.values()), dtype=np.float64)
        found[3, list(case.own)] = np.log1p(own)
        found[4, list(case.own)] = np.log1p(SHARE * own / max(own.sum(), 1))
        found[5] = self.popularity
        return found


class Rivals(NamedTuple):
    """Targets against others: differences of signals, one column per rival of each case.

    Attributes:
        gaps: (S, sum of H) rival minus target.
        stands: (sum of H,) how many items each rival stands for.
        starts: (C,) the first rival of each case.
    """

    gaps: Doubles
    stands: Doubles
    starts: NDArray[np.int64]


def weigh(signals: Signals, cases: Sequence[Case], seed: int = 0) -> Doubles:
    """(S,) — the weights of the greatest NDCG, its steps smoothed; `PRIOR` without a case."""
    if not cases:
        return PRIOR.copy()
    from scipy.optimize import minimize

    rng = np.random.default_rng(seed)
    rivals = _joined([_rivals(signals, case, rng) for case in cases])
    scale = np.maximum(rivals.gaps.std(axis=1), 1e-9)
    scaled = rivals._replace(gaps=rivals.gaps / scale[:, None])
    begin = PRIOR * scale
    for loss in (_surprise, _lost_ndcg):
        begin = minimize(loss, begin, args=(scaled,), jac=True, method="L-BFGS-B").x
    weights: Doubles = begin / scale
    return weights * np.linalg.norm(PRIOR) / max(float(np.linalg.norm(weights)), 1e-12)


def _rivals(signals: Signals, case: Case, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
    """(S, H) gaps and (H,) stands of one case."""
    table = signals.of(case)
    left = np.ones(table.shape[1], dtype=np.bool_)
    left[[*case.session, case.target]] = False
    others = np.flatnonzero(left)
    order = others[np.argsort(-(PRIOR @ table[:, others]), kind="stable")]
    hard, rest = order[:HARD], order[HARD:]
    even = rng.choice(rest, min(EVEN, len(rest)), replace=False)
    chosen = np.concatenate([hard, even])
    share = len(rest) / max(len(even), 1)
    stands = np.concatenate([np.ones(len(hard)), np.full(len(even), share)])
    return table[:, chosen] - table[:, [case.target]], stands


def _joined(parts: Sequence[tuple[Doubles, Doubles]]) -> Rivals:
    some = [part for part in parts if part[1].size]
    starts = np.cumsum([0, *(stands.size for _, stands in some)])[:-1]
    if not some:
        return Rivals(np.zeros((len(SIGNALS), 1)), np.zeros(1), np.zeros(1, dtype=np.int64))
    gaps, stands = (np.concatenate(both, axis=-1) for both in zip(*some, strict=True))
    return Rivals(gaps, stands, starts)


def _surprise(weights: Doubles, rivals: Rivals) -> tuple[float, Doubles]:
    """Mean of -log(share of the target), a conditional logit (McFadden 1974), with its slope."""
    odds = np.exp(np.clip(weights @ rivals.gaps, -30, 30)) * rivals.stands
    sums = 1 + np.add.reduceat(odds, rivals.starts)
    per = np.diff([*rivals.starts, odds.size])
    slope = rivals.gaps @ (odds / np.repeat(sums, per)) / len(per)
    value = float(np.log(sums).mean() + RIDGE / 2 * weights @ weights)
    return value, slope + RIDGE * weights


def _lost_ndcg(weights: Doubles, rivals: Rivals) -> tuple[float, Doubles]:
    """Mean of -1 / log2(2 + rivals above the target), a rival above by the sigmoid of its gap."""
    above = 1 / (1 + np.exp(-np.clip(weights @ rivals.gaps, -30, 30)))
    ranks = 2 + np.add.reduceat(above * rivals.stands, rivals.starts)
    per, logs = np.diff([*rivals.starts, above.size]), np.log2(ranks)
    steep = np.repeat(1 / (logs**2 * ranks * np.log(2)), per)
    slope = rivals.gaps @ (above * (1 - above) * rivals.stands * steep) / len(per)
    value = float(-(1 / logs).mean() + RIDGE / 2 * weights @ weights)
    return value, slope + RIDGE * weights
