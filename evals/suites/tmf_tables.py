"""The report of the TMF suite: hit rates with intervals over households, by behaviour, old and new.

Sizes: N households, Q = 2 N questions (random slates, then hard ones), C candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from merchgraph.evals.metrics.bootstrap import Estimate, estimates
from merchgraph.evals.report import Report
from merchgraph.evals.results import Comparison, Row
from merchgraph.evals.tables import Cell, Table
from merchgraph.tools.tmf.data import KINDS, Question
from merchgraph.tools.tmf.goods import Goods

REFERENCE, FUSION = "own frequency", "fusion alone"
METRICS = tuple(f"HitRate@1, {kind}" for kind in KINDS)
GAINS, PARTS = (
    "Against text alone and the untuned model",
    "By behaviour, and by what was bought before",
)
SEEDS, FREE, FUSIONS = "Seeds", "Free answers", "By the fusion's score alone"
AGAINST = ("untuned LLM", "text-only LoRA")
Values = NDArray[np.float64]
"""(2, N) hits of random and of hard slates."""


class Valid(NamedTuple):
    """Free answers: how many, part that is valid, hits of the valid ones, hits of all."""

    answers: int
    valid: float
    hit_of_valid: float
    hit_of_all: float


class Judged(NamedTuple):
    """A system's values.

    Attributes:
        name, about, kind: for the report.
        seeds: (2, N) each.
        free: of the first seed's free answers; None without any.
        fused: (2, N) each, of the fusion's score alone; empty for what is no variant of it.
    """

    name: str
    about: str
    kind: Literal["baseline", "ablation", "method"]
    seeds: Sequence[Values]
    free: Valid | None = None
    fused: Sequence[Values] = ()

    @property
    def mean(self) -> Values:
        """Over seeds, case by case."""
        return np.asarray(np.mean(self.seeds, axis=0), np.float64)


def hits(scores: Iterable[ArrayLike], asked: Sequence[Question]) -> Values:
    """(2, N) — the target's share of the best score: 1, 0, or less where several are best."""
    found = []
    for row, question in zip(scores, asked, strict=True):
        best = np.asarray(row) == np.max(row)
        found.append((best & question.right).sum() / best.sum())
    return np.array(found, dtype=np.float64).reshape(len(KINDS), -1)


def valid(answers: Sequence[str], asked: Sequence[Question], kept: Goods) -> Valid | None:
    """Free answers of the first questions: valid if exactly one label of the slate occurs in one."""
    found = []
    for answer, question in zip(answers, asked, strict=False):
        labels = [kept.labels[item].lower() for item in question.slate]
        said = answer.lower()
        inside = [n for n, label in enumerate(labels) if label in said]
        # a label within a longer one that occurs as well is not said by itself
        alone = [n for n in inside if not any(labels[n] in labels[o] for o in inside if o != n)]
        found.append((len(alone) == 1, len(alone) == 1 and bool(question.right[alone[0]])))
    if not found:
        return None
    table = np.array(found, dtype=np.float64)
    part, hit = table.mean(axis=0)
    return Valid(len(found), part, hit / part if part else 0.0, hit)


def report(
    params: dict[str, Any],
    asked: Sequence[Question],
    behaviours: Sequence[str],
    judged: Sequence[Judged],
    notes: Sequence[str],
) -> Report:
    """The report.

    Args:
        params: settings, for the title.
        asked: the questions.
        behaviours: names by code.
        judged: the systems.
        notes: sentences.
    """
    values = {one.name: one.mean for one in judged}
    reference = REFERENCE if REFERENCE in values else judged[0].name
    base = values[reference]
    rows = [_row(one, values[one.name], base if one.name != reference else None) for one in judged]
    settings = {name: value for name, value in params.items() if name != "config"}
    return Report(
        suite="tmf",
        params=settings,
        reference=reference,
        n=base.shape[1],
        metrics=list(METRICS),
        rows=rows,
        comparisons=_comparisons(judged, values),
        segments=[],
        notes=list(notes),
        tables=_tables(asked, behaviours, judged, values),
    )


def _row(one: Judged, values: Values, base: Values | None) -> Row:
    gaps = {} if base is None else _named(values - base)
    return Row(
        system=one.name, kind=one.kind, about=one.about, metrics=_named(values), difference=gaps,
        calls=0, prompt_tokens=0, completion_tokens=0, seconds=0, errors={},
    )  # fmt: skip


def _named(table: Values) -> dict[str, Estimate]:
    found = zip(METRICS, estimates(table), strict=True)
    return {name: one for name, one in found if one is not None}


def _comparisons(judged: Sequence[Judged], values: dict[str, Values]) -> list[Comparison]:
    """Each method against the best baseline in the first metric."""
    baselines = [one.name for one in judged if one.kind == "baseline"]
    if not baselines:
        return []
    best = max(baselines, key=lambda name: values[name][0].mean())
    return [
        Comparison(system=one.name, against=best, metric=metric, difference=gap)
        for one in judged
        if one.kind == "method"
        for metric, gap in _named(values[one.name] - values[best]).items()
    ]


def _tables(
    asked: Sequence[Question],
    behaviours: Sequence[str],
    judged: Sequence[Judged],
    values: dict[str, Values],
) -> list[Table]:
    tables = [_parts(asked, behaviours, values)]
    rows: list[list[Cell]] = [
        [one.name, other, *_named(values[one.name] - values[other]).values()]
        for one in judged
        if one.kind != "baseline"
        for other in AGAINST
        if other in values
    ]
    if rows:
        about = "Paired differences with 95 % intervals over households."
        tables.append(
            Table(title=GAINS, columns=["system", "to", *METRICS], rows=rows, about=about)
        )
    if any(one.name == FUSION for one in judged) and sum(bool(one.fused) for one in judged) > 1:
        tables.append(_fusions(judged))
    free = [(one.name, one.free) for one in judged if one.free]
    if free:
        columns = ["system", "answers", "ValidRatio", "HitRate@1 of valid", "HitRate@1 of all"]
        lines: list[list[Cell]] = [[name, *told] for name, told in free]
        about = (
            "What the model writes by itself on random slates; valid: exactly one candidate in it."
        )
        tables.append(Table(title=FREE, columns=columns, rows=lines, about=about))
    seeded = [one for one in judged if len(one.seeds) > 1]
    if seeded:
        tables.append(_seeds(seeded))
    return tables


def _fusions(judged: Sequence[Judged]) -> Table:
    """What each part of the fusion is worth, whatever the language model says."""
    means = {one.name: np.mean(one.fused, axis=0) for one in judged if one.fused}
    rows: list[list[Cell]] = [
        [name, *_named(mean).values(), *_named(mean - means[FUSION]).values()]
        for name, mean in means.items()
    ]
    columns = ["system", *METRICS, *(f"{name}, minus the whole" for name in METRICS)]
    about = "HitRate@1 by the fusion's score, and paired differences to the whole fusion."
    return Table(title=FUSIONS, columns=columns, rows=rows, about=about)


def _parts(
    asked: Sequence[Question], behaviours: Sequence[str], values: dict[str, Values]
) -> Table:
    half = asked[: len(asked) // len(KINDS)]
    old = np.array([bool(np.isin(q.slate[q.right], q.trail.items).any()) for q in half])
    codes = np.array([q.asked for q in half])
    parts = {behaviours[code]: codes == code for code in np.unique(codes)}
    parts |= {"bought before": old, "new": ~old}
    rows: list[list[Cell]] = []
    for name, table in values.items():
        row: list[Cell] = [name]
        for number in range(len(KINDS)):
            row += [float(table[number][p].mean()) if p.any() else None for p in parts.values()]
        rows.append(row)
    columns = [f"{kind}, {name} ({p.sum()})" for kind in KINDS for name, p in parts.items()]
    return Table(title=PARTS, columns=["system", *columns], rows=rows, about="HitRate@1.")


def _seeds(seeded: Sequence[Judged]) -> Table:
    """Least and greatest mean over the seeds."""
    rows: list[list[Cell]] = []
    for one in seeded:
        means = np.array([values.mean(axis=1) for values in one.seeds])
        spans = zip(means.min(axis=0), means.max(axis=0), strict=True)
        rows.append([one.name, *(f"{low:.3f} to {high:.3f}" for low, high in spans)])
    about = f"Least and greatest mean of {len(seeded[0].seeds)} seeds."
    return Table(title=SEEDS, columns=["system", *METRICS], rows=rows, about=about)
