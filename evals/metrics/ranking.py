"""How well one ranking, or one list of scores, finds the relevant items: one value per case.

    NDCG@k = sum over relevant items at places p <= k of 1 / log2(p + 1), over the best such sum
    Hit@k  = 1 if a relevant item is among the first k, else 0
    MRR    = 1 / place of the first relevant item, wherever it is; 0 if it is nowhere
    AUC    = chance that a relevant item scores above another one; a tie counts one half

All are 0 (worst) to 1 (best). Rankings are strict, so they have no ties. The ranking metrics come from
ir_measures (nDCG, Success, RR). AUC is Mann and Whitney's U, from the ranks of SciPy, over the number of
pairs: the value of scikit-learn's roc_auc_score, as a test checks, in a tenth of its time or less.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from merchgraph.evals.extra import bench

DECIMALS = 9
"""Kept of a value: the last bits of a logarithm differ between machines."""


class Judged(NamedTuple):
    """A ranking, best first, and the items that should be high in it."""

    ranking: Sequence[str]
    relevant: Collection[str]


def ranking_metrics(
    ranking: Sequence[str], relevant: Collection[str], *, k: int = 5
) -> dict[str, float]:
    """NDCG@k, Hit@k and MRR of one ranking, best first; see `many` for the rules."""
    return many([Judged(ranking, relevant)], k=k)[0]


def many(cases: Sequence[Judged], *, k: int = 5) -> list[dict[str, float]]:
    """NDCG@k, Hit@k and MRR of each ranking; several at once are six times as quick as one by one.

    Every value is NaN where nothing is relevant, and 0 where the ranking is empty. A relevant item
    that is not ranked counts in the best sum of NDCG all the same.

    Raises:
        ValueError: a ranking that names an item twice, or a k below 1.
    """
    if k < 1:
        raise ValueError(f"k is the number of places that count, at least 1, not {k}")
    with bench("Ranking metrics"):
        from ir_measures import RR, Qrel, ScoredDoc, Success, iter_calc, nDCG
    names = {nDCG @ k: f"NDCG@{k}", Success @ k: f"Hit@{k}", RR: "MRR"}
    truth = [Qrel(str(case), item, 1) for case, row in enumerate(cases) for item in row.relevant]
    found = [
        ScoredDoc(str(case), item, float(-place))
        for case, row in enumerate(cases)
        for place, item in enumerate(_strict(row.ranking))
    ]
    values = [dict.fromkeys(names.values(), 0.0 if row.relevant else math.nan) for row in cases]
    if truth and found:
        for value in iter_calc(list(names), truth, found):
            if cases[int(value.query_id)].relevant:
                values[int(value.query_id)][names[value.measure]] = round(value.value, DECIMALS)
    return values


def auc(scores: Mapping[str, float], relevant: Collection[str]) -> float:
    """Area under the ROC curve of the scores of one case, by item.

    NaN where it is undefined: no scored item is relevant, or all are. Items without a score are left
    out, so a system that scores few items is judged on those alone: print how many.

    Raises:
        ValueError: a score that is not a number.
    """
    if any(math.isnan(score) for score in scores.values()):
        raise ValueError(f"a score is not a number: {dict(scores)}")
    labels = [item in relevant for item in scores]
    above = sum(labels)
    pairs = above * (len(labels) - above)
    if not pairs:
        return math.nan
    with bench("AUC"):
        from scipy.stats import rankdata
    ranks = sum(
        rank for rank, label in zip(rankdata([*scores.values()]), labels, strict=True) if label
    )
    return round(float(ranks - above * (above + 1) / 2) / pairs, DECIMALS)


def _strict(ranking: Sequence[str]) -> Sequence[str]:
    if len(set(ranking)) < len(ranking):
        raise ValueError(f"a ranking names an item twice: {list(ranking)}")
    return ranking
