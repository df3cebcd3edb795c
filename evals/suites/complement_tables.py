"""The complement suite's own tables: how far seeds differ, and whether the paper's orderings come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from merchgraph.evals.metrics.bootstrap import FEWEST, Estimate, difference
from merchgraph.evals.tables import Cell, Table
from merchgraph.tools.complement.holdout import Placed

Found = Mapping[str, Mapping[int, Placed]]
MARGIN = 0.01
"""What "no worse" may lose: it is shown where the whole interval of the difference lies above -MARGIN."""


class Ordering(NamedTuple):
    """A finding of the paper's text: which of two systems it has ahead.

    Attributes:
        finding: in its words, shortened.
        ahead, behind: systems; the first is expected to be better, or no worse where `equal`.
        equal: the text says "equal or slightly better".
    """

    finding: str
    ahead: str
    behind: str
    equal: bool = False


ORDERINGS = (
    Ordering("the full model beats triple2vec", "paper, criterion 2", "triple2vec"),
    Ordering("the full model beats item2vec", "paper, criterion 2", "gensim item2vec"),
    Ordering("the full model beats item-item CF", "paper, criterion 2",
             "items alone, k = 1 (item-item CF)"),
    Ordering("the user's term helps", "paper, criterion 2", "paper, no user"),
    Ordering("dense data: leaving context out costs nothing", "paper, no context (prod2vec)",
             "paper, criterion 2", equal=True),
    Ordering("sparse data: context helps", "paper, criterion 2", "paper, no context (prod2vec)"),
    Ordering("without users too, context may be left out", "items alone", "paper, no user", equal=True),
    Ordering("two item vectors beat one", "items alone", "items alone, one vector"),
    Ordering("the mean beats the maximum", "items alone", "items alone, maximum"),
    Ordering("a history beats single items", "items alone", "items alone, k = 1 (item-item CF)"),
    Ordering("stable in k: 2 is no worse than 5", "items alone, k = 2", "items alone", equal=True),
    Ordering("re-ranking by criterion 2 beats criterion 1", "paper, criterion 2",
             "paper, criterion 1"),
)  # fmt: skip


def orderings(found: Found) -> Table:
    """Each finding whose two systems were run, with the difference on these cases."""
    rows: list[list[Cell]] = []
    for one in ORDERINGS:
        if one.ahead in found and one.behind in found:
            gain, below = (
                difference(_mean(found[one.ahead], measure), _mean(found[one.behind], measure))
                for measure in ("ndcg", "auc")
            )
            rows.append([one.finding, gain, below, verdict(one, gain), verdict(one, below)])
    return Table(
        title="The paper's orderings",
        columns=["finding", "NDCG@10", "AUC", "by NDCG@10", "by AUC"],
        rows=rows,
        about="Differences of the two systems that a finding names, paired by case, means over seeds. "
        f'"No worse" is reproduced where the interval begins above -{MARGIN:g}. '
        "The paper's own tables could not be read; the findings are those of its text, on other data.",
    )


def verdict(one: Ordering, gap: Estimate | None) -> str:
    """Reproduced, not shown, or the other way round; "no worse" within `MARGIN`."""
    if gap is None or gap.n < FEWEST:
        return "not shown"
    if gap.verdict == "unclear":
        return "reproduced" if one.equal and gap.low > -MARGIN else "not shown"
    return "reproduced" if gap.verdict == "better" else "the other way round"


def against(found: Found, systems: Sequence[str], rivals: Sequence[str]) -> Table:
    """Some systems minus some rivals, of those that were run."""
    rows: list[list[Cell]] = []
    for one in systems:
        for other in rivals:
            if one in found and other in found:
                gap, area = (
                    difference(_mean(found[one], measure), _mean(found[other], measure))
                    for measure in ("ndcg", "auc")
                )
                rows.append([f"{one} - {other}", gap, area])
    return Table(
        title="Against other embeddings",
        columns=["pair", "NDCG@10", "AUC"],
        rows=rows,
        about="Differences paired by case, means over seeds.",
    )


def spread(found: Found) -> Table:
    """NDCG@10 of single seeds."""
    rows: list[list[Cell]] = []
    for system, by_seed in found.items():
        values = [float(np.mean(places.ndcg)) for places in by_seed.values()]
        if len(values) > 1:
            rows.append([system, len(values), float(np.mean(values)), float(np.std(values, ddof=1)),
                         min(values), max(values)])  # fmt: skip
    return Table(
        title="Seeds",
        columns=["system", "seeds", "NDCG@10", "s.d.", "least", "most"],
        rows=rows,
        about="The same cases; a seed decides first vectors, order, negatives and whose thread is first.",
    )


def _mean(by_seed: Mapping[int, Placed], measure: Literal["ndcg", "auc"]) -> list[float]:
    columns = [places.ndcg if measure == "ndcg" else places.auc for places in by_seed.values()]
    values: list[float] = np.mean(columns, axis=0).tolist()
    return values
