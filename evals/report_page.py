"""A report as one HTML page that needs no network: plots, tables, settings.

Vega, which draws the plots, stands once in the page. Without JavaScript the tables remain.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from merchgraph.evals import report_text
from merchgraph.evals.extra import bench
from merchgraph.evals.report_charts import KINDS, charts
from merchgraph.evals.results import Results

TEMPLATE = "report.html.j2"


def page(results: Results) -> str:
    """The page; the same text for the same results.

    Raises:
        SetupError: the extra bench is not installed.
    """
    with bench("The HTML report"):
        import altair
        import vl_convert  # noqa: F401
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template(TEMPLATE).render(
        results=results,
        text=report_text,
        kinds={kind: KINDS[kind] for kind in KINDS if kind in {row.kind for row in results.rows}},
        charts=charts(results),
        vega=_vega(altair.SCHEMA_VERSION),
    )


@cache
def _vega(version: str) -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, for a version such as "v6.4.1"."""
    from vl_convert import javascript_bundle

    major, minor, *_ = version.removeprefix("v").split(".")
    return javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=f"{major}.{minor}")
