"""The report of a suite that has tables of its own alone: for a terminal, as Markdown, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from merchgraph.evals.report_text import cell, line, marked, own_markdown, setting
from merchgraph.evals.tables import Table

if TYPE_CHECKING:
    from rich.console import RenderableType

LEGEND = (
    "Intervals are 95 %, by a bootstrap that draws whole people; each person is scored by models that "
    "have not seen them. Differences are paired."
)


class ReactionsReport(BaseModel):
    """Tables, and sentences on what they show."""

    model_config = ConfigDict(frozen=True)

    params: dict[str, Any]
    tables: list[Table]
    notes: list[str] = []

    def table(self, title: str) -> Table:
        """The one whose title begins so.

        Raises:
            KeyError: there is none.
        """
        for table in self.tables:
            if table.title.startswith(title):
                return table
        raise KeyError(title)

    def terminal(self) -> RenderableType:
        """Each table with how to read it."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.table import Table as Drawn
        from rich.text import Text

        parts: list[RenderableType] = [Text(line(self._title()), "bold")]
        for table in self.tables:
            drawn = Drawn(box=SIMPLE_HEAD, padding=(0, 1))
            drawn.add_column(Text(line(table.columns[0])), no_wrap=True)
            for head in table.columns[1:]:
                drawn.add_column(Text(line(head)), justify="right")
            for row in table.rows:
                drawn.add_row(*(Text(cell(value)) for value in row))
            parts += [Text(table.title, "bold"), drawn, Text(table.about, "dim")]
        parts += [Text(f"- {note}") for note in self.notes]
        return Group(*parts, Text(LEGEND, "dim"))

    def markdown(self) -> str:
        """The same."""
        lines: list[str] = []
        for table in self.tables:
            lines += [*own_markdown(table), ""]
        lines += [f"- {marked(note)}" for note in self.notes]
        return "\n".join([*lines, "", marked(f"{self._title()}. {LEGEND}")]) + "\n"

    def _title(self) -> str:
        told = (f"{name} {setting(value)}" for name, value in self.params.items())
        return f"Errors of a voice assistant, from faces: {', '.join(told)}"
