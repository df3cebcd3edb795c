"""How often judges pick the headline with more clicks: for a terminal and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from merchgraph.evals.metrics.bootstrap import FEWEST, Estimate
from merchgraph.evals.report_text import NONE, SHOWN, interval, setting

if TYPE_CHECKING:
    from rich.console import RenderableType

REFERENCE = "length"
MEASURES = {
    "accuracy": "accuracy",
    "once": "asked in one order",
    "place": "picks the first place",
    "agrees": "same in both orders",
}
"""Each measure and its head: share of pairs in which the headline with more clicks is picked by the mean
of both orders; the same by one order; share of answers that pick what stands first, .5 without a bias;
share of pairs with the same pick in both orders. No pick counts half."""
LEGEND = (
    "Share of clear pairs in which the headline with more clicks is picked; each pair is asked in both "
    "orders. Means over pairs, with 95 % intervals by a bootstrap of whole tests; differences are "
    f"paired, and with fewer than {FEWEST} tests none is shown."
)


class Row(BaseModel):
    """The means of one judge, and its accuracy minus that of length."""

    model_config = ConfigDict(frozen=True)

    judge: str
    means: dict[str, Estimate]
    difference: Estimate | None


class HeadlineReport(BaseModel):
    """All judges over `n` pairs of `tests` tests; the estimates are of tests."""

    model_config = ConfigDict(frozen=True)

    n: int
    tests: int
    params: dict[str, Any] = {}
    rows: list[Row]

    def terminal(self) -> RenderableType:
        """One row per judge; a table for rich."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, padding=(0, 1))
        for head in self._heads():
            table.add_column(head, justify="left" if head == "judge" else "right")
        for row in self.rows:
            table.add_row(*(Text(cell) for cell in self._cells(row)))
        return Group(Text(self._title(), "bold"), table, Text(LEGEND, "dim"))

    def markdown(self) -> str:
        """The same table, with how to read it."""
        heads = self._heads()
        lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *map(self._cells, self.rows)]
        table = [f"| {' | '.join(cells)} |" for cells in lines]
        return "\n".join([*table, "", f"{self._title()}. {LEGEND}"]) + "\n"

    def _title(self) -> str:
        given = {name: value for name, value in self.params.items() if value is not None}
        told = "".join(f", {name} {setting(value)}" for name, value in given.items())
        return f"Real headlines: n = {self.n:,} pairs of {self.tests:,} tests{told}"

    @property
    def _compared(self) -> bool:
        return any(row.judge == REFERENCE for row in self.rows)

    def _heads(self) -> list[str]:
        compared = [f"accuracy minus {REFERENCE}", "shown"] if self._compared else []
        return ["judge", *MEASURES.values(), *compared]

    def _cells(self, row: Row) -> list[str]:
        cells = [row.judge, *(interval(row.means[measure], self.tests) for measure in MEASURES)]
        if not self._compared:
            return cells
        if row.judge == REFERENCE or row.difference is None:
            return [*cells, NONE, NONE]
        return [*cells, interval(row.difference, self.tests), SHOWN[row.difference.verdict]]
