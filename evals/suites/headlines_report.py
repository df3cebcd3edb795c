"""How often judges pick the headline with more clicks: for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
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
        """Who is right, then what place does to the answers; two tables for rich, one row per judge."""
        from rich.console import Group
        from rich.text import Text

        places = [name for name in MEASURES if name != "accuracy"]
        tables = [self._table(["accuracy", *self._compared]), self._table(places)]
        return Group(Text(self._title(), "bold"), *tables, Text(LEGEND, "dim"))

    def markdown(self) -> str:
        """One table with all of it, and how to read it."""
        names = [*MEASURES, *self._compared]
        lines = [["judge", *map(_head, names)], ["---", *["---:"] * len(names)]]
        lines += [[row.judge, *(self._cell(row, name) for name in names)] for row in self.rows]
        table = [f"| {' | '.join(cells)} |" for cells in lines]
        return "\n".join([*table, "", f"{self._title()}. {LEGEND}"]) + "\n"

    def _title(self) -> str:
        given = {name: value for name, value in self.params.items() if value is not None}
        told = "".join(f", {name} {setting(value)}" for name, value in given.items())
        return f"Real headlines: n = {self.n:,} pairs of {self.tests:,} tests{told}"

    @property
    def _compared(self) -> list[str]:
        return ["minus", "shown"] if any(row.judge == REFERENCE for row in self.rows) else []

    def _table(self, names: Sequence[str]) -> RenderableType:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, padding=(0, 1))
        table.add_column("judge", no_wrap=True, overflow="fold")
        for name in names:
            table.add_column(_head(name), justify="right")
        for row in self.rows:
            cells = (self._cell(row, name) for name in names)
            table.add_row(*map(Text, (row.judge, *cells)))
        return table

    def _cell(self, row: Row, name: str) -> str:
        if name in MEASURES:
            return interval(row.means[name], self.tests)
        if row.judge == REFERENCE or row.difference is None:
            return NONE
        if name == "minus":
            return interval(row.difference, self.tests)
        return SHOWN[row.difference.verdict]


def _head(name: str) -> str:
    return MEASURES.get(name) or {"minus": f"accuracy minus {REFERENCE}", "shown": "shown"}[name]
