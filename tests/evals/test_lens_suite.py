"""The lens suite, recorded and replayed: the same report without shop, embedder, model and drawing."""

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from merchgraph.agents.explanation_judge import DIMENSIONS
from merchgraph.evals.baselines.next_purchase import BASELINES
from merchgraph.evals.replay import Replay, replay_file
from merchgraph.evals.report import Report
from merchgraph.evals.results import Row
from merchgraph.evals.session import run_suite
from merchgraph.evals.suite import Answer
from merchgraph.evals.suites import lens_shop
from merchgraph.evals.suites.lens import make
from merchgraph.evals.suites.lens_figure import svg
from merchgraph.evals.suites.lens_renderings import PLANS
from merchgraph.evals.suites.lens_tables import MODALITY
from merchgraph.graphs import behavior_lens
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.scripted import Always, Replies, Text, scripted
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.trace_file import read
from merchgraph.tools import embedding
from tests.evals.lens_toy import HOUSEHOLDS, JUDGE, REPLIES, suite, toy_shop
from tests.evals.toy_suite import use_letters

TEXTS = ["text", "ranks", "table"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return toy_shop(tmp_path_factory.mktemp("toy"))


@pytest.fixture(autouse=True)
def _cheap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_letters(monkeypatch)
    with use_settings(cache=tmp_path / "cache"):
        yield


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.jsonl.zst"


def record(
    data: str, file: Path, limit: int, replies: Replies = REPLIES, **params: Any
) -> tuple[Report, int]:
    """The report, and how many requests reached the model."""
    with scripted(replies) as model:
        report = asyncio.run(run_suite(suite(data, model, **params), limit=limit, path=file))
        return report, len(model.script.asked)


def play(file: Path) -> Replay:
    return asyncio.run(replay_file(file))


def rows(report: Report) -> dict[str, Row]:
    return {row.system: row for row in report.rows}


def modality(report: Report) -> dict[str, list[Any]]:
    [table] = [table for table in report.tables if table.title == MODALITY]
    return {str(row[0]): row for row in table.rows}


def test_a_replay_gives_the_same_report_without_model_shop_and_embedder(
    data: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, asked = record(data, file, 4)
    assert [row.system for row in report.rows] == [*BASELINES, *TEXTS]
    assert [row.failed for row in report.rows] == [0] * len(report.rows)
    assert report.metrics == [
        "accuracy", "P(truth)", "by P", "similarity", "similarity on errors", "usable",
    ]  # fmt: skip

    def gone(*args: Any, **more: Any) -> Any:
        raise AssertionError("a replay opened a shop, an embedder or a drawing")

    for module in (lens_shop, behavior_lens):
        monkeypatch.setattr(module, "shop", gone)
    monkeypatch.setattr(embedding, "SentenceModel", gone)
    replay = play(file)
    assert replay.report is not None
    assert replay.report.model_dump_json() == report.model_dump_json()
    assert (replay.same, replay.unfinished) == (True, False)
    assert replay.calls == asked == 4 * len(TEXTS) * 2


def test_all_renderings_are_asked_the_same_questions(data: str, file: Path) -> None:
    report, _ = record(data, file, 2, systems="all")
    assert [row.system for row in report.rows] == [*BASELINES, *PLANS]
    runs = read(file).runs
    for case in read(file).cases:
        offered = {
            tuple(run.end.output["candidates"])
            for run in runs.values()
            if run.id.startswith(f"{case}/") and run.end.output
        }
        assert len(offered) == 1
    table = modality(report)
    assert {name: row[1] for name, row in table.items()} == {
        name: plan.shown for name, plan in PLANS.items()
    }
    assert table["text"][5] is table["ranks"][5] is None
    assert table["scatter"][5] > 0
    assert table["both"][4] > table["scatter"][4] > 0
    assert ">both<" in svg(report)
    assert play(file).same


def test_a_metric_says_what_it_says(data: str) -> None:
    made = make({"data": data})
    case = made.cases()[0]
    truth = case.truth["item"]
    other = next(item for item in case.request["candidates"] if item != truth)

    def scored(**value: Any) -> dict[str, float]:
        return made.score(case, Answer(value={"odds": {}, "usable": True, **value}))

    right = scored(prediction=truth, odds={truth: 0.4, other: 0.6})
    assert (right["accuracy"], right["similarity"], right["by P"]) == (1, 1, 0)
    assert right["P(truth)"] == 0.4
    assert math.isnan(right["similarity on errors"])
    silent = scored(prediction="", usable=False)
    assert (silent["accuracy"], silent["similarity"], silent["usable"]) == (0, 0, 0)
    assert math.isnan(silent["P(truth)"])
    assert math.isnan(silent["similarity on errors"])


def test_a_reply_that_names_nothing_is_wrong_and_counted(data: str, file: Path) -> None:
    broken: Replies = {**REPLIES, "predict": Always(Text("I would rather not say"))}
    report, _ = record(data, file, 3, broken, systems="text, most frequent")
    text = rows(report)["text"]
    assert text.failed == 0
    assert text.metrics["accuracy"].mean == text.metrics["usable"].mean == 0
    assert text.metrics["by P"].n == 3
    assert modality(report)["text"][-1] == 3
    assert play(file).same


def test_another_model_judges_and_its_calls_are_nobodys(data: str, file: Path) -> None:
    with scripted(JUDGE) as judge:
        report, asked = record(data, file, 5, judge=judge)
        assert len(judge.script.asked) == 5 * len(DIMENSIONS)
    assert asked == 5 * len(TEXTS) * 2
    assert rows(report)["table"].calls == 2
    [table] = [table for table in report.tables if table.title == "Explanations, judged"]
    assert [row[:2] for row in table.rows] == [[dimension, 5] for dimension in DIMENSIONS]
    assert table.columns[2:5] == TEXTS
    assert all(1 <= points <= 5 for row in table.rows for points in row[2:5])  # type: ignore[operator]
    assert any("judged by scripted/" in note for note in report.notes)
    assert play(file).same


def test_a_judge_without_an_answer_costs_no_system_anything(data: str, file: Path) -> None:
    silent: Replies = {"explanation judge": Always(Text("no"))}
    with scripted(silent) as judge:
        report, _ = record(data, file, 2, judge=judge)
    assert [row.failed for row in report.rows] == [0] * len(report.rows)
    assert all(table.title != "Explanations, judged" for table in report.tables)


def test_where_nothing_was_explained_no_judge_is_asked(data: str, file: Path) -> None:
    broken: Replies = {**REPLIES, "predict": Always(Text("{}"))}
    with scripted({}) as judge:
        report, _ = record(data, file, 1, broken, judge=judge)
    assert modality(report)["text"][-1] == 1


def test_a_sitting_that_is_resumed_asks_nothing_twice(data: str, file: Path) -> None:
    with scripted(REPLIES) as model:
        first = asyncio.run(run_suite(suite(data, model), limit=2, path=file))
        asked = len(model.script.asked)
        again = asyncio.run(run_suite(suite(data, model), limit=2, path=file))
        assert len(model.script.asked) == asked > 0
        more = asyncio.run(run_suite(suite(data, model), limit=3, path=file))
        assert len(model.script.asked) == asked * 3 // 2
    assert again == first
    assert (first.n, more.n) == (2, 3)


def test_without_a_rendering_no_model_is_asked(data: str, file: Path) -> None:
    report, asked = record(data, file, 100, {}, systems="baselines")
    assert (asked, report.n, report.reference) == (0, HOUSEHOLDS, "most frequent")
    assert report.tables == []
    with pytest.raises(SetupError, match="no figure without a rendering"):
        svg(report)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"systems": "scater"}, "There is no system 'scater'; there are text, baselines, all, "),
        ({"candidates": 12}, "The setting candidates is 12, but: input should be 10 or 20"),
        ({"judge": "Embedded/SmolLM2-135m"}, "the model that is judged"),
        ({"wish": 1}, "There is no setting 'wish'; there are data, candidates, model, judge"),
        ({"seed": -1}, "The setting seed is -1"),
    ],
)
def test_a_wrong_setting_is_named(params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SetupError, match=sentence):
        make(params).systems()


def test_a_rendering_comes_with_the_text_that_it_is_compared_with() -> None:
    names = [system.name for system in make({"systems": "scatter, Markov"}).systems()]
    assert names == ["Markov", "text", "scatter"]
    assert [system.name for system in make({"systems": "Markov"}).systems()] == [
        "most frequent", "Markov",
    ]  # fmt: skip
