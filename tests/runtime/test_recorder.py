"""A trace file with many runs: what is written when, what goes on, what runs share, what is refused."""

import asyncio
import contextvars
import random
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from merchgraph.runtime import software
from merchgraph.runtime.errors import EndpointError, SetupError, TapeError
from merchgraph.runtime.frames import unpack
from merchgraph.runtime.ledger import Usage, at
from merchgraph.runtime.loop import run_sync
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.playing import now, on_tape, rng
from merchgraph.runtime.recorder import Recorder
from merchgraph.runtime.scripted import Always, scripted
from merchgraph.runtime.structured import ask
from merchgraph.runtime.tape import Mode
from merchgraph.runtime.trace_file import read
from tests.runtime.test_tape import GRADES, Grade, chunks, grade, said

Work = Callable[[], Awaitable[Any]]
ALWAYS = {"judge": Always(GRADES[4])}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.jsonl.zst"


async def run(recorder: Recorder, name: str, work: Work) -> Any:
    """Do work as one run of a file."""
    with recorder.run(name) as take:
        found = await work()
        take.answered({"found": found}, {}, Usage())
    return found


def asking(
    model: str, *texts: str, lane: str = "", hot: float = 0.0, seed: int | None = None
) -> Work:
    """Work that asks for a grade of each text."""

    async def work() -> list[int]:
        with at(lane=lane):
            judge = chat_model(model, temperature=hot, seed=seed)
            replies = [await ask(judge, said(text), Grade, agent="judge") for text in texts]
        return [reply.stars for reply in replies]

    return work


def recorded(file: Path, works: dict[str, Work], mode: Mode = "record", **more: Any) -> Any:
    """One sitting; its answers by run."""
    return asyncio.run(sitting(file, works, mode, **more))


async def sitting(file: Path, works: dict[str, Work], mode: Mode, **more: Any) -> Any:
    recorder = Recorder(file, mode, **more)
    try:
        found = {name: await run(recorder, name, work) for name, work in works.items()}
    except BaseException:
        recorder.stop()
        raise
    recorder.close()
    return found


def replayed(file: Path, name: str, work: Work) -> Any:
    """One run of the file, played."""
    return asyncio.run(run(Recorder(file, "replay"), name, work))


async def test_two_hundred_runs_side_by_side_replay_in_any_order(file: Path) -> None:
    lanes = {f"judge@{n}": GRADES[n % 9 : n % 9 + 1] * 2 for n in range(200)}
    order = list(range(200))
    with scripted(lanes, name="many") as model:
        recorder = Recorder(file)
        works = [asking(model, "tea", "tea", lane=f"{n}") for n in order]
        then = await asyncio.gather(*(run(recorder, f"{n}", work) for n, work in enumerate(works)))
        recorder.close()
    random.Random(0).shuffle(order)
    replay = Recorder(file, "replay")
    assert (len(replay.trace.runs), replay.trace.closed) == (200, True)
    found = await asyncio.gather(*(run(replay, f"{n}", works[n]) for n in order))
    assert found == [then[n] for n in order]
    assert then[7] == [7, 7]


def test_a_run_that_broke_off_is_not_in_the_file_and_the_others_are(file: Path) -> None:
    async def breaks() -> None:
        await grade(model)
        raise asyncio.CancelledError

    with scripted(ALWAYS) as model:
        with pytest.raises(asyncio.CancelledError):
            recorded(file, {"a": asking(model, "tea"), "b": breaks})
        trace = read(file)
        assert (list(trace.runs), trace.closed, trace.problems) == (["a"], False, [])
        asked = len(model.script.asked)
        more = {"a": asking(model, "tea"), "b": asking(model, "jam")}
        recorded(file, more, "record_missing")
        assert len(model.script.asked) == asked + 1
    trace = read(file)
    assert (set(trace.runs), trace.closed, len(trace.headers)) == ({"a", "b"}, True, 2)


def test_runs_without_a_name_never_take_that_of_another(file: Path) -> None:
    with scripted(ALWAYS) as model:
        for runs in (10, 3, 1, 5):
            recorder = Recorder(file)
            for _ in range(runs):
                asyncio.run(run(recorder, "", asking(model, "tea")))
            recorder.close()
    assert list(read(file).runs) == [f"run-{n}" for n in range(1, 20)]


def test_answers_are_shared_in_the_file_and_by_a_later_sitting(file: Path) -> None:
    with scripted({"judge": GRADES[1:4]}) as model:
        works = {"a": asking(model, "tea"), "b": asking(model, "tea", "jam")}
        assert recorded(file, works, share=True) == {"a": [1], "b": [1, 2]}
        works = {"c": asking(model, "jam", "tea", "salt")}
        assert recorded(file, works, share=True) == {"c": [2, 1, 3]}
    trace = read(file)
    origins = [[call.same_as for call in trace.runs[name].calls] for name in "abc"]
    assert origins == [[""], ["a", ""], ["b", "a", ""]]
    assert replayed(file, "c", works["c"]) == [2, 1, 3]


def test_a_shared_answer_costs_each_run_what_it_cost_the_first(file: Path) -> None:
    with scripted({"judge": GRADES[1:2]}) as model:
        works = {"a": asking(model, "tea"), "b": asking(model, "tea")}
        recorded(file, works, share=True)
    first, second = (read(file).runs[name].calls[0].call for name in "ab")
    assert first == second is not None


def test_what_may_come_out_otherwise_is_not_shared(file: Path) -> None:
    async def chance() -> list[Any]:
        dice = await on_tape("count", lambda: 7, int)
        return [now().isoformat(), rng().random(), dice]

    async def fails() -> str:
        try:
            await grade(model, "soap")
        except EndpointError:
            return "failed"
        return "answered"

    gone = EndpointError("gone")
    with scripted({"judge": [gone, GRADES[2], *GRADES[5:7]]}) as model:
        found = recorded(
            file,
            {
                "fails 1": fails, "fails 2": fails, "chance 1": chance, "chance 2": chance,
                "hot 1": asking(model, "tea", hot=0.7), "hot 2": asking(model, "tea", hot=0.7),
            },
            share=True,
        )  # fmt: skip
    assert (found["fails 1"], found["fails 2"]) == ("failed", "answered")
    assert (found["hot 1"], found["hot 2"]) == ([5], [6])
    (clock, dice, tool), (later, other, same) = found["chance 1"], found["chance 2"]
    assert clock != later
    assert dice != other
    assert tool == same
    assert [line.same_as for line in read(file).runs["chance 2"].tools] == ["chance 1", "", ""]


def test_a_sample_of_the_same_seed_is_shared_and_of_another_is_not(file: Path) -> None:
    with scripted({"judge": GRADES[1:3]}) as model:
        works = {
            str(number): asking(model, "tea", hot=0.7, seed=seed)
            for number, seed in enumerate((3, 3, 4))
        }
        assert recorded(file, works, share=True) == {"0": [1], "1": [1], "2": [2]}


def test_without_sharing_every_run_asks_for_itself(file: Path) -> None:
    with scripted({"judge": GRADES[1:3]}) as model:
        works = {"a": asking(model, "tea"), "b": asking(model, "tea")}
        assert recorded(file, works) == {"a": [1], "b": [2]}


def test_a_recording_with_other_settings_or_prompts_is_kept_apart(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Recorder(file, params={"suite": "arag", "params": {"k": 5}}).close()
    before = file.read_bytes()
    with pytest.raises(SetupError, match=r"recorded with k = 5, now it is 6"):
        Recorder(file, params={"suite": "arag", "params": {"k": 6}})
    with pytest.raises(
        SetupError, match=r"suite = 'arag', now it is None; record into another file"
    ):
        Recorder(file)
    monkeypatch.setattr(software, "prompt_hashes", lambda: {"arag/nli.md": "new"})
    with pytest.raises(SetupError, match=r"with another text of prompts/arag/.*\.md; record into"):
        Recorder(file, params={"suite": "arag", "params": {"k": 5}})
    assert file.read_bytes() == before
    monkeypatch.undo()
    Recorder(file, params={"suite": "arag", "params": {"k": 5}}).close()


def test_a_stream_that_its_reader_left_as_the_last_thing_of_a_run_is_in_the_file(
    file: Path,
) -> None:
    async def first_word() -> str:
        return str((await chunks("scripted/s", read=1))[0].content)

    with scripted({"writer": Always("a green tea")}, name="s"):
        recorded(file, {"a": first_word})
    assert replayed(file, "a", first_word) == "a "


def test_two_recorders_of_one_file_are_one_too_many(file: Path) -> None:
    recorder = Recorder(file)
    with pytest.raises(SetupError, match="process is recording into"):
        Recorder(file)
    Recorder(file, "replay")  # reading is free
    recorder.close()
    Recorder(file).close()


def test_a_run_that_is_not_there_is_named_with_the_damage(file: Path) -> None:
    with scripted(ALWAYS) as model:
        recorded(file, {"a": asking(model, "tea"), "b": asking(model, "tea")})
    with pytest.raises(TapeError, match=r"has no run 'c'\.$"):
        replayed(file, "c", asking(model, "tea"))
    data = bytearray(file.read_bytes())
    data[list(unpack(bytes(data)))[1].offset + 50] ^= 1
    file.write_bytes(data)
    with pytest.raises(
        TapeError, match=r"has no run 'a'\. Byte [\d,]+ and what follows .* damaged"
    ):
        replayed(file, "a", asking(model, "tea"))


def test_a_file_whose_head_is_damaged_takes_no_further_run(file: Path) -> None:
    with scripted(ALWAYS) as model:
        recorded(file, {"a": asking(model, "tea")})
    data = file.read_bytes()
    file.write_bytes(data[:40] + b"?" + data[41:])
    damaged = file.read_bytes()
    with pytest.raises(SetupError, match=r"The head of the trace .* damaged.*another file"):
        Recorder(file)
    assert file.read_bytes() == damaged


def test_a_cut_file_goes_on_where_it_was_cut(file: Path) -> None:
    with scripted(ALWAYS) as model:
        works = {name: asking(model, name) for name in "abc"}
        recorded(file, works)
        data = file.read_bytes()
        file.write_bytes(data[: list(unpack(data))[3].offset + 20])  # in the midst of c
        asked = len(model.script.asked)
        recorded(file, works, "record_missing")
        assert len(model.script.asked) == asked + 1
    trace = read(file)
    assert (set(trace.runs), trace.problems, trace.closed) == (set("abc"), [], True)


@pytest.mark.parametrize("mode", ["record", "record_missing"])
def test_many_threads_record_into_one_file(file: Path, mode: Mode) -> None:
    with scripted(ALWAYS) as model:
        recorder = Recorder(file, mode, share=True)
        failed: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for n in range(10):
                    text = asking(model, f"tea {n}", "jam")
                    run_sync(run(recorder, "", text))
                    asyncio.run(run(recorder, f"{number}/{n}", text))
            except BaseException as error:  # noqa: BLE001  seen by the test, not by its thread
                failed.append(error)

        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=(work, number))
            for number in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        recorder.close()
    assert failed == []
    trace = read(file)
    assert (len(trace.runs), trace.problems) == (80, [])
    assert all(len(run.calls) == 2 for run in trace.runs.values())
    assert all(line.request for run in trace.runs.values() for line in run.calls)
