"""The report of the GRACE suite: means, kinds of rows, three tasks, and what each seed gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.metrics.clusters import clustered
from merchgraph.evals.report import Report
from merchgraph.evals.results import Comparison, Row
from merchgraph.evals.suites.grace_cases import METRICS, Cases, Columns
from merchgraph.evals.suites.grace_systems import BY_HAND, METHOD, Compared, Lists
from merchgraph.evals.tables import Cell, Table

SEGMENTS, FRESH = "HR@10 by kind of row", "New items apart"
TASKS, SEEDS, PARTS = "Three tasks, HR@10", "Seeds", "What each part is worth"
HIT, GAIN = "HR@10", "NDCG@10"
Found = dict[str, dict[str, Estimate]]


class Judged(NamedTuple):
    """A system and its lists, one per seed."""

    system: Compared
    seeds: Sequence[Lists]


def report(
    params: dict[str, Any], cases: Cases, judged: Sequence[Judged], before: datetime
) -> Report:
    """The report.

    Args:
        params: settings, for the title.
        cases: what was judged.
        judged: the systems; own frequency is the reference where it is among them.
        before: the cut.
    """
    values = {
        one.system.name: _mean([cases.judge(lists.anyhow) for lists in one.seeds]) for one in judged
    }
    reference = BY_HAND if BY_HAND in values else judged[0].system.name
    means, gains = _estimates(cases, values, reference)
    rows = [_row(one.system, means, gains) for one in judged]
    settings = {name: value for name, value in params.items() if name != "config"}
    return Report(
        suite="grace",
        params=settings | {"before": f"{before:%Y-%m-%d}", "rows": len(cases.row)},
        reference=reference,
        n=len(cases),
        metrics=list(METRICS),
        rows=rows,
        comparisons=_comparisons(rows, cases, values),
        segments=[],
        notes=_notes(cases),
        tables=_tables(cases, judged, values),
    )


def _estimates(cases: Cases, values: Mapping[str, Columns], reference: str) -> tuple[Found, Found]:
    """Means, and differences to the reference, all from the same draws of households."""
    others = [name for name in values if name != reference]
    table = [values[name][metric] for name in values for metric in METRICS]
    table += [
        values[name][metric] - values[reference][metric] for name in others for metric in METRICS
    ]
    found = iter(clustered(np.stack(table), cases.row.tolist()))
    means = {name: {metric: next(found) for metric in METRICS} for name in values}
    gains = {name: {metric: next(found) for metric in METRICS} for name in others}
    return means, gains


def _row(system: Compared, means: Found, gains: Found) -> Row:
    return Row(
        system=system.name, kind=system.kind, about=system.about, metrics=means[system.name],
        difference=gains.get(system.name, {}), calls=0, prompt_tokens=0, completion_tokens=0,
        seconds=0, errors={},
    )  # fmt: skip


def _comparisons(
    rows: Sequence[Row], cases: Cases, values: Mapping[str, Columns]
) -> list[Comparison]:
    """Each method against the best baseline in HR@10 and NDCG@10."""
    baselines = [row for row in rows if row.kind == "baseline"]
    methods = [row.system for row in rows if row.kind == "method"]
    found = []
    for metric in (HIT, GAIN):
        if not baselines or not methods:
            break
        best = max(baselines, key=lambda row: row.metrics[metric].mean).system
        gaps = np.stack([values[name][metric] - values[best][metric] for name in methods])
        found += [
            Comparison(system=name, against=best, metric=metric, difference=gap)
            for name, gap in zip(methods, clustered(gaps, cases.row.tolist()), strict=True)
        ]
    return found


def _notes(cases: Cases) -> list[str]:
    goods = cases.log.goods
    return [
        f"{len(cases):,} households, {len(cases.row):,} rows of their first visit after the cut, "
        f"{len(goods.items):,} items; {cases.repeats.mean():.1%} of the rows were bought before. n and "
        f"intervals are those of households.",
        f"A list that holds the visit's own items would have HR@10 {cases.ceiling:.3f}.",
        "Items of a basket have no order: histories are shuffled inside journeys, and all rows of "
        "a visit count alike.",
    ]


def _tables(cases: Cases, judged: Sequence[Judged], values: Mapping[str, Columns]) -> list[Table]:
    tables = [_segments(cases, values)]
    if not cases.repeats.all():
        tables.append(_fresh(cases, judged))
    if METHOD in values and any(one.system.kind == "ablation" for one in judged):
        tables.append(_ablations(cases, judged, values))
    tasks = [one for one in judged if one.seeds[0].together.shape[1]]
    if tasks:
        tables.append(_tasks(cases, tasks))
    seeded = [one for one in judged if len(one.seeds) > 1]
    if seeded:
        tables.append(_seeds(cases, seeded))
    return tables


def _segments(cases: Cases, values: Mapping[str, Columns]) -> Table:
    kinds = cases.segments
    found: dict[str, list[Estimate]] = {}
    for name, rows in kinds.items():
        table = np.stack([columns[HIT][rows] for columns in values.values()])
        found[name] = clustered(table, cases.row[rows].tolist())
    body: list[list[Cell]] = [
        [system, *(found[name][place] for name in kinds)] for place, system in enumerate(values)
    ]
    counts = ", ".join(f"{name} {int(rows.sum()):,}" for name, rows in kinds.items())
    return Table(title=SEGMENTS, columns=["system", *kinds], rows=body, about=f"Rows: {counts}.")


def _fresh(cases: Cases, judged: Sequence[Judged]) -> Table:
    """Lists of what a household has not had, for the rows that it had not had."""
    rows = ~cases.repeats
    values = {
        one.system.name: _mean([cases.judge(lists.fresh, rows) for lists in one.seeds])
        for one in judged
    }
    reference = BY_HAND if BY_HAND in values else judged[0].system.name
    measures = [columns[metric] for columns in values.values() for metric in (HIT, GAIN)]
    measures += [columns[HIT] - values[reference][HIT] for columns in values.values()]
    found = clustered(np.stack(measures), cases.row[rows].tolist())
    pairs, gaps = found[: 2 * len(values)], found[2 * len(values) :]
    body: list[list[Cell]] = [
        [system, *pairs[2 * place : 2 * place + 2], gaps[place]]
        for place, system in enumerate(values)
    ]
    about = (
        f"Each list is without what the household had bought before; {int(rows.sum()):,} rows of items "
        f"that were new to it. Own frequency is popularity then."
    )
    columns = ["system", HIT, GAIN, f"{HIT} minus {reference}"]
    return Table(title=FRESH, columns=columns, rows=body, about=about)


def _ablations(cases: Cases, judged: Sequence[Judged], values: Mapping[str, Columns]) -> Table:
    """What each part is worth: the tool without it, minus the tool."""
    names = [one.system.name for one in judged if one.system.kind == "ablation"]
    gaps = [values[name][metric] - values[METHOD][metric]
            for name in names for metric in (HIT, GAIN)]  # fmt: skip
    found = clustered(np.stack(gaps), cases.row.tolist())
    body: list[list[Cell]] = [
        [name, *found[2 * place : 2 * place + 2]] for place, name in enumerate(names)
    ]
    columns = ["system", f"{HIT} minus {METHOD}", f"{GAIN} minus {METHOD}"]
    about = "Paired row by row, with 95 % intervals over households."
    return Table(title=PARTS, columns=columns, rows=body, about=about)


def _tasks(cases: Cases, judged: Sequence[Judged]) -> Table:
    """Items of the most frequent behaviour, of the row's own, and item and behaviour together."""
    goods = cases.log.goods
    target = cases.behaviour == 0
    known = cases.behaviour < goods.predicted
    table = []
    for one in judged:
        table.append(
            [
                np.mean([cases.judge(lists.given, rows)[HIT].mean() for lists in one.seeds])
                for rows in (target, known)
            ]
            + [np.mean([_pairs(cases, lists.together, known) for lists in one.seeds])]
        )
    body: list[list[Cell]] = [
        [one.system.name, *(float(value) for value in row)]
        for one, row in zip(judged, table, strict=True)
    ]
    columns = ["system", f"items on {goods.behaviours[0]}", "items, behaviour given", "both"]
    about = (
        f"Rows of the behaviour {goods.behaviours[0]} alone; all rows of predicted behaviours, given "
        f"their own; and lists of pairs, of which both must be right."
    )
    return Table(title=TASKS, columns=columns, rows=body, about=about)


def _pairs(cases: Cases, together: NDArray[np.int64], rows: NDArray[np.bool_]) -> float:
    """HR@10 of behaviour and item."""
    done, item = together[cases.row[rows]].transpose(1, 0, 2)
    same = (item == cases.item[rows][:, None]) & (done == cases.behaviour[rows][:, None])
    return float(same.any(1).mean())


def _seeds(cases: Cases, seeded: Sequence[Judged]) -> Table:
    """Least and greatest mean over the seeds."""
    rows: list[list[Cell]] = []
    for one in seeded:
        row: list[Cell] = [one.system.name]
        for metric in (HIT, GAIN):
            some = [float(cases.judge(lists.anyhow)[metric].mean()) for lists in one.seeds]
            row.append(f"{min(some):.4f} to {max(some):.4f}")
        rows.append(row)
    about = f"Least and greatest mean of {len(seeded[0].seeds)} seeds."
    return Table(title=SEEDS, columns=["system", HIT, GAIN], rows=rows, about=about)


def _mean(columns: Sequence[Columns]) -> Columns:
    """Each metric's mean over seeds, row by row."""
    return {
        name: np.asarray(np.mean([one[name] for one in columns], axis=0), np.float64)
        for name in columns[0]
    }
