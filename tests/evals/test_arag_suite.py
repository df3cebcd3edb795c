"""The ARAG suite, recorded and replayed: the same report, after kills, failures and damage."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from merchgraph.evals.replay import Replay, replay_file
from merchgraph.evals.report import Report
from merchgraph.evals.session import Telling, run_suite
from merchgraph.evals.suite import Case
from merchgraph.evals.suites import arag as module
from merchgraph.evals.suites import arag_shop
from merchgraph.evals.suites.arag import make
from merchgraph.graphs import arag as graph
from merchgraph.runtime.errors import SetupError, ToolError
from merchgraph.runtime.frames import unpack
from merchgraph.runtime.scripted import Replies, scripted
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.trace_file import read
from merchgraph.tools import trained
from tests.evals.toy_suite import REPLIES, suite, toy_shop, use_letters

FEW = "own frequency, tools alone, ARAG + tools"


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


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A call closes the shop."""

    def gone(name: str) -> Any:
        raise AssertionError(f"a replay opened the shop {name!r}")

    def close() -> None:
        monkeypatch.setattr(arag_shop, "shop", gone)
        monkeypatch.setattr(graph, "shop", gone)

    return close


class Sitting:
    """Recordings of one suite by one scripted model.

    Attributes:
        asked: requests to the model, over all sittings.
    """

    def __init__(self, data: str, file: Path, replies: Replies = REPLIES, **params: Any) -> None:
        self.data, self.file, self.replies, self.params = data, file, replies, params
        self.asked = 0

    def record(self, limit: int, telling: Telling | None = None) -> Report:
        with scripted(self.replies, name="e") as model:
            made = suite(self.data, model, **self.params)
            more: dict[str, Any] = {} if telling is None else {"telling": telling}
            try:
                return asyncio.run(run_suite(made, limit=limit, path=self.file, **more))
            finally:
                self.asked += len(model.script.asked)


def play(file: Path) -> Replay:
    return asyncio.run(replay_file(file))


def measured(report: Report) -> Any:
    """What of a report depends on the answers alone, and not on the time that they took."""
    kept = report.model_dump(exclude={"rows": {"__all__": {"seconds"}}})
    assert any(row["metrics"] for row in kept["rows"])
    return kept


def test_a_replay_gives_the_same_report_without_model_and_shop(
    data: str, file: Path, closed: Callable[[], None]
) -> None:
    sitting = Sitting(data, file)
    report = sitting.record(6)
    assert (report.n, len(report.rows), [row.failed for row in report.rows]) == (6, 7, [0] * 7)
    closed()
    replay = play(file)
    assert replay.report is not None
    assert replay.report.model_dump_json() == report.model_dump_json()
    assert (replay.same, replay.runs, replay.unfinished) == (True, 6 * 7 + 2, False)
    assert replay.calls > sitting.asked > 0
    assert "2 of them judged by the model" in report.notes[0]


def test_the_systems_of_a_case_ask_what_they_share_once(data: str, file: Path) -> None:
    sitting = Sitting(data, file, systems="ARAG, ARAG without CSA")
    report = sitting.record(3)
    trace = read(file)
    calls = [call for run in trace.runs.values() for call in run.calls]
    assert sitting.asked == sum(not call.same_as for call in calls)
    by_name = {row.system: row.calls for row in report.rows}
    # 20 judgements and the understanding are the same; the summary and one of the two ranks are not
    assert (by_name["ARAG"], by_name["ARAG without CSA"], by_name["vanilla RAG"]) == (23, 22, 0)
    assert sitting.asked == 3 * (23 + 1)


def stopping(after: int, error: BaseException) -> Telling:
    """Progress that ends the sitting after so many answers of the test."""

    def begin(stage: str) -> Callable[[int, int], None]:
        def tell(done: int, total: int) -> None:
            if stage == "cases" and done == after:
                raise error

        return tell

    return begin


def test_a_sitting_that_was_stopped_goes_on_and_asks_nothing_twice(
    data: str, file: Path, tmp_path: Path
) -> None:
    whole = Sitting(data, tmp_path / "whole.jsonl.zst")
    expected = whole.record(2)
    sitting = Sitting(data, file)
    for after in (1, 5):
        with pytest.raises(KeyboardInterrupt):
            sitting.record(2, stopping(after, KeyboardInterrupt()))
        assert read(file).problems == []
    assert measured(sitting.record(2)) == measured(expected)
    # the runs in the air, one a case, at the two stops; what two cases ask at the same moment, both ask
    assert abs(sitting.asked - whole.asked) <= 2 * 2 * 43
    replay = play(file)
    assert (replay.same, replay.unfinished) == (True, False)
    asked = sitting.asked
    assert measured(sitting.record(2)) == measured(expected)
    assert sitting.asked == asked


def test_more_cases_join_those_that_are_there(data: str, file: Path) -> None:
    sitting = Sitting(data, file, systems=FEW)
    sitting.record(2)
    first = set(read(file).cases)
    asked = sitting.asked
    report = sitting.record(3)
    assert first < set(read(file).cases)
    assert (report.n, play(file).same) == (3, True)
    assert 0 < sitting.asked - asked < 43  # one case, less the priors of items that are known


def test_a_system_that_fails_is_a_result_and_is_asked_again_by_the_next_sitting(
    data: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(shops: arag_shop.Shops, baseline: str, case: Case) -> list[str]:
        if baseline == "own frequency":
            raise ToolError("The till roll is torn.")
        return list(case.request["candidates"])

    sitting = Sitting(data, file, systems="own frequency")
    with monkeypatch.context() as patch:
        patch.setattr(arag_shop.Shops, "ranked", torn)
        report = sitting.record(2)
    assert [row.errors for row in report.rows] == [{"The till roll is torn.": 2}, {}]
    replay = play(file)
    assert (replay.same, replay.report) == (True, report)
    healed = sitting.record(2)
    assert [row.failed for row in healed.rows] == [0, 0]
    replay = play(file)
    assert (replay.same, replay.report) == (True, healed)


def test_a_mistake_ends_the_sitting_and_keeps_what_was_finished(data: str, file: Path) -> None:
    sitting = Sitting(data, file, systems=FEW)
    with pytest.raises(SetupError, match="no key"):
        sitting.record(3, stopping(4, SetupError("no key")))
    finished = set(read(file).runs)
    assert finished
    sitting.record(3)
    assert finished <= set(read(file).runs)
    with (
        scripted(REPLIES, name="e") as model,
        pytest.raises(SetupError, match="with seed = 0, now it is 1"),
    ):
        asyncio.run(run_suite(suite(data, model, systems=FEW, seed=1), limit=3, path=file))


def test_no_damage_goes_unnoticed(data: str, file: Path) -> None:
    Sitting(data, file, systems="own frequency, ARAG + tools").record(1)
    whole = file.read_bytes()
    starts = [part.offset for part in unpack(whole)]
    assert len(starts) == 1 + 2 * 2 + 1 + (1 + 3) + 1  # head, week before, fit, case, end
    for start in starts:
        file.write_bytes(whole[: start + 30] + b"?" + whole[start + 31 :])
        try:
            replay = play(file)
        except SetupError as error:
            told = str(error)
        else:
            assert not replay.same
            told = " ".join([*replay.problems, *(one.told for one in replay.differences)])
        assert "damaged" in told, start


def test_a_cut_recording_plays_what_it_had_finished_and_says_so(data: str, file: Path) -> None:
    sitting = Sitting(data, file, systems="own frequency")
    sitting.record(2)
    whole = file.read_bytes()
    starts = [part.offset for part in unpack(whole)]
    file.write_bytes(whole[: starts[-2]])  # the last run and the end are gone
    replay = play(file)
    assert (replay.unfinished, replay.same, replay.runs) == (True, True, 2)
    file.write_bytes(whole[: starts[-2] + 20])
    replay = play(file)
    assert (replay.unfinished, replay.same) == (True, False)
    assert "in the middle of a run" in replay.problems[0]
    file.write_bytes(whole[: starts[2]])
    with pytest.raises(SetupError, match="can be replayed: no run was finished"):
        play(file)


def test_code_that_scores_otherwise_is_a_difference(
    data: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Sitting(data, file, systems="own frequency").record(2)
    monkeypatch.setattr(module.Arag, "score", lambda self, case, answer: {"NDCG@5": 0.5})
    replay = play(file)
    assert not replay.same
    assert len(replay.differences) == 4
    assert "metrics.NDCG@5: recorded " in replay.differences[0].told


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        (
            {"systems": "ARAG, oracle"},
            r"There is no system 'oracle'; there are all, baselines, tools, random",
        ),
        (
            {"targets": "best"},
            r"The setting targets is 'best', but: input should be 'any' or 'new'",
        ),
        ({"fit_cases": 0}, r"The setting fit_cases is 0, but: .* greater than or equal to 1"),
        ({"wish": 1}, r"There is no setting 'wish'; there are data, targets, model, systems,"),
    ],
)
def test_a_wrong_setting_is_named(params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SetupError, match=sentence):
        make(params).systems()


def test_what_trained_tools_add_is_weighed_on_the_week_before_and_replays(
    data: str, file: Path, closed: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[tuple[tuple[str, ...], Any]] = set()

    def signals(
        store: Any, past: Any, items: list[str], tools: Sequence[str], before: Any
    ) -> dict[str, list[float]]:
        asked.add((tuple(tools), before))
        return {tool: [float(len(item)) for item in items] for tool in tools}

    monkeypatch.setattr(trained, "signals", signals)
    report = Sitting(data, file, systems="tools").record(4)
    tried = {row.system for row in report.rows}
    assert {"tools alone", "tools + complement", "tools + similar", "tools + both"} <= tried
    assert not any("ARAG" in system for system in tried)
    assert {tools for tools, _ in asked} == {
        (), ("complement",), ("gmvo",), ("complement", "gmvo"),
    }  # fmt: skip
    assert any("tools + both: " in note and "gmvo " in note for note in report.notes)
    # what they add is told beside the tools without them; of all others beside vanilla RAG
    assert report.reference == "tools alone"
    assert make({"systems": "all"}).reference == "vanilla RAG"
    # the weights are fitted by models that end a week earlier than those of the test
    assert len({before for _, before in asked}) == 2
    closed()
    again = play(file).report
    assert again is not None
    assert measured(again) == measured(report)


def test_tools_that_take_long_to_learn_are_asked_by_name(
    data: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trained, "signals", lambda *of: {t: [*map(len, of[2])] for t in of[3]})
    named = ["tools + popularity + grace", "tools + popularity + tmf"]
    report = Sitting(data, file, systems=", ".join(named)).record(2)
    # what they know besides popularity, by which the negatives were drawn
    assert report.reference == "tools + popularity"
    assert {row.system for row in report.rows} == {report.reference, *named}
    assert any(f"{named[0]}: " in note and "grace " in note for note in report.notes)
