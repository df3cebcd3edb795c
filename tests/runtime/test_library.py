"""Models that answer from a trace, `tape/FILE`: alone, while another file is recorded, in a suite."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from merchgraph.evals.replay import replay_file
from merchgraph.evals.session import run_suite
from merchgraph.graphs import arag
from merchgraph.graphs.arag import Context, Request
from merchgraph.runtime.errors import SetupError, TapeError
from merchgraph.runtime.ledger import at, collect
from merchgraph.runtime.library import Library
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.recorder import Recorder
from merchgraph.runtime.recording import recorded, replayed
from merchgraph.runtime.scripted import Always, scripted
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.trace_file import read
from tests.evals.toy_suite import REPLIES, suite, toy_shop, use_letters
from tests.graphs.conftest import corner as corner
from tests.graphs.conftest import replies
from tests.runtime.test_recorder import Work, asking
from tests.runtime.test_recorder import recorded as sitting
from tests.runtime.test_recorder import replayed as played
from tests.runtime.test_tape import GRADES, chunks, grade

SLATE = ["tea", "cake", "soap", "rice"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.jsonl.zst"


@pytest.fixture
def second(tmp_path: Path) -> Path:
    return tmp_path / "y.jsonl.zst"


@pytest.mark.usefixtures("corner")
def test_what_is_recorded_with_it_replays_without_its_file(file: Path, second: Path) -> None:
    request = Request(user="ann", candidates=SLATE)
    with scripted(replies({"tea": 1 / 3}), name="lib") as model, recorded(file):
        then = arag.run(request, Context(model=model, k=2))
    context = Context(model=f"tape/{file}@scripted/lib", k=2)
    with recorded(second):
        now = arag.run(request, context)
    file.unlink()
    with replayed(second):
        assert arag.run(request, context).model_dump_json() == now.model_dump_json()
    assert (now.ranking, now.usage) == (then.ranking, then.usage)
    assert then.usage.seconds > 0
    [run] = read(second).runs.values()
    assert {call.request["model"] for call in run.calls} == {context.model}
    assert asyncio.run(replay_file(second)).same


async def answer(work: Work) -> Any:
    """What work gives without a recording around it."""
    return await work()


def speaking(model: str, read: int = 99) -> Work:
    """Work that reads the beginning of a stream."""

    async def work() -> list[Any]:
        return [chunk.model_dump() for chunk in await chunks(model, read=read)]

    return work


@pytest.mark.parametrize("read_", [1, 99])
def test_its_streams_are_recorded_chunk_by_chunk(file: Path, second: Path, read_: int) -> None:
    kept = f"tape/{file}"
    with scripted({"writer": ["a green tea of spring"]}, name="lib") as model:
        then = sitting(file, {"a": speaking(model)})
    now = sitting(second, {"a": speaking(kept, read_)})
    file.unlink()
    assert now["a"] == then["a"][:read_] == played(second, "a", speaking(kept, read_))
    words = ["a ", "green ", "tea ", "of ", "spring"]
    assert [chunk["content"] for chunk in then["a"]][:5] == words
    [call] = read(second).runs["a"].calls
    assert (call.fault is not None) == (read_ == 1)


def test_an_evaluation_shares_records_and_resumes_with_it(
    tmp_path: Path, file: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_letters(monkeypatch)
    data = toy_shop(tmp_path)

    def evaluated(model: str, limit: int, path: Path) -> Any:
        report = asyncio.run(run_suite(suite(data, model), limit=limit, path=path))
        assert [row.failed for row in report.rows] == [0] * 7
        return [row.model_dump(exclude={"seconds"}) for row in report.rows]

    with use_settings(cache=tmp_path / "cache"):
        with scripted(REPLIES, name="lib") as model:
            then = evaluated(model, 3, file)
        kept = f"tape/{file}"
        evaluated(kept, 2, second)
        now = evaluated(kept, 3, second)
        file.unlink()
        replay = asyncio.run(replay_file(second))
    assert now == then
    shared = [call for run in read(second).runs.values() for call in run.calls if call.same_as]
    assert len(shared) > 20
    assert (replay.same, replay.calls > len(shared)) == (True, True)


def test_only_what_is_missing_in_the_second_file_is_looked_up(file: Path, second: Path) -> None:
    with scripted({"judge": GRADES[1:3]}) as model:
        sitting(file, {"a": asking(model, "tea", "jam")})
    kept = f"tape/{file}"
    sitting(second, {"a": asking(kept, "tea")})
    works = {"a": asking(kept, "tea"), "b": asking(kept, "jam", "tea")}
    assert sitting(second, works, "record_missing", share=True) == {"a": [1], "b": [2, 1]}
    assert [call.same_as for call in read(second).runs["b"].calls] == ["", "a"]


async def test_it_answers_in_the_lane_and_else_in_any_as_often_as_it_is_asked(file: Path) -> None:
    recorder = Recorder(file)
    with scripted({"judge": GRADES[1:4]}) as model, recorder.run("1") as take, collect() as paid:
        for lane in ("tea", "jam", "jam"):
            with at(lane=lane):
                await grade(model)
        take.answered({}, {}, take.end.usage)
    recorder.close()
    kept = f"tape/{file}"
    library = chat_model(kept).endpoint.library
    assert isinstance(library, Library)
    before = repr(library)
    found = []
    with collect() as charged:
        for lane in ("jam", "tea", "soap", "tea", "jam"):
            with at(lane=lane, node="now"):
                found.append((await grade(kept)).stars)
    assert found == [2, 1, 1, 1, 2]
    assert repr(library) == before
    assert [(call.model, call.node, call.lane) for call in charged[:2]] == [
        (kept, "now", "jam"),
        (kept, "now", "tea"),
    ]
    assert charged[1].seconds == paid[0].seconds > 0


async def test_a_reply_that_was_read_in_chunks_may_be_asked_whole_and_the_other_way(
    file: Path,
) -> None:
    recorder = Recorder(file)
    with scripted({"writer": Always(GRADES[5])}) as model, recorder.run("1") as take:
        pieces = await chunks(model)
        await grade(model, "jam", agent="writer")
        take.answered({}, {}, take.end.usage)
    recorder.close()
    kept = f"tape/{file}"
    with collect() as charged:
        assert await chunks(kept) == pieces
        with at(agent="writer"):
            reply = await chat_model(kept).ainvoke("tea")
    assert reply.content == GRADES[5]
    assert reply.usage_metadata is not None
    assert len(charged) == 2


@pytest.mark.parametrize("taped", [True, False])
def test_what_the_file_does_not_have_is_told_with_the_nearest_request(
    file: Path, second: Path, taped: bool
) -> None:
    with scripted({"judge": [GRADES[1]]}, name="lib") as model:
        sitting(file, {"a": asking(model, "Is it a good tea?")})
    ask = asking(f"tape/{file}", "Is it a bad tea?")
    with pytest.raises(TapeError) as error:
        sitting(second, {"a": ask}) if taped else asyncio.run(answer(ask))
    told = str(error.value)
    assert f"The trace {str(file)!r} has no answer of 'scripted/lib' to what is asked" in told
    assert "message 1 (human): Is it a [-good-]{+bad+} tea?" in told
    assert "model:" not in told  # its name now is no difference


def test_a_file_with_several_models_asks_for_one(file: Path) -> None:
    with scripted({"judge": [GRADES[1]]}, name="one"), scripted({"judge": [GRADES[2]]}, name="two"):
        sitting(file, {"a": asking("scripted/one", "tea"), "b": asking("scripted/two", "tea")})
    with pytest.raises(SetupError, match=r"answers of scripted/one, scripted/two; write tape/"):
        chat_model(f"tape/{file}")
    with pytest.raises(SetupError, match=r"not clear.*one, scripted/two; write"):
        chat_model(f"tape/{file}@scripted/three")
    assert asyncio.run(answer(asking(f"tape/{file}@scripted/two", "tea"))) == [2]


def test_a_file_without_an_answer_or_no_file_is_no_model(file: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read: No such file"):
        chat_model(f"tape/{file}")
    sitting(file, {})
    with pytest.raises(SetupError, match="has answers of no model"):
        chat_model(f"tape/{file}")
