"""The lens suite's own tables: renderings side by side, tests between them, and their explanations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean, median

from merchgraph.agents.explanation_judge import DIMENSIONS
from merchgraph.evals.metrics.bootstrap import difference, mean
from merchgraph.evals.metrics.paired import FEWEST_RATED, friedman, holm, mcnemar, pairs
from merchgraph.evals.suite import Outcome
from merchgraph.evals.tables import Cell, Table

MODALITY = "Text or picture"
COLUMNS = (
    "rendering",
    "shown",
    "accuracy",
    "errors' sim.",
    "text",
    "image",
    "written",
    "s",
    "unusable",
)
LEVEL = 0.05
BELOW = 0.001
"""P-values under this are printed as such."""
Points = Sequence[Sequence[float]]
"""(cases, renderings) ratings."""


@dataclass(frozen=True)
class Kinds:
    """The systems of a report, in its order.

    Attributes:
        renderings: each with what it shows.
        baselines: those without a model.
        variants: renderings that are another one's variant, each with that one.
    """

    renderings: Mapping[str, str]
    baselines: Sequence[str]
    variants: Mapping[str, str] = field(default_factory=dict)


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
        shown = kinds.renderings[name]
        rows.append([
            name, shown if all(answer["sees"] for answer in answers) else f"{shown}, not seen",
            mean([o.metrics.get("accuracy", 0.0) for o in outcomes]),
            mean(wrong),
            *(_mean(answer["tokens"][part] for answer in answers)
              for part in ("text", "image", "written")),
            median(answer["seconds"] for answer in answers),
            sum(not answer["usable"] for answer in answers) + len(outcomes) - len(answered),
        ])  # fmt: skip
    return Table(
        title=MODALITY,
        columns=list(COLUMNS),
        rows=rows,
        about="Tokens of text, image and reply (means) and seconds (median) are of the request for a "
        "prediction with its explanation; unusable: replies that named no candidate. errors' sim.: "
        "cosine of the names of the item and of the one foreseen, on errors alone, since over all "
        "cases it says little beyond accuracy. Not seen: the model takes "
        "pictures and cannot tell their colours apart.",
    )  # fmt: skip


def against(outcomes: Sequence[Outcome], asked: Sequence[str], kinds: Kinds) -> Table:
    """Every two renderings, each variant and its own, each rendering and the best baseline."""
    right = _right(outcomes)
    known = [name for name in kinds.baselines if name in right]
    plain = [name for name in asked if name not in kinds.variants]
    couples = list(combinations(plain, 2))
    couples += [(kinds.variants[name], name) for name in asked if kinds.variants.get(name) in plain]
    if known:
        best = max(known, key=lambda name: fmean(right[name].values()))
        couples += [(name, best) for name in plain]
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
        columns=["pair", "n", "difference", "first", "second", "McNemar", "Holm"],
        rows=[[*row, p(value)] for row, value in zip(rows, adjusted, strict=True)],
        about="The difference with its 95 % bootstrap interval; cases that only the first or only the "
        "second got right, and the p-value of such a split (exact McNemar), adjusted by Holm over all "
        "rows.",
    )


def explanations(asked: Mapping[str, Sequence[Outcome]]) -> Table:
    """What code sees in the answers: which place they pick, and what their explanations name."""
    rows: list[list[Cell]] = []
    for name, outcomes in asked.items():
        answers = [o.answer for o in outcomes if o.answer and o.answer["usable"]]
        told = [answer["told"] for answer in answers]
        if told:
            rows.append([
                name, len(told), fmean(answer["first"] for answer in answers),
                fmean(one["words"] for one in told), fmean(one["guess"] for one in told),
                fmean(one["bought"] > 0 for one in told), fmean(one["never"] > 0 for one in told),
                len({answer["explanation"] for answer in answers}) / len(told),
            ])  # fmt: skip
    return Table(
        title="What answers say",
        columns=["rendering", "usable", "first", "words", "guess", "bought", "never", "distinct"],
        rows=rows,
        about="Shares of usable answers, counted by code. first: the candidate shown first, which is "
        "right in one of so many cases as there are candidates. Explanations: mean words; that name "
        "the guess, another item that was bought, one on offer that never was; distinct texts.",
    )


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
        "the renderings, of cases that all of them explained; chi-squared of Friedman, adjusted by "
        "Holm over the dimensions.",
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


def _mean(values: Iterable[float | None]) -> float | None:
    """Of those that were counted; None where there is nothing."""
    counted = [value for value in values if value is not None]
    return (fmean(counted) if counted else None) or None


def _right(outcomes: Sequence[Outcome]) -> dict[str, dict[str, bool]]:
    """System -> case -> whether it was right; a failed answer was not."""
    found: dict[str, dict[str, bool]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.system, {})[outcome.case] = outcome.metrics.get("accuracy") == 1
    return found
