"""The report of an evaluation: for a terminal, as Markdown, as one HTML page, as JSON.

report = Report.of(suite, outcomes)
console.print(report.terminal());  report.markdown();  report.html();  report.model_dump_json()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merchgraph.evals.results import Results

if TYPE_CHECKING:
    from rich.console import RenderableType


class Report(Results):
    """Results that can be shown."""

    def terminal(self) -> RenderableType:
        """Tables for rich."""
        from merchgraph.evals.report_text import terminal

        return terminal(self)

    def markdown(self) -> str:
        """One table with what it takes to read it."""
        from merchgraph.evals.report_text import markdown

        return markdown(self)

    def html(self) -> str:
        """One page with plots that needs no network.

        Raises:
            SetupError: the extra bench is not installed.
        """
        from merchgraph.evals.report_page import page

        return page(self)
