"""The plots of a report, as Vega-Lite specifications.

Names of systems, metrics and segments are data here: values and titles, never a field's name or an
expression. Colours of text and grid come from the page, which knows whether it is dark.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.report_text import interval
from merchgraph.evals.results import Results, Row

KINDS = {"baseline": "#8b93a1", "ablation": "#d9902f", "method": "#3b82d6", "bound": "#4c9a6a"}
PARTS = ("#3b82d6", "#d9902f", "#3aa17e", "#b65fcf", "#c9524e", "#7f8a99")
"""Colours of the segments; as many are drawn, the largest ones."""
ROW, PART, AXIS, COST, LABEL = 22, 13, 36, 360, 18
"""Pixels: a system, a segment of a system, the axis below, the cost plot, a name in it."""

Spec = dict[str, Any]


class Tick(NamedTuple):
    """A place on the axis of costs."""

    at: float
    label: str


def charts(results: Results) -> dict[str, Spec]:
    """By the id under which the page shows them; those that would be empty are left out."""
    drawn = {
        f"metric-{place}": _metric(results, name) for place, name in enumerate(results.metrics)
    }
    if any(row.difference for row in results.rows):
        drawn["difference"] = _difference(results)
    if any(row.tokens for row in results.rows):
        drawn["tokens"] = _cost(results, "tokens")
    if any(row.seconds for row in results.rows):
        drawn["seconds"] = _cost(results, "seconds")
    if results.segments:
        drawn["segments"] = _segments(results)
    return drawn


def _point(row: Row, estimate: Estimate) -> dict[str, Any]:
    return {
        "system": row.system,
        "kind": row.kind,
        "mean": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "told": f"{interval(estimate, -1)}",
    }


def _metric(results: Results, metric: str) -> Spec:
    import altair as alt

    points = [_point(row, row.metrics[metric]) for row in results.rows if metric in row.metrics]
    at = [point["mean"] for point in points if point["system"] == results.reference]
    rule = alt.Chart(alt.InlineData(values=[{"at": value} for value in at]))
    return _intervals(points, rule.mark_rule(strokeDash=[3, 3], opacity=0.7).encode(x="at:Q"))


def _difference(results: Results) -> Spec:
    import altair as alt

    first = results.metrics[0]
    points = [_point(row, row.difference[first]) for row in results.rows if first in row.difference]
    rule = alt.Chart(alt.InlineData(values=[{"at": 0}]))
    return _intervals(points, rule.mark_rule(opacity=0.7).encode(x="at:Q"))


def _intervals(points: list[dict[str, Any]], rule: Any) -> Spec:
    """A point and its interval per system, in the order of the report, over a vertical rule."""
    import altair as alt

    base = alt.Chart(alt.InlineData(values=points)).encode(
        y=alt.Y("system:N", sort=None, title=None),
        color=_kinds(),
        tooltip=[alt.Tooltip("system:N"), alt.Tooltip("told:N", title="mean")],
    )
    scale = alt.Scale(zero=False, nice=True)
    spans = base.mark_rule(strokeWidth=2.5, opacity=0.55).encode(
        x=alt.X("low:Q", scale=scale, title=None), x2="high:Q"
    )
    means = base.mark_point(filled=True, size=70, opacity=1).encode(x="mean:Q")
    height = ROW * len(points) + AXIS
    return alt.layer(rule, spans, means).properties(width="container", height=height).to_dict()


def _kinds() -> Any:
    import altair as alt

    scale = alt.Scale(domain=list(KINDS), range=list(KINDS.values()))
    return alt.Color("kind:N", scale=scale, legend=None)


def _cost(results: Results, field: Literal["tokens", "seconds"]) -> Spec:
    """The first metric over what a case costs, on a log scale; what costs nothing stands left of it."""
    import altair as alt

    costs = {row.system: float(getattr(row, field)) for row in results.rows}
    ticks = _ticks(list(costs.values()))
    left, right = ticks[0].at, ticks[-1].at
    base = alt.Chart(alt.InlineData(values=_cost_points(results, costs, ticks))).encode(
        color=_kinds(),
        x=alt.X(
            "cost:Q",
            scale=alt.Scale(type="log", domain=[left / 1.3, right * 1.3], nice=False),
            axis=alt.Axis(values=[tick.at for tick in ticks], labelExpr=_label(ticks)),
            title=None,
        ),
        tooltip=[
            alt.Tooltip("system:N"),
            alt.Tooltip("told:N", title="mean"),
            alt.Tooltip("spent:N", title=field),
        ],
    )
    y = alt.Y("low:Q", scale=alt.Scale(zero=False, nice=True), title=None)
    named = base.encode(y="label:Q", text="system:N")
    after = named.mark_text(align="left", dx=9, limit=170)
    before = named.mark_text(align="right", dx=-9, limit=170)
    return (
        alt.layer(
            base.mark_rule(opacity=0.35).encode(y=y, y2="high:Q"),
            base.mark_point(filled=True, size=80, opacity=1).encode(y="mean:Q"),
            after.transform_filter(alt.datum.side == "right"),
            before.transform_filter(alt.datum.side == "left"),
        )
        .properties(width="container", height=COST)
        .to_dict()
    )


def _cost_points(results: Results, costs: dict[str, float], ticks: list[Tick]) -> list[Spec]:
    first, left, right = results.metrics[0], ticks[0].at, ticks[-1].at
    points = [
        {
            **_point(row, row.metrics[first]),
            "cost": max(costs[row.system], left),
            "spent": f"{costs[row.system]:,.{0 if costs[row.system] >= 100 else 2}f}",
        }
        for row in results.rows
        if first in row.metrics
    ]
    span = max(point["high"] for point in points) - min(point["low"] for point in points)
    _place_labels(points, left * (right / left) ** 0.4, span or 1.0)
    return points


def _ticks(costs: list[float]) -> list[Tick]:
    """Powers of ten around the costs; what costs nothing has a tick of its own, a decade lower."""
    some = [cost for cost in costs if cost > 0]
    first, last = math.floor(math.log10(min(some))), math.ceil(math.log10(max(some)))
    ticks = [
        Tick(10.0**power, f"{10.0**power:,g}") for power in range(first, max(last, first + 1) + 1)
    ]
    return ticks if len(some) == len(costs) else [Tick(10.0 ** (first - 1), "none"), *ticks]


def _label(ticks: list[Tick]) -> str:
    """A Vega expression, made of numbers that were computed here."""
    cases = (f"datum.value < {tick.at * 1.01:g} ? '{tick.label}' : " for tick in ticks)
    return f"{''.join(cases)}''"


def _place_labels(points: list[dict[str, Any]], middle: float, span: float) -> None:
    """Give each name a side of its point, and the nearest heights at which no names overlap.

    Heights in order, a step apart at least, nearest in squares: an isotonic regression.
    """
    from scipy.optimize import isotonic_regression

    points.sort(key=lambda point: float(point["mean"]))
    steps = [span * LABEL / COST * place for place in range(len(points))]
    gaps = [point["mean"] - step for point, step in zip(points, steps, strict=True)]
    for point, step, height in zip(points, steps, isotonic_regression(gaps).x, strict=True):
        point["label"] = float(height) + step
        point["side"] = "right" if point["cost"] < middle else "left"


def _segments(results: Results) -> Spec:
    import altair as alt

    first = results.metrics[0]
    parts = results.segments[: len(PARTS)]
    points = [
        {**_point(row, part.systems[row.system][first]), "segment": f"{part.name} (n={part.n:,})"}
        for row in results.rows
        for part in parts
        if first in part.systems[row.system]
    ]
    names = [f"{part.name} (n={part.n:,})" for part in parts]
    base = alt.Chart(alt.InlineData(values=points)).encode(
        y=alt.Y("system:N", sort=None, title=None),
        yOffset=alt.YOffset("segment:N", sort=names),
        tooltip=[
            alt.Tooltip("system:N"),
            alt.Tooltip("segment:N"),
            alt.Tooltip("told:N", title="mean"),
        ],
    )
    colour = alt.Color(
        "segment:N",
        scale=alt.Scale(domain=names, range=list(PARTS[: len(names)])),
        legend=alt.Legend(title=None, orient="top", direction="vertical", labelLimit=320),
    )
    bars = base.mark_bar(opacity=0.8).encode(x=alt.X("mean:Q", title=None), color=colour)
    spans = base.mark_rule(strokeWidth=1.2).encode(x="low:Q", x2="high:Q")
    height = (PART * len(parts) + 8) * len(results.rows) + AXIS
    return alt.layer(bars, spans).properties(width="container", height=height).to_dict()
