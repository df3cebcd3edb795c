"""The suite's figure: NDCG against realised value, a line per system over lambda.

Each point is a mean of the table of the frontier, with its interval in value; the number beside a point
of the tool is its lambda.
"""

from __future__ import annotations

from merchgraph.evals.extra import bench
from merchgraph.evals.figure import LOOK, Spec, as_svg
from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.results import Results
from merchgraph.evals.suites.gmvo_cases import METRICS
from merchgraph.evals.suites.gmvo_tables import FRONTIER, PATHS
from merchgraph.runtime.errors import SetupError

COLOURS = {
    "gmvo": "#3b82d6", "gamma 1": "#3aa17e", "gamma .5": "#b65fcf", "expected value": "#d9902f",
    "by pair": "#c9524e", "S by hand": "#7f8a99", "blend by hand": "#1c2330",
}  # fmt: skip
LABELLED = ("gmvo", "blend by hand")
WIDTH, HEIGHT = 560, 380
"""Pixels of the plot."""


def svg(results: Results) -> str:
    """The figure as a file's text.

    Raises:
        SetupError: there is no frontier, or the extra bench is not installed.
    """
    return as_svg(figure(results))


def figure(results: Results) -> Spec:
    """A Vega-Lite specification.

    Raises:
        SetupError: there is no frontier, or the extra bench is not installed.
    """
    points = _points(results)
    if not points:
        raise SetupError("There is no figure without a frontier: ask for --systems all.")
    with bench("The figure"):
        import altair as alt
    shown = [name for name in COLOURS if any(point["system"] == name for point in points)]
    colours = alt.Scale(domain=shown, range=[COLOURS[name] for name in shown])
    base = alt.Chart(alt.InlineData(values=points)).encode(
        x=alt.X("ndcg:Q", title=METRICS[0], scale=alt.Scale(zero=False)),
        color=alt.Color("system:N", title=None, scale=colours),
    )
    y = alt.Y(
        "low:Q", title=f"realised {METRICS[2]} per occasion, with its 95 % interval",
        scale=alt.Scale(zero=False),
    )  # fmt: skip
    layers = [
        base.mark_line(opacity=0.7).encode(y="gmv:Q", order="at:Q"),
        base.mark_rule(opacity=0.25).encode(y=y, y2="high:Q"),
        base.mark_point(filled=True, size=50, opacity=1).encode(y="gmv:Q"),
        base.transform_filter(alt.FieldOneOfPredicate(field="system", oneOf=list(LABELLED)))
        .mark_text(align="left", dx=7, dy=-6, fontSize=11)
        .encode(y="gmv:Q", text="at:Q"),
    ]
    title = f"gmvo: {results.params['data']}, {results.params['cases']:,} occasions"
    chart = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT, title=title)
    spec: Spec = chart.configure(**LOOK).to_dict()
    return spec


def _points(results: Results) -> list[Spec]:
    rows = [row for table in results.tables if table.title == FRONTIER for row in table.rows]
    points = []
    for row in rows:
        cells = dict(zip(PATHS, row, strict=True))
        ndcg, gmv = cells[METRICS[0]], cells[METRICS[2]]
        assert isinstance(ndcg, Estimate), ndcg
        assert isinstance(gmv, Estimate), gmv
        points.append(
            {
                "system": cells["system"], "at": cells["lambda or power"], "ndcg": ndcg.mean,
                "gmv": gmv.mean, "low": gmv.low, "high": gmv.high,
            }
        )  # fmt: skip
    return points
