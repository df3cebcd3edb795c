"""The report of the similar-item suite: means and paired differences with intervals over households."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import numpy as np

from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.metrics.clusters import clustered
from merchgraph.evals.report import Report
from merchgraph.evals.results import Comparison, Row
from merchgraph.evals.suites.gmvo_cases import METRICS, Cases, Columns
from merchgraph.evals.suites.gmvo_systems import mean_of
from merchgraph.evals.tables import Cell, Table

REFERENCE = "blend"
SEEDS, FRONTIER, GAINS = "Seeds", "Value against relevance", "Against the best blend by hand"
OTHER = "Lists of other lengths"
PATHS = ("system", "lambda or power", *METRICS)


class Judged(NamedTuple):
    """A system's values.

    Attributes:
        name, about, kind: for the report.
        seeds: one set of columns per seed.
        lengths: means of the first seed for lists of other lengths, by metric.
    """

    name: str
    about: str
    kind: Literal["baseline", "ablation", "method"]
    seeds: Sequence[Columns]
    lengths: Mapping[str, float]


Found = dict[str, dict[str, Estimate]]


def report(
    params: dict[str, Any],
    cases: Cases,
    main: Sequence[Judged],
    rest: Sequence[Judged],
    before: datetime,
) -> Report:
    """The report.

    Args:
        params: settings, for the title.
        cases: what was judged.
        main: systems of the first table, the reference among them where there are differences.
        rest: systems of the frontier.
        before: the cut.
    """
    every = [*main, *rest]
    values = {one.name: mean_of(one.seeds) for one in every}
    base = values.get(REFERENCE)
    means, gains = _estimates(cases, values, base)
    reference = REFERENCE if base else main[0].name
    rows = [_row(one, means[one.name], gains.get(one.name, {})) for one in main]
    settings = {name: value for name, value in params.items() if name != "config"}
    settings |= {"before": f"{before:%Y-%m-%d}", "cases": len(cases)}
    return Report(
        suite="gmvo",
        params=settings,
        reference=reference,
        n=len(np.unique(cases.household)),
        metrics=list(METRICS),
        rows=rows,
        comparisons=_comparisons(rows, cases, values),
        segments=[],
        notes=_notes(cases),
        tables=_tables(main, rest, means, gains),
    )


def _estimates(
    cases: Cases, values: dict[str, Columns], base: Columns | None
) -> tuple[Found, Found]:
    """Means, and differences to the reference, all from the same draws of households."""
    table = [values[name][metric] for name in values for metric in METRICS]
    others = [name for name in values if base is not None and name != REFERENCE]
    if base is not None:
        table += [values[name][metric] - base[metric] for name in others for metric in METRICS]
    found = iter(clustered(np.stack(table), cases.household.tolist()))
    means = {name: {metric: next(found) for metric in METRICS} for name in values}
    gains = {name: {metric: next(found) for metric in METRICS} for name in others}
    return means, gains


def _row(one: Judged, means: dict[str, Estimate], gains: dict[str, Estimate]) -> Row:
    return Row(
        system=one.name, kind=one.kind, about=one.about, metrics=means, difference=gains,
        calls=0, prompt_tokens=0, completion_tokens=0, seconds=0, errors={},
    )  # fmt: skip


def _comparisons(rows: Sequence[Row], cases: Cases, values: dict[str, Columns]) -> list[Comparison]:
    """Each method against the best baseline in the first metric."""
    baselines = [row for row in rows if row.kind == "baseline"]
    methods = [row.system for row in rows if row.kind == "method"]
    if not baselines or not methods:
        return []
    first = METRICS[0]
    best = max(baselines, key=lambda row: row.metrics[first].mean).system
    gaps = np.stack([values[name][first] - values[best][first] for name in methods])
    found = clustered(gaps, cases.household.tolist())
    return [
        Comparison(system=name, against=best, metric=first, difference=gap)
        for name, gap in zip(methods, found, strict=True)
    ]


def _notes(cases: Cases) -> list[str]:
    queries = len(np.unique(cases.query))
    return [
        f"{len(cases):,} occasions of {len(np.unique(cases.household)):,} households, "
        f"{queries:,} distinct queries, {len(cases.place):,} targets; n and intervals are those of "
        f"households.",
        "GMV counts what was bought anyway, in the shop's currency per occasion; nothing says what was "
        "shown. A gain that comes with a higher price ratio is partly a shift to dearer items.",
        f"A perfect list would have GMV {cases.worth.mean():.3f}.",
    ]


def _tables(
    main: Sequence[Judged], rest: Sequence[Judged], means: Found, gains: Found
) -> list[Table]:
    tables = []
    rows: list[list[Cell]] = [
        [one.name, *(gains[one.name][metric] for metric in METRICS)]
        for one in main
        if one.name in gains and one.kind != "baseline"
    ]
    if rows:
        about = "Paired differences to the blend by hand, with 95 % intervals over households."
        tables.append(Table(title=GAINS, columns=["system", *METRICS], rows=rows, about=about))
    seeded = [one for one in main if len(one.seeds) > 1]
    if seeded:
        tables.append(_seeds(seeded))
    named = [*main[0].lengths]
    lengths: list[list[Cell]] = [[one.name, *one.lengths.values()] for one in main]
    about = "Means; of a trained system, those of its first seed."
    tables.append(Table(title=OTHER, columns=["system", *named], rows=lengths, about=about))
    points = [one for one in main if one.kind == "method"]
    if points or rest:
        tables.append(_frontier(points, rest, means))
    return tables


def _seeds(seeded: Sequence[Judged]) -> Table:
    """Least and greatest mean over the seeds."""
    rows: list[list[Cell]] = []
    for one in seeded:
        row: list[Cell] = [one.name]
        for metric in METRICS[:3]:
            some = [float(columns[metric].mean()) for columns in one.seeds]
            row.append(f"{min(some):.4f} to {max(some):.4f}")
        rows.append(row)
    about = f"Least and greatest mean of {len(seeded[0].seeds)} seeds."
    return Table(title=SEEDS, columns=["system", *METRICS[:3]], rows=rows, about=about)


def _frontier(points: Sequence[Judged], rest: Sequence[Judged], means: Found) -> Table:
    """One row per system and lambda; a name ends in its lambda."""
    rows: list[list[Cell]] = []
    for one in (*points, *rest):
        name, _, at = one.name.replace(",", "").rpartition(" ")
        rows.append([name, float(at), *(means[one.name][metric] for metric in METRICS)])
    about = (
        "The tool trained with each lambda; its signals alone under each loss (by gamma, by expected "
        "value of the list, by pair); and rankings by hand times a power of the price."
    )
    return Table(title=FRONTIER, columns=list(PATHS), rows=rows, about=about)
