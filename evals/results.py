"""The result of an evaluation as data: one row per system, its differences, its cost, the segments.

Every number stands with its n. A failed answer counts 0 in every metric of its system. What is worse
than a baseline is printed as it is, and nothing is called better whose interval holds 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from merchgraph.evals.metrics.bootstrap import Estimate, estimates
from merchgraph.evals.suite import Outcome, Suite, System, Tabled
from merchgraph.evals.tables import Table
from merchgraph.runtime.errors import SetupError


class Row(BaseModel):
    """One system.

    Attributes:
        metrics: by name, without those that it has for no case.
        difference: its metrics minus those of the reference, paired by case; empty for the reference.
        calls: to models, mean per case; so are the tokens.
        seconds: model time, mean per case.
        errors: message to number of cases that failed with it.
    """

    model_config = ConfigDict(frozen=True)

    system: str
    kind: Literal["baseline", "ablation", "method", "bound"]
    about: str
    metrics: dict[str, Estimate]
    difference: dict[str, Estimate]
    calls: float
    prompt_tokens: float
    completion_tokens: float
    seconds: float
    errors: dict[str, int]

    @property
    def tokens(self) -> float:
        """Read and written, mean per case."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def failed(self) -> int:
        """Cases without an answer."""
        return sum(self.errors.values())


class Segment(BaseModel):
    """The cases of one label: system to metric to estimate."""

    model_config = ConfigDict(frozen=True)

    name: str
    n: int
    systems: dict[str, dict[str, Estimate]]


class Comparison(BaseModel):
    """A method minus the best baseline, paired by case, in the first metric.

    The baseline is the best one on these very cases, which favours the baseline a little.
    """

    model_config = ConfigDict(frozen=True)

    system: str
    against: str
    metric: str
    difference: Estimate


class Results(BaseModel):
    """An evaluation's result, JSON only; metrics and rows in the order of the suite."""

    model_config = ConfigDict(frozen=True)

    suite: str
    params: dict[str, Any]
    reference: str
    n: int
    metrics: list[str]
    rows: list[Row]
    comparisons: list[Comparison]
    segments: list[Segment]
    notes: list[str]
    tables: list[Table] = []

    @classmethod
    def of(cls, suite: Suite, outcomes: Sequence[Outcome], *, notes: Iterable[str] = ()) -> Self:
        """Sum up the outcomes of a suite, all of them or what there is so far, in any order.

        Raises:
            SetupError: there is no outcome, or none of them has a metric.
            ValueError: an outcome of a system that the suite does not have.
        """
        systems = suite.systems()
        scores = _Scores.of(systems, outcomes)
        rows = _rows(suite, scores, outcomes)
        return cls(
            suite=suite.name,
            params=suite.params.model_dump(mode="json"),
            reference=suite.reference,
            n=len(scores.cases),
            metrics=scores.metrics,
            rows=rows,
            comparisons=_comparisons(rows, scores),
            segments=_segments(scores, outcomes),
            notes=list(notes),
            tables=list(suite.tables(outcomes)) if isinstance(suite, Tabled) else [],
        )

    def best(self, metric: str) -> set[str]:
        """The systems with the highest mean; that alone does not make them better than others."""
        means = {row.system: row.metrics[metric].mean for row in self.rows if metric in row.metrics}
        return {system for system, mean in means.items() if mean == max(means.values())}


Columns = dict[str, NDArray[np.float64]]
"""System to values (metrics, cases); NaN where a metric is undefined or a case was not asked."""


@dataclass(frozen=True)
class _Scores:
    cases: list[str]
    metrics: list[str]
    values: Columns

    @classmethod
    def of(cls, systems: Sequence[System], outcomes: Sequence[Outcome]) -> _Scores:
        cases = {case: place for place, case in enumerate(sorted({o.case for o in outcomes}))}
        fullest = sorted(outcomes, key=lambda o: -len(o.metrics))  # what is undefined leaves no gap
        metrics = list(dict.fromkeys(name for o in fullest for name in o.metrics))
        if not metrics:
            raise SetupError("No system has answered a case, so there is nothing to report.")
        own = {system.name: set[str]() for system in systems}
        values = {name: np.full((len(metrics), len(cases)), math.nan) for name in own}
        for outcome in outcomes:
            if outcome.system not in own:
                raise ValueError(f"the suite has no system {outcome.system!r}")
            own[outcome.system] |= outcome.metrics.keys()
        for outcome in outcomes:
            failed = dict.fromkeys(own[outcome.system] or metrics, 0.0)
            for name, value in (failed if outcome.error else outcome.metrics).items():
                values[outcome.system][metrics.index(name), cases[outcome.case]] = value
        return cls(list(cases), metrics, values)

    def estimates(self, columns: Columns) -> dict[str, dict[str, Estimate]]:
        """All at once: one draw of cases serves every column."""
        if not columns:
            return {}
        found = iter(estimates(np.concatenate(list(columns.values()))))
        table = {system: [next(found) for _ in self.metrics] for system in columns}
        return {
            system: {name: e for name, e in zip(self.metrics, row, strict=True) if e is not None}
            for system, row in table.items()
        }

    def against(self, reference: str) -> Columns:
        """Every other system minus the reference."""
        base = self.values[reference]
        return {name: own - base for name, own in self.values.items() if name != reference}


def _rows(suite: Suite, scores: _Scores, outcomes: Sequence[Outcome]) -> list[Row]:
    metrics = scores.estimates(scores.values)
    differences = scores.estimates(scores.against(suite.reference))
    rows = []
    for system in suite.systems():
        asked = [outcome for outcome in outcomes if outcome.system == system.name]
        if not asked:
            continue
        calls, read, written, seconds = np.mean(
            [
                (o.usage.calls, o.usage.prompt_tokens, o.usage.completion_tokens, o.usage.seconds)
                for o in asked
            ],
            axis=0,
        )
        rows.append(
            Row(
                system=system.name,
                kind=system.kind,
                about=system.about,
                metrics=metrics[system.name],
                difference=differences.get(system.name, {}),
                calls=calls,
                prompt_tokens=read,
                completion_tokens=written,
                seconds=seconds,
                errors=Counter(outcome.error for outcome in asked if outcome.error),
            )
        )
    return rows


def _comparisons(rows: Sequence[Row], scores: _Scores) -> list[Comparison]:
    first = scores.metrics[0]
    baselines = [row for row in rows if row.kind == "baseline" and first in row.metrics]
    methods = [row.system for row in rows if row.kind == "method"]
    if not baselines or not methods:
        return []
    best = max(baselines, key=lambda row: row.metrics[first].mean).system
    found = scores.estimates(scores.against(best))
    return [
        Comparison(system=name, against=best, metric=first, difference=found[name][first])
        for name in methods
        if first in found[name]
    ]


def _segments(scores: _Scores, outcomes: Sequence[Outcome]) -> list[Segment]:
    label = {outcome.case: outcome.segment for outcome in outcomes}
    sizes = Counter(label.values())
    if len(sizes) < 2:
        return []
    segments = []
    for name, n in sorted(sizes.items(), key=lambda size: (-size[1], size[0])):
        inside = [label[case] == name for case in scores.cases]
        part = {system: own[:, inside] for system, own in scores.values.items()}
        segments.append(Segment(name=name, n=n, systems=scores.estimates(part)))
    return segments
