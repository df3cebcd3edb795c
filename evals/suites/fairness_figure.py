"""The fairness suite's figure: the worst seller's share against the GMV lost, a line per family."""

from __future__ import annotations

from merchgraph.evals.extra import bench
from merchgraph.evals.figure import LOOK, Spec, as_svg
from merchgraph.evals.results import Results

FAMILIES = {
    "max-min": "#3b82d6",
    "worst first": "#d9902f",
    "P-MMF": "#9a5bc4",
    "FairRec": "#3aa17e",
    "FairRec+": "#c2554f",
}
"""First words of systems, and their colours."""
GREY = "#7f8a99"
WIDTH, HEIGHT = 560, 360
FARTHEST = 14.0
"""Percent of GMV at which the figure ends; what costs more is left out, as its axis says."""
NEAR = 0.15
"""Percent of GMV between two labels of a line."""


def svg(results: Results) -> str:
    """The figure as a file's text.

    Raises:
        SetupError: the extra bench is not installed.
    """
    return as_svg(figure(results))


def figure(results: Results) -> Spec:
    """A Vega-Lite specification.

    Raises:
        SetupError: the extra bench is not installed.
    """
    with bench("The figure"):
        import altair as alt
    points = _points(results)
    there = _families(points)
    colours = alt.Scale(domain=there, range=[FAMILIES[name] for name in there])
    base = alt.Chart(alt.InlineData(values=points)).encode(
        x=alt.X("lost:Q", title=f"GMV lost, % of greedy lists (up to {FARTHEST:g})"),
        y=alt.Y("share:Q", title="outcome of the worst seller / its target"),
        color=alt.Color("family:N", title=None, scale=colours, legend=alt.Legend(orient="top")),
    )
    rule = alt.Chart(alt.InlineData(values=[{"lost": 1.0}])).mark_rule(
        strokeDash=[4, 4], color=GREY
    )
    layers = [
        rule.encode(x="lost:Q"),
        base.mark_line(opacity=0.5).encode(order="strength:Q"),
        base.mark_point(filled=True, size=70, opacity=1),
        base.mark_text(align="left", dx=7, dy=8, fontSize=10).encode(text="label:N"),
    ]
    title = f"Fairness and its price: n = {results.n:,} orders of the trips"
    chart = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT, title=title)
    spec: Spec = chart.configure(**LOOK).to_dict()
    return spec


def _points(results: Results) -> list[Spec]:
    greedy = results.rows[0].metrics["GMV"].mean
    points = []
    for row in results.rows[1:]:
        family, _, label = row.system.rpartition(" ")
        lost = 100 * (1 - row.metrics["GMV"].mean / greedy)
        if family in FAMILIES and lost <= FARTHEST:
            points.append({"family": family, "label": label, "strength": float(label),
                           "lost": lost, "share": row.metrics["min share"].mean})  # fmt: skip
    zero = {"label": "", "strength": 0.0, "lost": 0.0}
    zero["share"] = results.rows[0].metrics["min share"].mean
    return [{**zero, "family": name} for name in _families(points)] + _apart(points)


def _families(points: list[Spec]) -> list[str]:
    """Those that have a point, in the order of the key."""
    return [name for name in FAMILIES if any(point["family"] == name for point in points)]


def _apart(points: list[Spec]) -> list[Spec]:
    """The same points, without the labels that would lie on the one before."""
    shown: dict[str, float] = {}
    for point in points:
        if point["lost"] - shown.get(point["family"], -NEAR) < NEAR:
            point["label"] = ""
        else:
            shown[point["family"]] = point["lost"]
    return points
