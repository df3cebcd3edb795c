"""The copywriting suite on a planted use case: every number is known, recorded and replayed alike."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from merchgraph.evals.replay import replay_file
from merchgraph.evals.report import Report
from merchgraph.evals.session import run_suite
from merchgraph.evals.suites import copy_judge, copy_labels
from merchgraph.evals.suites.copywriting import make
from merchgraph.evals.tables import Cell
from merchgraph.graphs import copywriting_state
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.scripted import Always, Answer, Replies, scripted
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.trace_file import read
from merchgraph.tools import embedding
from tests.evals.copy_case import CHECKS, GOOD, REPLIES, VERSIONS, Letters, suite, use_case


@pytest.fixture(autouse=True)
def _cheap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(embedding, "SentenceModel", Letters)
    with use_settings(cache=tmp_path / "cache"):
        yield


@pytest.fixture
def tea(tmp_path: Path) -> str:
    return use_case(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.jsonl.zst"


def sit(
    tea: str, file: Path | None = None, replies: Replies = REPLIES, **params: Any
) -> tuple[Report, list[str]]:
    """The report, and who was asked."""
    with scripted(replies, name="copy") as model:
        report = asyncio.run(run_suite(suite(tea, model, **params), path=file))
        return report, [agent for agent, _, _ in model.script.asked]


def means(report: Report, metric: str) -> dict[str, float]:
    return {row.system: row.metrics[metric].mean for row in report.rows}


def rows(report: Report, title: str) -> dict[str, list[Any]]:
    """A table's rows by their name, estimates as their means."""
    [table] = [table for table in report.tables if table.title.startswith(title)]

    def plain(cell: Cell) -> Any:
        return getattr(cell, "mean", cell)

    return {str(name): [plain(cell) for cell in cells] for name, *cells in table.rows}


LOOPS = {f"{mode} J={n}" for mode in ("fail_fast", "collect_all") for n in range(5)}


def test_every_mean_of_the_report_is_the_planted_one(tea: str) -> None:
    report, _ = sit(tea)
    assert (report.n, report.reference, [row.failed for row in report.rows]) == (
        2, "best of 3", [0] * 13,
    )  # fmt: skip
    success = means(report, "success")
    assert success.keys() == LOOPS | {"zero-shot", "best of 3", "Self-Refine"}
    late = {"fail_fast J=4", *(f"collect_all J={n}" for n in range(1, 5)), "Self-Refine"}
    assert {name for name, share in success.items() if share == 1} == late
    assert {share for name, share in success.items() if name not in late} == {0.5}
    assert means(report, "code rules") == success
    assert {name: share for name, share in means(report, "distinct").items() if share < 1} == {
        "Self-Refine": 0.5  # both of its copies became the same
    }
    assert means(report, "accepted") == {**success, "Self-Refine": 0.5}


def test_kinds_and_costs_are_told_of_each_system(tea: str) -> None:
    report, _ = sit(tea)
    calls = {row.system: row.calls for row in report.rows}
    # one topic is judged of each draft that passes the rules; of all drafts in collect_all
    assert {name: calls[name] for name in ("zero-shot", "best of 3", "Self-Refine")} == {
        "zero-shot": 1, "best of 3": 3 * (1 + 1), "Self-Refine": 1 + 2 * 2 * 2,
    }  # fmt: skip
    assert [calls[f"fail_fast J={n}"] for n in range(5)] == [2, 3, 4, 5, 7]
    assert [calls[f"collect_all J={n}"] for n in range(5)] == [3, 5, 5, 5, 5]
    kinds = {row.system: row.kind for row in report.rows}
    assert {name for name, kind in kinds.items() if kind == "method"} == {
        "fail_fast J=2",
        "collect_all J=2",
    }
    assert report.rows[-1].kind == "method"


def test_the_tables_have_the_planted_rounds_failures_and_repairs(tea: str) -> None:
    report, _ = sit(tea)
    assert rows(report, "Success by round") == {
        f"{tea}, fail_fast": [2, 4, 0.5, 0.5, 0.5, 0.5, 1],
        f"{tea}, collect_all": [2, 4, 0.5, 1, 1, 1, 1],
    }
    assert rows(report, "First versions") == {
        **{check: [0.5] for check in CHECKS[:4]},
        "topic 1": [0],
    }
    fixed = rows(report, "Fixed and regressed")
    # two batches; one copy of each is mended, in turn or at once
    turns = {f"{check}, fail_fast": [2, 2, 1, 2 * (3 - n), 0] for n, check in enumerate(CHECKS[:4])}
    once = {f"{check}, collect_all": [2, 2, 1, 0, 0, None] for check in CHECKS[:4]}
    assert {name: row[:5] for name, row in fixed.items() if "fail_fast" in name} == turns
    assert {name: row for name, row in fixed.items() if "collect_all" in name} == {
        **once, "topic 1, collect_all": [0, 0, None, 2, 0, 0],
    }  # fmt: skip
    cost = rows(report, "Cost of a copy")
    assert [cost["fail_fast J=4"][n] for n in (0, 1)] == [4, 7 / 2]
    assert [cost["collect_all J=2"][n] for n in (0, 1)] == [4, 5 / 2]
    assert [cost["zero-shot"][n] for n in (0, 1)] == [2, 1]
    modes = rows(report, "collect_all minus fail_fast")
    assert modes.keys() == {tea, "all"}
    assert [modes["all"][n] for n in (0, 1, 3, 4)] == [2, 0.5, 0.5, 1]


def test_the_loops_evaluators_are_measured_on_labelled_copies(tea: str) -> None:
    report, _ = sit(tea, systems="zero-shot")
    # they pass everything: the one example of the use case, and six of others that do not hold
    assert rows(report, "The loop's own evaluators") == {
        "Tea: topic 1": [1, 6, pytest.approx(1 / 7), 1, 0.5]
    }


def test_a_replay_needs_no_file_no_model_and_no_embedder(
    tea: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, asked = sit(tea, file)
    Path(tea).unlink()

    def gone(*_: object, **__: object) -> Any:
        raise AssertionError("a replay read the world outside")

    for module, name in ((copy_labels, "loaded"), (copywriting_state, "load_use_case")):
        monkeypatch.setattr(module, name, gone)
    monkeypatch.setattr(copy_judge, "Embedder", gone)
    replay = asyncio.run(replay_file(file))
    assert [one.told for one in replay.differences] == []
    assert (replay.same, replay.runs) == (True, 2 * 13)
    assert replay.report is not None
    assert replay.report.model_dump_json() == report.model_dump_json()
    assert len(replay.report.tables) == 7
    assert asked


def test_calibrated_evaluators_are_measured_and_replayed_as_they_are_used(
    tea: str, file: Path
) -> None:
    report, _ = sit(tea, file, calibrate=True, systems="Self-Refine, fail_fast J=2")
    # all copies get the same answer as the empty one and the example, which are asked once a run
    assert rows(report, "The loop's own evaluators")["Tea: topic 1"][3:] == [1, 0.5]
    assert means(report, "success")["Self-Refine"] == 1
    own = {row.system: row.calls for row in report.rows}
    assert own["fail_fast J=2"] == 4 + 2
    assert asyncio.run(replay_file(file)).same


def test_more_rounds_ask_only_what_fewer_have_not(tea: str, file: Path) -> None:
    _, asked = sit(tea, file)
    recorded = [call for run in read(file).runs.values() for call in run.calls]
    assert len(asked) == sum(not call.same_as for call in recorded)
    # a batch: three replies of the writer, and what the longest loops ask on top of one another
    assert asked.count("write") == 2 * 3
    assert asked.count("refine") == 2 * (4 + 1)
    again, asked = sit(tea, file)
    assert (asked, again.n) == ([], 2)


def test_the_best_are_those_that_pass_and_of_these_those_that_are_new(tea: str) -> None:
    bad, again, other = VERSIONS[0], f"{GOOD}s", "Tea time: coupons for you & me"

    def best_of(*replies: list[str]) -> tuple[float, float]:
        written = [json.dumps({"copies": [{"header": h} for h in reply]}) for reply in replies]
        script = {**REPLIES, "write": written}
        report, _ = sit(tea, replies=script, batches=1, systems="best of 3")
        [row] = report.rows
        return row.metrics["success"].mean, row.metrics["accepted"].mean

    assert best_of([bad, GOOD], [again, bad], [bad, GOOD]) == (1, 0.5)
    assert best_of([GOOD, bad], [again, bad], [other, bad]) == (1, 1)
    assert best_of([GOOD, bad], [bad, VERSIONS[1]], [VERSIONS[2], bad]) == (0.5, 0.5)


def test_another_model_may_be_the_judge(tea: str, file: Path) -> None:
    def judged(messages: Sequence[BaseMessage]) -> Answer:
        """Likes nothing but the example of the use case."""
        share = 0.9 if "every cup" in str(messages[-1].content) else 0.1
        return {"Yes": share, "No": 1 - share}

    with (
        scripted(REPLIES, name="copy") as model,
        scripted({"judge": Always(judged)}, name="judge") as judge,
    ):
        made = suite(tea, model, judge=str(judge), systems="fail_fast J=2")
        report = asyncio.run(run_suite(made, path=file))
        lanes = [lane for _, lane, _ in judge.script.asked]
    assert set(lanes) == {"judge"}
    assert {row.metrics["held-out"].mean for row in report.rows} == {0.0}
    assert {row.metrics["success"].mean for row in report.rows} == {0.5}
    assert means(report, "success") == {"best of 3": 0.5, "fail_fast J=2": 0.5}
    # the judge is nobody's cost
    assert {row.system: row.calls for row in report.rows} == {"best of 3": 6, "fail_fast J=2": 4}
    assert asyncio.run(replay_file(file)).same


def test_a_judge_that_cannot_tell_is_not_asked_and_nothing_is_held_out(
    tea: str, file: Path
) -> None:
    with (
        scripted(REPLIES, name="copy") as model,
        scripted({"judge": Always({"Yes": 0.9, "No": 0.1})}, name="judge") as judge,
    ):
        made = suite(tea, model, judge=str(judge), systems="fail_fast J=2, collect_all J=2")
        report = asyncio.run(run_suite(made, path=file))
        labelled = len(judge.script.asked)
    assert labelled == 7  # its own example and six of other use cases
    assert all("held-out" not in row.metrics for row in report.rows)
    assert rows(report, "Held-out success") == {
        f"{tea}, {mode}": [None] * 5 for mode in ("fail_fast", "collect_all")
    }
    assert rows(report, "Cost of a copy")["collect_all J=2"][4:] == [None] * 3
    modes = rows(report, "collect_all minus fail_fast")["all"]
    assert modes[2] is None
    assert modes[1] == 0.5
    assert "AUC 0.50" in report.notes[-2]
    assert "too little to be asked" in report.notes[-2]
    assert report.notes[-1] == "It can tell no check of Tea: held-out has no value there."
    assert asyncio.run(replay_file(file)).same


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        (
            {"systems": "oracle"},
            r"There is no system 'oracle'; there are all, zero-shot, best of 3",
        ),
        ({"batches": 0}, r"The setting batches is 0, but: .* greater than or equal to 1"),
        ({"use_cases": "a, a"}, r"The setting use_cases is 'a, a', but: .* each once"),
        ({"use_cases": " , "}, r"The setting use_cases is ' , ', but"),
        ({"use_cases": "nowhere.yaml"}, r"nowhere\.yaml"),
        (
            {"model": "vllm/Big", "judge": "VLLM/big"},
            r"The judge is 'VLLM/big', the model that is judged",
        ),
        ({"wish": 1}, r"There is no setting 'wish'; there are use_cases, batches, copies,"),
    ],
)
def test_a_wrong_setting_is_named(params: dict[str, Any], sentence: str) -> None:
    def ask() -> None:
        made = make(params)
        made.systems()
        made.cases()

    with pytest.raises(SetupError, match=sentence):
        ask()


def test_the_planted_versions_fail_in_turn(tea: str) -> None:
    case = copywriting_state.loaded(tea)
    assert case.checks == CHECKS
    first = [
        next((rule.name for rule in case.rules() if not rule({"header": text}).passed), "")
        for text in VERSIONS
    ]
    assert first == [*CHECKS[:4], ""]
