"""What dialogues came to, and what a threshold costs: tables for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from merchgraph.evals.metrics.bootstrap import Estimate, estimates
from merchgraph.evals.report_text import interval

if TYPE_CHECKING:
    from rich.console import RenderableType

MEASURES = {
    "done": "tasks completed",
    "alone": "without a person",
    "needless": "needless repairs",
    "missed": "errors missed",
    "repairs": "repairs",
    "turns": "turns",
    "person": "handed over",
    "cost": "cost",
}
"""Each measure and its head; means over dialogues."""
DIFFERENCES = ("done", "turns", "cost")
"""The measures that are compared with the first system."""
LEAST_CELL = 17
"""Characters of an interval, which does not break in a terminal of 80."""
LEGEND = (
    "A simulation with made-up people: every figure of their behaviour is our choice. Tasks completed, "
    "by the assistant or a person; repairs of right answers, wrong answers that were not repaired, all "
    "repairs, and utterances of both sides, each per dialogue; cost is the ratio times errors missed "
    "plus needless repairs. Means with 95 % bootstrap intervals over dialogues; differences are paired "
    "by dialogue."
)


class Spoken(NamedTuple):
    """One dialogue: counts, and whether the task was completed, alone and with whom."""

    done: bool
    alone: bool
    needless: int
    missed: int
    repairs: int
    turns: int
    person: bool
    cost: float


class Costs(NamedTuple):
    """Cost of each answer at each threshold."""

    faces: str
    cells: list[list[float]]


class Row(BaseModel):
    """The means of one system, and some minus those of the first."""

    model_config = ConfigDict(frozen=True)

    system: str
    means: dict[str, Estimate]
    difference: dict[str, Estimate]


class CostRow(BaseModel):
    """Mean cost of an answer at each threshold."""

    model_config = ConfigDict(frozen=True)

    faces: str
    means: list[Estimate]


class VoiceReport(BaseModel):
    """All systems over `n` dialogues each, and all thresholds over `answers` answers."""

    model_config = ConfigDict(frozen=True)

    n: int
    answers: int
    params: dict[str, Any]
    rows: list[Row]
    thresholds: list[float]
    costs: list[CostRow]
    notes: list[str]

    def terminal(self) -> RenderableType:
        """Tables for rich."""
        from rich.console import Group
        from rich.text import Text

        minus = [f"{name} minus" for name in DIFFERENCES]
        shown = (
            ["done", "alone", "person"],
            ["needless", "missed", "cost"],
            ["repairs", "turns"],
            minus,
        )
        tables = [self._table(names) for names in shown]
        told = [Text(f"- {note}") for note in self.notes]
        costs = [Text(self._about_costs(), "bold"), self._cost_table()]
        return Group(Text(self._title(), "bold"), *tables, *told, *costs, Text(LEGEND, "dim"))

    def markdown(self) -> str:
        """Both tables, with how to read them."""
        names = [*MEASURES, *(f"{name} minus" for name in DIFFERENCES)]
        lines = [["system", *map(self._head, names)], ["---", *["---:"] * len(names)]]
        lines += [[row.system, *(self._cell(row, name) for name in names)] for row in self.rows]
        costs = [["faces", *(f"{at:g}" for at in self.thresholds)]]
        costs += [["---", *["---:"] * len(self.thresholds)]]
        costs += [self._cost_cells(row, bold="**") for row in self.costs]
        parts = [_lines(lines), "", *(f"- {note}" for note in self.notes), ""]
        parts += [f"{self._title()}. {LEGEND}", "", f"{self._about_costs()}.", "", _lines(costs)]
        return "\n".join(parts) + "\n"

    def _title(self) -> str:
        told = {key: value for key, value in self.params.items() if key in ("cost_ratio", "seed")}
        said = ", ".join(f"{key} {value:g}" for key, value in told.items())
        wrong = self.params["person"]["errors"]
        return (
            f"Simulated dialogues: n = {self.n:,} a system, {wrong:.0%} first answers wrong, {said}"
        )

    def _about_costs(self) -> str:
        ratio, errors = self.params["cost_ratio"], self.params["person"]["errors"]
        return (
            f"Cost of one answer by the threshold of p(error): n = {self.answers:,} answers, or the "
            f"detector's clips; never to repair costs {ratio * errors:.2f} in the long run, always "
            f"{1 - errors:.2f}; the costs put the threshold at {1 / (1 + ratio):.2f}"
        )

    def _table(self, names: Sequence[str]) -> RenderableType:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        table = Table(box=SIMPLE_HEAD, padding=(0, 1))
        table.add_column("system", max_width=20)
        for name in names:
            table.add_column(self._head(name), justify="right", min_width=LEAST_CELL)
        for row in self.rows:
            table.add_row(row.system, *(self._cell(row, name) for name in names))
        return table

    def _cost_table(self) -> RenderableType:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        table = Table(box=SIMPLE_HEAD, padding=(0, 1))
        for head in ("faces", *(f"{at:g}" for at in self.thresholds)):
            table.add_column(head, justify="left" if head == "faces" else "right")
        for row in self.costs:
            table.add_row(*self._cost_cells(row))
        return table

    def _cost_cells(self, row: CostRow, bold: str = "") -> list[str]:
        """The cheapest between two marks; intervals are in the JSON."""
        least = min(each.mean for each in row.means)
        marked = (
            f"{bold}{each.mean:.2f}{bold}" if each.mean == least else f"{each.mean:.2f}"
            for each in row.means
        )
        return [row.faces, *marked]

    def _head(self, name: str) -> str:
        measure, _, minus = name.partition(" ")
        return f"{MEASURES[measure]}, minus {self.rows[0].system}" if minus else MEASURES[measure]

    def _cell(self, row: Row, name: str) -> str:
        measure, _, minus = name.partition(" ")
        return interval((row.difference if minus else row.means).get(measure), self.n)


def _lines(cells: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def summary(
    spoken: Mapping[str, Sequence[Spoken]], costs: Sequence[Costs], params: dict[str, Any],
    notes: Sequence[str],
) -> VoiceReport:  # fmt: skip
    """Means, differences to the first system, and their intervals, all from the same draws."""
    columns = {
        name: {measure: [float(getattr(one, measure)) for one in talks] for measure in MEASURES}
        for name, talks in spoken.items()
    }
    first = next(iter(columns.values()))
    table = [values for found in columns.values() for values in found.values()]
    for found in columns.values():
        for measure in DIFFERENCES:
            pairs = zip(found[measure], first[measure], strict=True)
            table.append([mine - theirs for mine, theirs in pairs])
    made = iter(estimates(table))
    means = [{measure: _there(next(made)) for measure in MEASURES} for _ in columns]
    apart = [{measure: _there(next(made)) for measure in DIFFERENCES} for _ in columns]
    rows = [
        Row(system=name, means=mean, difference={} if n == 0 else minus)
        for n, (name, mean, minus) in enumerate(zip(columns, means, apart, strict=True))
    ]
    priced = [
        CostRow(faces=row.faces, means=[_there(found) for found in estimates(row.cells)])
        for row in costs  # a row at a time: they are of different answers
    ]
    return VoiceReport(
        n=len(table[0]), answers=len(costs[0].cells[0]) if costs else 0, params=params, rows=rows,
        thresholds=list(params["thresholds"]), costs=priced, notes=list(notes),
    )  # fmt: skip


def _there(found: Estimate | None) -> Estimate:
    assert found is not None
    return found
