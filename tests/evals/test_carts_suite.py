"""The CARTS suite, recorded and replayed: the same report without shop, embedder and model."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from merchgraph.agents.feature_extractor import Extraction
from merchgraph.evals.replay import Replay, replay_file
from merchgraph.evals.report import Report
from merchgraph.evals.results import Row
from merchgraph.evals.session import run_suite
from merchgraph.evals.suites import carts_shop
from merchgraph.evals.suites.carts import BASELINES, METHOD, PLANS, REFERENCE, make
from merchgraph.graphs import carts as graph
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.scripted import Always, Answer, Replies, scripted
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.trace_file import read
from merchgraph.tools import embedding
from merchgraph.tools.data.tables import Items
from tests.evals.carts_shop_toy import REPLIES, extracted, judged, suite, toy_shop
from tests.evals.toy_suite import use_letters


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return toy_shop(tmp_path_factory.mktemp("toy"))


@pytest.fixture(autouse=True)
def _cheap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_letters(monkeypatch)
    graph._embedder.cache_clear()
    with use_settings(cache=tmp_path / "cache"):
        yield
    graph._embedder.cache_clear()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.jsonl.zst"


def record(
    data: str, file: Path, limit: int, replies: Replies = REPLIES, **params: Any
) -> tuple[Report, int]:
    """The report, and how many requests reached the model."""
    with scripted(replies, name="e") as model:
        made = suite(data, model, **params)
        report = asyncio.run(run_suite(made, limit=limit, path=file))
        return report, len(model.script.asked)


def play(file: Path) -> Replay:
    return asyncio.run(replay_file(file))


def rows(report: Report) -> dict[str, Row]:
    return {row.system: row for row in report.rows}


def test_a_replay_gives_the_same_report_without_model_shop_and_embedder(
    data: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, asked = record(data, file, 3)
    names = [name for name in PLANS if name != "CARTS J=1"] + [*BASELINES]
    assert [row.system for row in report.rows] == names
    assert [row.failed for row in report.rows] == [0] * len(names)
    assert report.metrics[0] == "coverage"

    def gone(*args: Any, **more: Any) -> Any:
        raise AssertionError("a replay opened a shop or an embedder")

    for module in (carts_shop, graph):
        monkeypatch.setattr(module, "shop", gone)
    monkeypatch.setattr(embedding, "SentenceModel", gone)
    graph._embedder.cache_clear()
    replay = play(file)
    assert replay.report is not None
    assert replay.report.model_dump_json() == report.model_dump_json()
    assert (replay.same, replay.unfinished) == (True, False)
    assert replay.calls > asked > 0


def test_no_title_that_a_system_calls_feasible_breaks_a_rule(data: str, file: Path) -> None:
    report, _ = record(data, file, 4)
    [variety, examples] = report.tables
    assert variety.columns[-1] == "called feasible, not so"
    assert [row[-1] for row in variety.rows] == [0] * len(report.rows)
    assert [row[1] for row in variety.rows] == [4] * len(report.rows)
    assert len(examples.rows) == 4
    assert all(isinstance(cell, str) for row in examples.rows for cell in row)
    assert rows(report)[METHOD].metrics["feasible"].mean == 1


def test_the_best_of_k_has_the_budget_of_carts_for_that_case(data: str, file: Path) -> None:
    record(data, file, 2, systems="best of K by tokens")
    runs = read(file).runs
    for case in read(file).cases:
        carts = runs[f"{case}/{METHOD}"].end.usage
        best = runs[f"{case}/{REFERENCE}"].end.usage
        tokens = runs[f"{case}/best of K by tokens"].end.usage
        assert best.calls == carts.calls > 1
        spent = carts.prompt_tokens + carts.completion_tokens
        drafted = tokens.prompt_tokens + tokens.completion_tokens
        assert abs(drafted - spent) <= drafted / tokens.calls


def test_systems_ask_what_they_share_once(data: str, file: Path) -> None:
    report, asked = record(data, file, 2, systems="CARTS without arbitration, CARTS J=2")
    calls = [call for run in read(file).runs.values() for call in run.calls]
    assert asked == sum(not call.same_as for call in calls)
    alone = rows(report)
    fewer = alone["CARTS without arbitration"].calls
    assert 0 < fewer <= alone[METHOD].calls <= alone["CARTS J=2"].calls
    # of CARTS without arbitration nothing is new; more rounds begin as fewer do
    runs = read(file).runs
    without = [run for name, run in runs.items() if name.endswith("/CARTS without arbitration")]
    assert len(without) == 2
    assert all(call.same_as for run in without for call in run.calls)
    longer = [run for name, run in runs.items() if name.endswith("/CARTS J=2")]
    again = [call for run in longer for call in run.calls if call.node != "refine"]
    assert sum(bool(call.same_as) for call in again) > len(again) / 2


def test_a_sitting_that_is_resumed_asks_nothing_twice(data: str, file: Path) -> None:
    first, asked = record(data, file, 2, systems="baselines")
    again, more = record(data, file, 2, systems="baselines")
    assert asked > more == 0
    assert again.model_dump(exclude={"rows"}) == first.model_dump(exclude={"rows"})
    assert play(file).same


def test_another_model_may_judge_and_its_calls_are_nobodys(data: str, file: Path) -> None:
    with scripted({"held-out": Always(judged)}, name="j") as judge:
        report, _ = record(data, file, 2, systems="template", judge=judge)
    assert rows(report)["template"].calls == 0
    assert rows(report)["template"].metrics["coverage"].n == 2
    assert report.notes == ["Held-out judge: scripted/j."]
    agents = {call.agent for run in read(file).runs.values() for call in run.calls}
    assert "held-out" in agents
    assert "judge" not in read(file).runs
    assert play(file).same


def test_a_model_that_is_judged_is_not_the_judge(data: str) -> None:
    with pytest.raises(SetupError, match="the critic of a loop is never its judge"):
        suite(data, "scripted/e", judge="scripted/e")


def test_where_the_judge_gives_no_answer_only_what_it_judges_is_lost(data: str, file: Path) -> None:
    asked: list[str] = []

    def mute_at_first(messages: Sequence[BaseMessage]) -> Answer:
        asked.append(str(messages[0].content))
        return "no odds" if asked[-1] == asked[0] else judged(messages)

    with scripted({"held-out": Always(mute_at_first)}, name="j") as judge:
        report, _ = record(data, file, 2, systems="template", judge=judge)
    method = rows(report)[METHOD]
    assert method.failed == 0
    assert report.metrics[0] == "coverage"
    assert (method.metrics["coverage"].n, method.metrics["feasible, C>=.8"].n) == (1, 1)
    assert (method.metrics["feasible"].n, method.metrics["retrieval MRR"].n) == (2, 2)
    assert rows(report)["template"].metrics["coverage"].n == 2
    unjudged = report.tables[0].columns.index("not judged")
    assert {row[0]: row[unjudged] for row in report.tables[0].rows}[METHOD] == 1
    assert play(file).same


def test_what_only_a_feature_says_is_feasible_for_nobody(data: str, file: Path) -> None:
    def inferred(messages: Sequence[BaseMessage]) -> Answer:
        found = extracted(messages)
        assert isinstance(found, Extraction)
        [first, *_] = found.features
        picnic = first.model_copy(update={"feature": "picnics", "kind": "use"})
        return found.model_copy(update={"features": [picnic]})

    titles = Always(json.dumps({"titles": ["Picnics for your family", "Picnics for you & us"]}))
    replies = {**REPLIES, "extract": Always(inferred), "draft": titles}
    report, _ = record(data, file, 2, replies, systems="CARTS J=0", rounds=2)
    [variety, _] = report.tables
    assert {row[0]: row[-1] for row in variety.rows}["CARTS J=0"] == 2
    assert rows(report)["CARTS J=0"].metrics["feasible"].mean == 0
    assert rows(report)[REFERENCE].metrics["feasible"].mean == 0


def test_what_verdicts_read_of_a_case_is_read_once(
    data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelves = suite(data, "scripted/e").shelves
    case = shelves.cases()[0]
    first = shelves.verdict("Green tea & silk for you", case, None)
    monkeypatch.setattr(Items, "get", lambda *_: pytest.fail("the items were read again"))
    assert shelves.verdict("Green tea & silk for you", case, None) == first
    assert "supported words" in first.broken


def test_the_report_says_who_judged_and_how_well(data: str, file: Path) -> None:
    report, _ = record(data, file, 2, systems="template")
    assert report.notes[0].startswith(
        "Held-out judge (text embedding and words, true from P = 0.5)"
    )
    assert "AUC" in report.markdown()
    assert "distinct-2" in report.markdown()


def test_cases_are_modules_with_near_ones_that_share_no_item(data: str) -> None:
    cases = make({"data": data, "count": 2, "size": 3}).cases()
    assert [case.segment for case in cases] == [
        kind for kind in ("co-purchase", "price band", "mixed") for _ in range(2)
    ]
    for case in cases:
        items = set(case.request["items"])
        assert len(items) == 3
        near = case.truth["near"]
        assert 1 <= len(near) <= 9
        assert all(len(other) == 3 and not items.intersection(other) for other in near)
    assert make({"data": data, "count": 2, "size": 3}).cases() == cases


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"systems": "CARTZ"}, "There is no system 'CARTZ'; there are all, baselines, CARTS, "),
        ({"kinds": "mixed, odd"}, "There is no kind of module 'odd'; there are co-purchase, "),
        (
            {"kinds": " "},
            "No kind of module is named; there are co-purchase, complement, similar, price band, mixed",
        ),
        ({"size": 1}, r"The setting size is 1, but: .* greater than or equal to 2"),
        ({"wish": 1}, "There is no setting 'wish'; there are data, kinds, count, size, model"),
    ],
)
def test_a_wrong_setting_is_named(params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SetupError, match=sentence):
        make(params).systems()
