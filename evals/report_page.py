"""A report as one HTML page that needs no network: plots, tables, settings.

Vega, which draws the plots, stands once in the page. Without JavaScript the tables remain.
"""

from __future__ import annotations

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
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from vl_convert import javascript_bundle
    major, minor, *_ = altair.SCHEMA_VERSION.lstrip("v").split(".")
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
        kinds=KINDS,
        charts=charts(results),
        vega=javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=f"{major}.{minor}"),
    )
