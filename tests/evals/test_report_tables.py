"""Tables of a suite's own: in every form of the report, hostile names inert."""

import asyncio
import io
from collections.abc import Sequence

import pytest
from pydantic import BaseModel
from rich.console import Console

from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.report import Report
from merchgraph.evals.report_text import cell
from merchgraph.evals.suite import Answer, Case, Outcome, System, evaluate
from merchgraph.evals.tables import Cell, Table

HALF = Estimate(mean=0.5, low=0.25, high=0.75, n=8)
HOSTILE = "</td><script>alert(1)</script>|\x1b[2J"
ROW: list[Cell] = [HOSTILE, HALF, 1200, 0.25, None]


class Plain(BaseModel):
    """A suite of one system."""

    name: str = "plain"
    reference: str = "says"

    @property
    def params(self) -> BaseModel:
        return self

    def cases(self) -> Sequence[Case]:
        return [Case(id=f"{n}", request={"n": n}, truth={}) for n in range(3)]

    def systems(self) -> Sequence[System]:
        return [System("says", self.answer, "baseline")]

    async def answer(self, case: Case) -> Answer:
        return Answer(value={"n": case.request["n"]})

    def score(self, case: Case, answer: Answer) -> dict[str, float]:
        return {"Half": 0.5}


class Telling(Plain):
    """The same with a table of what was answered."""

    def tables(self, outcomes: Sequence[Outcome]) -> Sequence[Table]:
        total = sum(outcome.answer.get("n", 0) for outcome in outcomes)
        rows: list[list[Cell]] = [ROW, ["sum", None, total, None, None]]
        columns = ["what", "mean", "count", "share", "none"]
        return [Table(title=f"Sums {HOSTILE}", columns=columns, rows=rows, about="By *hand*.")]


def outcomes(suite: Plain) -> list[Outcome]:
    return asyncio.run(evaluate(suite))


def test_a_suite_makes_its_tables_of_the_answers() -> None:
    [table] = Report.of(Telling(), outcomes(Telling())).tables
    assert table.rows == [ROW, ["sum", None, 0 + 1 + 2, None, None]]
    report = Report.of(Telling(), outcomes(Telling()))
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_answers_are_kept_only_for_tables() -> None:
    assert [outcome.answer for outcome in outcomes(Plain())] == [{}, {}, {}]
    assert sorted(outcome.answer["n"] for outcome in outcomes(Telling())) == [0, 1, 2]
    assert Report.of(Plain(), outcomes(Plain())).tables == []


def test_the_terminal_shows_them_and_obeys_nothing() -> None:
    console = Console(file=io.StringIO(), width=140, color_system=None)
    console.print(Report.of(Telling(), outcomes(Telling())).terminal())
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for shown in (".500 [.250 .750]", "1,200", ".250", "By *hand*.", "Sums </td>"):
        assert shown in text
    assert "\x1b" not in text


def test_large_numbers_are_short() -> None:
    assert [cell(value) for value in (0.5, 9.9996, 12.345, 1234.5678, -20.0, 7, None)] == [
        ".500", "10.000", "12.3", "1,234.6", "-20.0", "7", "-",
    ]  # fmt: skip


def test_the_markdown_has_them_below() -> None:
    text = Report.of(Telling(), outcomes(Telling())).markdown()
    head, _, table = text.partition("### Sums ")
    assert "says" in head
    assert "| what | mean | count | share | none |" in table
    assert "| .500 \\[.250 .750\\] | 1,200 | .250 | - |" in table
    assert "<script>" not in text


@pytest.mark.parametrize("part", ["<h2>Sums", "<td>1,200</td>", "<td>.500 [.250 .750]</td>"])
def test_the_page_has_them_escaped(part: str) -> None:
    page = Report.of(Telling(), outcomes(Telling())).html()
    assert part in page
    assert "<script>alert" not in page
