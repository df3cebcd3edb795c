"""A suite's recorder: which answers are there already, which runs are kept, whose cases a replay has."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from merchgraph.evals.suite import Answer, Case
from merchgraph.evals.taped import Taped, run_id
from merchgraph.runtime.errors import BudgetError, EndpointError, SetupError, TapeError
from merchgraph.runtime.ledger import Call, Usage
from merchgraph.runtime.playing import on_tape
from merchgraph.runtime.recorder import Recorder
from merchgraph.runtime.tape import Mode
from merchgraph.runtime.trace import Run
from merchgraph.runtime.trace_file import read

CASE = Case(id="7", segment="new", request={"user": "ann"}, truth={"relevant": ["tea"]})
ANSWER = Answer(value={"ranking": ["tea", "jam"], "odds": {"tea": 1 / 3}}, usage=Usage(calls=2))
METRICS = {"Hit@5": 1.0, "AUC": 1 / 3}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.jsonl.zst"


@contextmanager
def taped(file: Path, mode: Mode = "record_missing") -> Iterator[Taped]:
    recorder = Recorder(file, mode, share=True)
    try:
        yield Taped(recorder)
    finally:
        recorder.stop()


def answer(file: Path, system: str, case: Case = CASE) -> None:
    with taped(file) as kept, kept.run(case, system) as run:
        run.end(ANSWER, METRICS)


def kept(file: Path, system: str) -> Run | None:
    return read(file).runs.get(run_id(CASE, system))


def test_a_finished_answer_is_there_for_the_next_sitting(file: Path) -> None:
    with taped(file) as new:
        assert new.done(CASE, "ARAG") is None
    answer(file, "ARAG")
    with taped(file) as later:
        assert later.done(CASE, "ARAG") == ANSWER
        assert later.done(CASE, "popularity") is None
        assert later.cases() == []
    run = kept(file, "ARAG")
    assert run is not None
    assert (run.begin.case, run.begin.system) == ("7", "ARAG")
    assert run.end.metrics == METRICS


def test_a_case_is_written_once_and_a_replay_has_it(file: Path) -> None:
    other = CASE.model_copy(update={"id": "validation/8"})
    for system in ("ARAG", "popularity"):
        answer(file, system)
        answer(file, system, other)
    with taped(file, "replay") as replay:
        assert replay.cases() == [CASE, other]
        assert replay.cases("validation/") == [other]
        assert replay.done(CASE, "ARAG") is None  # a replay asks everything


@pytest.mark.parametrize("error", [EndpointError("gone"), EndpointError("")])
def test_a_failure_is_kept_with_its_bill_and_asked_again(file: Path, error: EndpointError) -> None:
    error.calls = [Call(agent="nli", model="m/1", failed=True, seconds=2.0)]
    with taped(file) as now, pytest.raises(EndpointError) as raised, now.run(CASE, "ARAG"):
        raise error
    assert raised.value is error
    run = kept(file, "ARAG")
    assert run is not None
    assert (run.end.error, run.end.usage.failures) == (str(error) or "EndpointError", 1)
    with taped(file) as later:
        assert later.done(CASE, "ARAG") is None


@pytest.mark.parametrize(
    "error", [SetupError("no key"), BudgetError("used up"), KeyboardInterrupt()]
)
def test_what_ends_the_sitting_is_no_answer(file: Path, error: BaseException) -> None:
    with taped(file) as now, pytest.raises(type(error)), now.run(CASE, "ARAG"):
        raise error
    assert read(file).runs == {}


def test_a_failure_in_a_replay_that_asks_less_is_told(file: Path) -> None:
    async def work(recorder: Taped, weigh: bool) -> None:
        with recorder.run(CASE, "scale") as run:
            if weigh:
                await on_tape("weigh", lambda: 250, int)
            run.end(ANSWER, METRICS)

    with taped(file) as now:
        asyncio.run(work(now, weigh=True))
    with taped(file, "replay") as replay:
        asyncio.run(work(replay, weigh=True))
        with pytest.raises(TapeError, match=r"'7/scale' left 1 recorded answers unasked: weigh;"):
            asyncio.run(work(replay, weigh=False))
