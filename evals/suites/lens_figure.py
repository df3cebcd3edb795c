"""The lens suite's figure: accuracy against the tokens of an answer, renderings as points.

What asks no model stands as a dashed line at its accuracy. Tokens and accuracies are those of the
table "Text or picture".
"""

from __future__ import annotations

from collections.abc import Sequence

from merchgraph.evals.extra import bench
from merchgraph.evals.figure import LOOK, Spec, as_svg
from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.results import Results
from merchgraph.evals.suites.lens_tables import COLUMNS, MODALITY
from merchgraph.evals.tables import Cell
from merchgraph.runtime.errors import SetupError

COLOURS = {"text": "#3b82d6", "picture": "#d9902f", "both": "#3aa17e"}
GREY, INK = "#7f8a99", "#1c2330"
WIDTH, HEIGHT, LABEL = 560, 360, 15
"""Pixels: the plot, and the height of a name in it."""
MARGIN = 0.08
"""Room beyond the outermost points, as a share of their span."""


def svg(results: Results) -> str:
    """The figure as a file's text.

    Raises:
        SetupError: no rendering was asked, or the extra bench is not installed.
    """
    return as_svg(figure(results))


def figure(results: Results) -> Spec:
    """A Vega-Lite specification.

    Raises:
        SetupError: no rendering was asked, or the extra bench is not installed.
    """
    points = _points(results)
    if not points:
        raise SetupError(
            "There is no figure without a rendering: ask for one, as --systems text does."
        )
    lines = _lines(results, [point["high"] - point["low"] for point in points])
    with bench("The figure"):
        import altair as alt
    tokens = [point["tokens"] for point in points]
    room = MARGIN * (max(tokens) - min(tokens) or max(tokens))
    across = alt.Scale(domain=[min(tokens) - room, max(tokens) + 2 * room], nice=False)
    shown = [kind for kind in COLOURS if any(point["shown"] == kind for point in points)]
    colours = alt.Scale(domain=shown, range=[COLOURS[kind] for kind in shown])
    y = alt.Y("low:Q", title="accuracy, with its 95 % interval", scale=alt.Scale(zero=False))
    base = alt.Chart(alt.InlineData(values=points)).encode(
        x=alt.X(
            "tokens:Q",
            title="tokens per answer, read and written",
            scale=across,
            axis=alt.Axis(grid=False, tickCount=6),
        ),
        color=alt.Color("shown:N", title=None, scale=colours, legend=alt.Legend(orient="top")),
    )
    plain = alt.Chart(alt.InlineData(values=lines))
    layers = [
        plain.mark_rule(strokeDash=[4, 4], color=GREY, opacity=0.6).encode(y="accuracy:Q"),
        plain.mark_text(align="left", dx=4, color=GREY, fontSize=11).encode(
            x=alt.value(WIDTH), y="label:Q", text="name:N"
        ),
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(y=y, y2="high:Q"),
        base.mark_point(filled=True, size=90, opacity=1).encode(y="mean:Q"),
        base.mark_text(align="left", dx=9, dy=-7, fontSize=12, color=INK).encode(
            y="mean:Q", text="name:N", color=alt.value(INK)
        ),
    ]
    title = f"{results.suite}: {results.params.get('model', '')}, n = {results.n:,}"
    chart = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT, title=title)
    spec: Spec = chart.configure(**LOOK).to_dict()
    return spec


def _points(results: Results) -> list[Spec]:
    """The rows of the table of renderings."""
    rows = [row for table in results.tables if table.title == MODALITY for row in table.rows]
    return [_point(dict(zip(COLUMNS, row, strict=True))) for row in rows]


def _point(cells: dict[str, Cell]) -> Spec:
    accuracy = cells["accuracy"]
    assert isinstance(accuracy, Estimate), accuracy
    parts = [cells[part] for part in ("text", "image", "written")]
    return {
        "name": cells["rendering"],
        "shown": str(cells["shown"]).partition(",")[0],
        "tokens": sum(float(part) for part in parts if isinstance(part, int | float)),
        "mean": accuracy.mean,
        "low": accuracy.low,
        "high": accuracy.high,
    }


def _lines(results: Results, spans: Sequence[float]) -> list[Spec]:
    """The baselines, with the height of each name, far enough from the next one."""
    from scipy.optimize import isotonic_regression

    found: list[Spec] = [
        {"name": row.system, "accuracy": row.metrics["accuracy"].mean}
        for row in results.rows
        if row.kind == "baseline" and "accuracy" in row.metrics
    ]
    found.sort(key=lambda line: float(line["accuracy"]))
    heights = [float(line["accuracy"]) for line in found]
    if not heights:
        return []
    span = max([*heights, *spans]) - min(heights) + max(spans)
    steps = [span * LABEL / HEIGHT * place for place in range(len(heights))]
    gaps = [height - step for height, step in zip(heights, steps, strict=True)]
    for line, step, gap in zip(found, steps, isotonic_regression(gaps).x, strict=True):
        line["label"] = float(gap) + step
    return found
