"""Failures on the tape, what may be asked anew, what runs may share, and where a replay refuses."""

import asyncio
import random
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.clock import timed
from merchgraph.runtime.errors import (
    BudgetError,
    DataError,
    EndpointError,
    MerchgraphError,
    ModelReplyError,
    NodeFailure,
    SetupError,
    TapeError,
    ToolError,
)
from merchgraph.runtime.faults import UNREAD, Stopped, as_error, as_fault
from merchgraph.runtime.ledger import Call, Usage, at, collect
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.playing import now, on_tape, rng, use_tape
from merchgraph.runtime.scripted import Always, Replies, scripted
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.structured import ask
from merchgraph.runtime.tape import Mode, Tape, shelf
from merchgraph.runtime.trace import Fault
from tests.runtime.tapes import again, stored
from tests.runtime.test_tape import GRADES, Grade, grade, said

GONE = EndpointError("The model server did not answer.")
KINDS = [EndpointError, BudgetError, NodeFailure, ToolError, ModelReplyError, MerchgraphError]


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_comes_back_as_what_it_was(kind: type[MerchgraphError]) -> None:
    back = as_error(Fault.model_validate_json(as_fault(kind("It broke.")).model_dump_json()))
    assert (type(back), str(back)) == (kind, "It broke.")


@pytest.mark.parametrize("retryable", [True, False])
def test_whether_a_tool_may_be_tried_again_is_kept(retryable: bool) -> None:
    back = as_error(as_fault(ToolError("busy", retryable=retryable)))
    assert isinstance(back, ToolError)
    assert back.retryable is retryable


@pytest.mark.parametrize("name", ["ValueError", "json", "Sequence", "", "__builtins__"])
def test_a_failure_of_a_kind_that_nobody_knows_is_a_fault_of_the_tape(name: str) -> None:
    error = as_error(Fault(type=name, message="x"))
    assert isinstance(error, TapeError)
    assert f"unknown kind {name!r}; record again" in str(error)


def test_no_key_gets_into_a_failure() -> None:
    with use_settings(openai_api_key="plain-key-77"):
        fault = as_fault(EndpointError("no such key: plain-key-77, Bearer sk-0123456789abcdefghij"))
    assert fault.message == "no such key: [hidden], [hidden]"


async def failing(name: str, kind: type[MerchgraphError]) -> str:
    with pytest.raises(kind) as error:
        await grade(name)
    return str(error.value)


async def test_a_server_that_failed_fails_again_with_the_same_words_and_the_same_bill() -> None:
    tape = Tape("run", "record")
    with (
        scripted({"judge": [GONE, GRADES[1]]}, name="f") as model,
        use_tape(tape),
        collect() as paid,
    ):
        then = [await failing(model, EndpointError), await grade(model)]
    with use_tape(again(tape)), collect() as charged:
        assert [await failing("scripted/f", EndpointError), await grade("scripted/f")] == then
    assert paid == charged
    assert [call.failed for call in charged] == [True, False]


async def test_a_budget_that_was_used_up_is_used_up_in_the_replay() -> None:
    tape = Tape("run", "record")
    with scripted({}, name="b") as model, use_settings(token_budget=None), use_tape(tape):
        model.limiter.budget = 1
        model.limiter.spend(2)
        then = await failing(model, BudgetError)
    with use_tape(again(tape)):
        assert await failing("scripted/b", BudgetError) == then


async def test_a_persons_mistake_is_not_an_answer() -> None:
    tape = Tape("run", "record")
    with scripted({"judge": [SetupError("no key")]}) as model, use_tape(tape):
        await failing(model, SetupError)
        with pytest.raises(DataError):
            await on_tape("t", _raise(DataError("row 7")), int)
    assert tape.answers == []


def _raise(error: BaseException) -> Callable[[], Any]:
    def work() -> Any:
        raise error

    return work


async def test_a_request_that_was_stopped_is_stopped_again_at_once() -> None:
    tape = Tape("run", "record")

    async def limited(model: str) -> None:
        async with asyncio.timeout(0.5) as clock:
            with timed(clock):  # as a node has it
                await grade(model)

    with (
        scripted({"judge": Always(GRADES[1])}, name="s", delay_s=30) as model,
        use_tape(tape),
        collect() as paid,
        pytest.raises(TimeoutError),
    ):
        await limited(model)
    with use_tape(again(tape)), collect() as charged, pytest.raises(Stopped):
        await grade("scripted/s")
    assert [call.failed for call in charged] == [True]
    assert paid == charged


async def test_a_tool_that_failed_or_was_stopped_does_so_again() -> None:
    tape = Tape("run", "record")
    free = asyncio.Event()

    async def work(answer: Callable[[], int]) -> None:
        with pytest.raises(ToolError, match="busy"):
            await on_tape("scale", _raise(ToolError("busy", retryable=True)), int)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await on_tape("slow", answer, int)

    loop = asyncio.get_running_loop()
    with use_tape(tape):
        waiting = asyncio.run_coroutine_threadsafe
        await work(lambda: int(bool(waiting(free.wait(), loop).result(timeout=5))))
    free.set()
    replay = again(tape)
    with use_tape(replay):
        await work(_raise(AssertionError("asked in a replay")))
    assert replay.unused() == []


async def test_what_was_not_answered_is_asked_again_and_only_that() -> None:
    tape = Tape("run", "record")
    with scripted({"judge": [GONE, GRADES[2]]}) as model, use_tape(tape):
        await failing(model, EndpointError)
        await grade(model, "jam")
    missing = again(tape, "record_missing")
    name = model.split("/")[1]
    with scripted({"judge": [GRADES[7], GRADES[8]]}, name=name) as model, use_tape(missing):
        stars = [(await grade(model, text)).stars for text in ("tea", "jam", "new")]
    assert stars == [7, 2, 8]
    assert missing.fresh == 2
    replay = again(missing)
    with use_tape(replay):
        assert [(await grade(model, text)).stars for text in ("new", "jam", "tea")] == [8, 2, 7]


async def test_a_recording_asks_everything_anew() -> None:
    tape = Tape("run", "record")
    with scripted({"judge": GRADES[1:3]}) as model:
        with use_tape(tape):
            await grade(model)
        with use_tape(again(tape, "record")):
            assert (await grade(model)).stars == 2


async def test_a_replay_names_the_words_of_a_prompt_that_changed() -> None:
    tape = Tape("run", "record")
    with scripted({"judge": Always(GRADES[1])}, name="w") as model, use_tape(tape):
        await grade(model, "Is it a good tea?")
        await grade(model, "Is it a soap?", agent="judge")
    with use_tape(again(tape)), pytest.raises(TapeError) as error:
        await grade("scripted/w", "Is it a bad tea?")
    told = str(error.value)
    assert "The run 'run' asks what is not on its tape, in 'judge'." in told
    assert "message 1 (human): Is it a [-good-]{+bad+} tea?" in told
    assert "soap" not in told


async def test_a_replay_that_asks_once_too_often_or_elsewhere_is_told_so() -> None:
    tape = Tape("run", "record")
    with scripted({"judge": [GRADES[1]]}, name="o") as model, use_tape(tape), at(lane="tea"):
        await grade(model)
    with use_tape(again(tape)):
        with at(lane="tea"):
            await grade("scripted/o")
            with pytest.raises(
                TapeError, match=r"1 time\(s\), in the lane\(s\) 'tea'; .* once more"
            ):
                await grade("scripted/o")
        with at(lane="jam"), pytest.raises(TapeError, match=r"judge@jam.*or elsewhere"):
            await grade("scripted/o")


async def test_an_answer_that_nobody_asked_for_is_left_over() -> None:
    tape = Tape("run", "record")
    with scripted({"judge": GRADES[:2]}, name="u") as model, use_tape(tape):
        await grade(model)
        await grade(model, "jam")
    replay = again(tape)
    with use_tape(replay):
        await grade("scripted/u")
    [left] = replay.unused()
    assert left in stored(tape).calls
    assert "jam" in str(left)


async def shared(first: Tape, replies: Replies, work: Callable[[str], Any], mode: Mode) -> Tape:
    """A second run beside the first one, whose answers it may have."""
    run = stored(first)
    other = Tape("other", mode, shared=shelf([*run.calls, *run.tools]).get)
    with scripted(replies, name="shared") as model, use_tape(other):
        await work(model)
    return other


@pytest.mark.parametrize("mode", ["record", "record_missing"])
async def test_another_run_is_served_in_the_same_lane_and_as_often_only(mode: Mode) -> None:
    tape = Tape("run", "record")
    with scripted({"judge": [GRADES[1]]}, name="shared") as model, use_tape(tape), at(lane="tea"):
        await grade(model)

    async def work(name: str) -> None:
        with at(lane="tea", node="second"):
            assert (await grade(name)).stars == 1
            assert (await grade(name)).stars == 2
        with at(lane="jam"):
            assert (await grade(name)).stars == 3

    other = await shared(tape, {"judge": GRADES[2:4]}, work, mode)
    assert other.fresh == 2
    assert [line.node for line in other.answers] == ["second", "second", ""]


def test_an_unread_reply_is_a_failure_of_its_own() -> None:
    assert isinstance(as_error(UNREAD), TapeError)
    assert "unknown" not in str(as_error(UNREAD))


@given(st.lists(st.floats(0, 1e6), max_size=9), st.randoms())
def test_a_bill_has_the_same_bits_in_whatever_order_its_calls_ended(
    seconds: list[float], dice: random.Random
) -> None:
    calls = [Call(agent="a", model="m", seconds=s, waited_s=s / 3, cost_usd=s / 7) for s in seconds]
    mixed = dice.sample(calls, len(calls))
    assert Usage.of(mixed).model_dump_json() == Usage.of(calls).model_dump_json()


async def test_runs_side_by_side_ask_their_own_tapes() -> None:
    tapes = [Tape(f"run {n}", "record") for n in range(6)]

    async def one(tape: Tape, model: str) -> int:
        with use_tape(tape):
            await asyncio.sleep(0)
            now(), rng()
            return (await ask(chat_model(model), said("tea"), Grade, agent="judge")).stars

    with ExitStack() as stack:
        models = [
            stack.enter_context(scripted({"judge": [GRADES[n]]}, name=f"m{n}")) for n in range(6)
        ]
        then = await asyncio.gather(*map(one, tapes, models))
    replays = [again(tape) for tape in tapes]
    pairs = list(zip(replays, models, strict=True))[::-1]
    found = await asyncio.gather(*(one(tape, model) for tape, model in pairs))
    assert list(then) == found[::-1] == list(range(6))
    assert not any(replay.unused() for replay in replays)
