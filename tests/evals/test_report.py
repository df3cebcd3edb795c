"""The numbers of a report from outcomes made by hand, and what it says about them."""

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from pydantic import BaseModel
from rich.console import Console

from merchgraph.evals.metrics.bootstrap import Estimate, difference
from merchgraph.evals.report import Report
from merchgraph.evals.report_text import interval, line, number
from merchgraph.evals.suite import Answer, Case, Outcome, System
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.ledger import Usage

N = 40


async def nobody(case: Case) -> Answer:
    raise AssertionError("a report asks nobody")


class Settings(BaseModel):
    shop: str = "tiny"
    sources: list[str] = ["semantic", "frequency"]


@dataclass
class Made:
    name: str = "made"
    reference: str = "low"
    params: BaseModel = field(default_factory=Settings)

    def cases(self) -> Sequence[Case]:
        return []

    def systems(self) -> Sequence[System]:
        return [
            System("low", nobody, "baseline", "a floor"),
            System("high", nobody, "baseline"),
            System("no parts", nobody, "ablation"),
            System("method", nobody, "method"),
        ]

    def score(self, case: Case, answer: Answer) -> dict[str, float]:
        return {}


def outcome(case: int, system: str, error: str = "", **metrics: float) -> Outcome:
    return Outcome(
        case=f"case {case}",
        segment="new" if case % 4 == 0 else "known",
        system=system,
        metrics=metrics,
        usage=Usage(calls=2, prompt_tokens=100, completion_tokens=case, seconds=0.5),
        error=error,
    )


def made() -> list[Outcome]:
    """low .25, high .75 (two sets of cases apart), the method in between, no parts as good as low."""
    return [
        made_one
        for case in range(N)
        for made_one in (
            outcome(case, "low", Hit=float(case % 4 == 0), MRR=0.5),
            outcome(case, "high", Hit=float(case % 4 != 1), MRR=0.9),
            outcome(case, "no parts", Hit=float(case % 4 == 1), MRR=0.1),
            outcome(case, "method", Hit=float(case % 2 == 0), MRR=0.2, AUC=0.6),
        )
    ]


def report(outcomes: list[Outcome] | None = None) -> Report:
    return Report.of(Made(), made() if outcomes is None else outcomes, notes=["By hand."])


def in_terminal(found: Report, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(found.terminal())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_rows_stand_in_the_order_of_the_suite_with_means_and_cost() -> None:
    rows = report().rows
    assert [row.system for row in rows] == ["low", "high", "no parts", "method"]
    assert [row.metrics["Hit"].mean for row in rows] == [0.25, 0.75, 0.25, 0.5]
    assert all(row.metrics["Hit"].n == N for row in rows)
    assert all(row.metrics["Hit"].low < row.metrics["Hit"].high for row in rows)
    assert (rows[0].calls, rows[0].tokens, rows[0].seconds) == (2.0, 119.5, 0.5)


def test_differences_are_paired_with_the_reference() -> None:
    low, high, no_parts, method = report().rows
    assert low.difference == {}
    columns = {
        system: [float(o.metrics["Hit"]) for o in made() if o.system == system]
        for system in ("low", "high")
    }
    assert high.difference["Hit"] == difference(columns["high"], columns["low"])
    verdicts = [row.difference["Hit"].verdict for row in (high, no_parts, method)]
    assert verdicts == ["better", "unclear", "better"]
    assert "AUC" not in method.difference


def test_a_method_is_compared_with_the_best_baseline_and_may_be_worse() -> None:
    found = report()
    (comparison,) = found.comparisons
    assert (comparison.system, comparison.against) == ("method", "high")
    assert comparison.difference.verdict == "worse"
    told = "method against high, the best baseline on these cases: Hit -.250"
    assert told in found.markdown()
    assert ": worse." in found.markdown()


def test_the_order_of_outcomes_changes_no_number() -> None:
    shuffled = made()
    random.Random(1).shuffle(shuffled)
    assert shuffled != made()
    assert report(shuffled) == report()


def test_a_failed_answer_counts_as_zero_and_is_told() -> None:
    outcomes = [
        outcome(int(o.case.split()[1]), o.system, error="It broke.")
        if o.system == "method" and o.case in ("case 0", "case 2")
        else o
        for o in made()
    ]
    found = report(outcomes)
    method = found.rows[-1]
    assert method.errors == {"It broke.": 2}
    assert method.metrics["Hit"].mean == pytest.approx(18 / N)
    assert method.metrics["AUC"].mean == pytest.approx(0.6 * 38 / N)
    for text in (in_terminal(found, 200), found.markdown()):
        assert "method failed on 2 of 40 cases: It broke." in text
        assert "A failed answer counts 0." in text
    assert "failed" not in report().markdown()


def test_a_system_that_fails_everywhere_has_zero_in_every_metric() -> None:
    outcomes = [o for o in made() if o.system != "no parts"]
    outcomes += [outcome(case, "no parts", error="Down.") for case in range(N)]
    row = report(outcomes).rows[2]
    assert {name: estimate.mean for name, estimate in row.metrics.items()} == {
        "Hit": 0.0,
        "MRR": 0.0,
        "AUC": 0.0,
    }
    assert row.failed == N


def test_segments_have_their_own_n_and_the_largest_comes_first() -> None:
    known, new = report().segments
    assert (known.name, known.n, new.name, new.n) == ("known", 30, "new", 10)
    assert new.systems["low"]["Hit"].mean == 1.0
    assert known.systems["low"]["Hit"].mean == 0.0
    one_label = [o.model_copy(update={"segment": ""}) for o in made()]
    assert report(one_label).segments == []


def test_a_cut_run_is_reported_with_the_n_that_there_is() -> None:
    found = report(made()[: 4 * 25 + 2])
    assert [row.metrics["Hit"].n for row in found.rows] == [26, 26, 25, 25]
    assert found.rows[3].difference["Hit"].n == 25
    assert "n=25" in found.markdown()
    without_method = [o for o in made() if o.system != "method"]
    assert [row.system for row in report(without_method).rows] == ["low", "high", "no parts"]


def test_nothing_to_report_is_said() -> None:
    with pytest.raises(SetupError, match="nothing to report"):
        report([])
    with pytest.raises(SetupError, match="No system has answered"):
        report([outcome(1, "low", error="Down.")])
    with pytest.raises(ValueError, match="no system 'other'"):
        report([outcome(1, "other", Hit=1.0)])


def test_a_report_survives_json() -> None:
    found = report()
    assert Report.model_validate_json(found.model_dump_json()) == found


def test_the_markdown_table_is_whole_and_marks_the_best() -> None:
    lines = report().markdown().splitlines()
    table = [row for row in lines if row.startswith("|")]
    assert len(table) == 6
    assert len({row.count("|") for row in table}) == 1
    assert "| **.750 [.600 .875]** | **.900 [.900 .900]** | - |" in table[3]
    assert table[2].count("**") == 0
    assert "n = 40, shop tiny" in lines[-1]


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_every_system_every_n_and_every_verdict(width: int) -> None:
    text = in_terminal(report(), width)
    for word in ("low", "no parts", "better", "not shown", "(n=30)", "By hand.", "n = 40"):
        assert word in text
    assert max(map(len, text.splitlines())) <= width


def test_hostile_names_are_shown_and_not_obeyed() -> None:
    outcomes = [o.model_copy(update={"segment": f"[red]\x1b[2J|{o.segment}"}) for o in made()]
    outcomes.append(outcome(0, "method", error="<b>\n| [bold]x\x1b[0m"))
    found = report(outcomes)
    text = in_terminal(found, 200)
    assert "\x1b" not in text
    assert "[red]" in text
    assert "\\<b\\>\ufffd\\| \\[bold\\]x\ufffd\\[0m" in found.markdown()


def test_numbers_are_short() -> None:
    shown = [number(value) for value in (0.4123, -0.0314, 1.0, 0.0, -0.0001, 10.5)]
    assert shown == [".412", "-.031", "1.000", ".000", ".000", "10.500"]
    estimate = Estimate(mean=0.5, low=0.25, high=0.75, n=7)
    assert interval(estimate, 7) == ".500 [.250 .750]"
    assert interval(estimate, 9) == ".500 [.250 .750] n=7"
    assert interval(None, 9) == "-"
    assert line("a\u202eb\r") == "a\ufffdb\ufffd"
