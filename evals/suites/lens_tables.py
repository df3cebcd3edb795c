"""The lens suite's own tables: renderings side by side, tests between them, and their explanations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median

from merchgraph.agents.explanation_judge import DIMENSIONS
from merchgraph.evals.metrics.bootstrap import difference, mean
from merchgraph.evals.metrics.paired import FEWEST_RATED, friedman, holm, mcnemar, pairs
from merchgraph.evals.suite import Outcome
from merchgraph.evals.tables import Cell, Table

MODALITY = "Text or picture"
COLUMNS = (
    "rendering", "shown as", "accuracy", "similarity on errors", "text tokens", "image tokens",
    "written", "median s", "unusable replies",
)  # fmt: skip
LEVEL = 0.05
BELOW = 0.001
"""P-values under this are printed as such."""
Points = Sequence[Sequence[float]]
"""(cases, renderings) ratings."""


@dataclass(frozen=True)
class Kinds:
    """The systems of a report: renderings by what they show, and baselines; in its order."""

    renderings: Mapping[str, str]
    baselines: Sequence[str]


def tables(outcomes: Sequence[Outcome], kinds: Kinds) -> list[Table]:
    """Those that have something to say."""
    by_system = {name: [o for o in outcomes if o.system == name] for name in kinds.renderings}
    asked = {name: found for name, found in by_system.items() if any(o.answer for o in found)}
    if not asked:
        return []
    made = [modality(asked, kinds), against(outcomes, list(asked), kinds), explanations(asked)]
    return [*made, *judged(outcomes, list(asked))]


def modality(asked: Mapping[str, Sequence[Outcome]], kinds: Kinds) -> Table:
    """What each rendering costs, and what it is worth beyond accuracy."""
    rows: list[list[Cell]] = []
    for name, outcomes in asked.items():
        answered = [outcome for outcome in outcomes if outcome.answer]
        answers = [outcome.answer for outcome in answered]
        wrong = [o.metrics["similarity on errors"] for o in answered
                 if "similarity on errors" in o.metrics]  # fmt: skip
        rows.append([
            name, kinds.renderings[name],
            mean([o.metrics.get("accuracy", 0.0) for o in outcomes]),
            mean(wrong),
            *(fmean(answer["tokens"][part] for answer in answers)
              for part in ("text", "image", "written")),
            median(answer["seconds"] for answer in answers),
            sum(not answer["parsed"] for answer in answers) + len(outcomes) - len(answered),
        ])  # fmt: skip
    return Table(
        title=MODALITY,
        columns=list(COLUMNS),
        rows=rows,
        about="Tokens and seconds are of the request for a prediction with its explanation, mean and "
        "median per case. Similarity is 1 for the right item, else the cosine of the items' names; "
        "over all cases it says little beyond accuracy, hence on errors alone.",
    )  # fmt: skip


def against(outcomes: Sequence[Outcome], asked: Sequence[str], kinds: Kinds) -> Table:
    """Every two renderings, and each rendering and the best baseline, on the cases that both had."""
    right = _right(outcomes)
    known = [name for name in kinds.baselines if name in right]
    couples = list(combinations(asked, 2))
    if known:
        best = max(known, key=lambda name: fmean(right[name].values()))
        couples += [(name, best) for name in asked]
    rows: list[list[Cell]] = []
    raw: list[float] = []
    for one, other in couples:
        shared = [case for case in right[one] if case in right[other]]
        a, b = ([right[name][case] for case in shared] for name in (one, other))
        test = mcnemar(a, b)
        raw.append(test.p)
        gap = difference([float(x) for x in a], [float(x) for x in b])
        rows.append([f"{one} - {other}", len(shared), gap, test.first, test.second, p(test.p)])
    adjusted = holm(raw)
    return Table(
        title="Accuracy, paired",
        columns=["pair", "n", "difference", "only first", "only second", "McNemar p", "Holm p"],
        rows=[[*row, p(value)] for row, value in zip(rows, adjusted, strict=True)],
        about="The difference with its 95 % bootstrap interval; cases that only one of the two got "
        "right, and how surprising such a split is (exact McNemar; adjusted by Holm over all rows).",
    )


def explanations(asked: Mapping[str, Sequence[Outcome]]) -> Table:
    """What code sees in them."""
    rows: list[list[Cell]] = []
    for name, outcomes in asked.items():
        told = [o.answer["told"] for o in outcomes if o.answer and o.answer["explanation"]]
        texts = {o.answer["explanation"] for o in outcomes if o.answer}
        if told:
            rows.append([
                name, len(told), fmean(one["words"] for one in told),
                fmean(one["guess"] for one in told), fmean(one["bought"] > 0 for one in told),
                fmean(one["never"] > 0 for one in told), len(texts - {""}) / len(told),
            ])  # fmt: skip
    return Table(
        title="What explanations name",
        columns=["rendering", "explanations", "words", "the guess", "another item that was bought",
                 "an item never bought", "different"],
        rows=rows,
        about="Shares of explanations, counted by code; different: distinct texts among them.",
    )  # fmt: skip


def judged(outcomes: Sequence[Outcome], asked: Sequence[str]) -> list[Table]:
    """Mean ratings by dimension with Friedman's test, and the pairs where it finds a difference."""
    rated = [rating for o in outcomes if (rating := o.answer.get("ratings"))]
    whole = [one for one in rated if all(name in one for name in asked)]
    if not whole or len(asked) < FEWEST_RATED:
        return []
    columns = {d: [[one[name][d] for name in asked] for one in whole] for d in DIMENSIONS}
    tests = {dimension: friedman(ratings) for dimension, ratings in columns.items()}
    adjusted = dict(zip(tests, holm([test.p for test in tests.values()]), strict=True))
    rows: list[list[Cell]] = [
        [d, len(whole), *map(fmean, zip(*columns[d], strict=True)), test.statistic, p(adjusted[d])]
        for d, test in tests.items()
    ]
    found = Table(
        title="Explanations, judged",
        columns=["dimension", "n", *asked, "Friedman", "Holm p"],
        rows=rows,
        about="Mean points, 1 (worst) to 5 (best; for overthinking: none), by a judge who does not know "
        "the renderings; chi-squared of Friedman, adjusted by Holm over the dimensions.",
    )
    differ: dict[str, Points] = {d: rows for d, rows in columns.items() if adjusted[d] < LEVEL}
    return [found, *([_pairs(differ, asked)] if differ else [])]


def _pairs(columns: Mapping[str, Points], asked: Sequence[str]) -> Table:
    rows: list[list[Cell]] = [
        [dimension, f"{asked[pair.second]} - {asked[pair.first]}", pair.difference, p(pair.p)]
        for dimension, ratings in columns.items()
        for pair in pairs(ratings)
    ]
    return Table(
        title="Explanations, pair by pair",
        columns=["dimension", "pair", "points more", "Holm p"],
        rows=rows,
        about="Wilcoxon's signed ranks where Friedman finds a difference; Holm over the pairs.",
    )


def p(value: float) -> str:
    """A p-value as it is printed: .034, <.001."""
    return "<.001" if value < BELOW else f"{value:.3f}".replace("0.", ".", 1)


def _right(outcomes: Sequence[Outcome]) -> dict[str, dict[str, bool]]:
    """System -> case -> whether it was right; a failed answer was not."""
    found: dict[str, dict[str, bool]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.system, {})[outcome.case] = outcome.metrics.get("accuracy") == 1
    return found
