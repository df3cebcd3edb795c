"""Tests of systems on the same cases: right or wrong (McNemar), and ratings of several (Friedman).

    mcnemar([True, True, False], [False, True, False])       # of two systems' answers
    friedman([[4, 3, 5], [2, 2, 4], ...])                    # (N, K): K ratings of each of N cases
    holm([.01, .04, .03])                                    # p-values of one family of tests

All are two-sided. A p-value says how surprising the data would be if there were no difference; how large
the difference is, the intervals of `bootstrap.py` say.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from merchgraph.evals.extra import bench
from merchgraph.evals.metrics.bootstrap import DECIMALS

FEWEST_RATED = 3
"""Things rated per case that the test of Friedman needs; two are a matter for Wilcoxon's."""


class McNemar(BaseModel):
    """Cases that only one of two systems got right, and how surprising that split is.

    Attributes:
        first: cases that only the first system got right; `second` the other way round.
        p: exact, in (0, 1]; 1 where the systems never disagree.
    """

    model_config = ConfigDict(frozen=True)

    first: int
    second: int
    p: float


class Friedman(BaseModel):
    """Whether some of K things are rated otherwise than the others.

    Attributes:
        statistic: chi-squared with K - 1 degrees of freedom, corrected for ties; 0 where all are tied.
        p: in [0, 1]; 1 where all are tied.
        ranks: (K,) mean rank of each, 1 (rated lowest) to K (highest), ties shared.
        n: cases.
    """

    model_config = ConfigDict(frozen=True)

    statistic: float
    p: float
    ranks: list[float]
    n: int


class Pair(BaseModel):
    """Two of the K things rated, compared after Friedman's test.

    Attributes:
        first, second: their columns.
        difference: mean rating of the second minus that of the first.
        p: of Wilcoxon's signed ranks, adjusted by Holm over all pairs.
    """

    model_config = ConfigDict(frozen=True)

    first: int
    second: int
    difference: float
    p: float


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> McNemar:
    """McNemar's test (1947, doi:10.1007/BF02295996) in its exact form: the cases on which the systems
    disagree are coin flips under the hypothesis that neither is better.

    Args:
        first, second: whether each system got each case right; the same cases in the same order.

    Raises:
        ValueError: not as many values of both.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} answers are compared with {len(second)}")
    one = sum(a and not b for a, b in zip(first, second, strict=True))
    other = sum(b and not a for a, b in zip(first, second, strict=True))
    if not one + other:
        return McNemar(first=0, second=0, p=1.0)
    with bench("McNemar's test"):
        from scipy.stats import binomtest
    p = float(binomtest(one, one + other).pvalue)
    return McNemar(first=one, second=other, p=round(min(p, 1.0), DECIMALS))


def holm(values: Sequence[float]) -> list[float]:
    """P-values adjusted so that the chance of any false find in the family stays at its level.

    Holm's step-down method (1979, jstor.org/stable/4615733): the i-th smallest of m is multiplied by
    m - i + 1, none falls below one that was smaller, none exceeds 1. In the order given.

    Raises:
        ValueError: a value outside [0, 1].
    """
    if not all(0 <= value <= 1 for value in values):
        raise ValueError(f"p-values lie in [0, 1], not {list(values)}")
    order = sorted(range(len(values)), key=lambda place: values[place])
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = highest
    return adjusted


def friedman(ratings: ArrayLike) -> Friedman:
    """Friedman's test (1937, doi:10.1080/01621459.1937.10503522) of a table (N, K) of ratings.

    Raises:
        ValueError: not a table of 3 columns or more, no row, or a rating that is not finite.
    """
    table = _table(ratings, FEWEST_RATED)
    with bench("Friedman's test"):
        from scipy.stats import friedmanchisquare, rankdata
    ranks = rankdata(table, axis=1).mean(axis=0)
    if (table == table[:, :1]).all():  # 0 / 0 in the correction for ties
        found = 0.0, 1.0
    else:
        statistic, p = friedmanchisquare(*table.T)
        found = float(statistic), float(p)
    return Friedman(
        statistic=round(found[0], DECIMALS),
        p=round(found[1], DECIMALS),
        ranks=[round(float(rank), DECIMALS) for rank in ranks],
        n=len(table),
    )


def pairs(ratings: ArrayLike) -> list[Pair]:
    """Every two columns of a table (N, K) by Wilcoxon's signed ranks, adjusted by Holm.

    Cases rated alike in both columns are left out, as Wilcoxon (1945) has it; a pair without any other
    case has p = 1.

    Raises:
        ValueError: not a table of 2 columns or more, no row, or a rating that is not finite.
    """
    table = _table(ratings, 2)
    with bench("Wilcoxon's test"):
        from scipy.stats import wilcoxon
    columns = list(combinations(range(table.shape[1]), 2))
    gaps = [table[:, second] - table[:, first] for first, second in columns]
    raw = [float(wilcoxon(gap, method="asymptotic").pvalue) if gap.any() else 1.0 for gap in gaps]
    return [
        Pair(first=first, second=second, difference=round(float(gap.mean()), DECIMALS),
             p=round(p, DECIMALS))
        for (first, second), gap, p in zip(columns, gaps, holm(raw), strict=True)
    ]  # fmt: skip


def _table(ratings: ArrayLike, least: int) -> NDArray[np.float64]:
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or not len(table) or table.shape[1] < least:
        raise ValueError(f"a table of cases and {least} columns or more is expected, "
                         f"not {table.shape}")  # fmt: skip
    if not np.isfinite(table).all():
        raise ValueError("a rating is not finite")
    return table
