"""A request that was given up since a node beside it failed, and one that ran out of time, on tape."""

import asyncio
import operator
import threading
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import HumanMessage
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from pydantic import BaseModel

from merchgraph.runtime import faults
from merchgraph.runtime.errors import EndpointError, MerchgraphError, TapeError
from merchgraph.runtime.faults import ABANDONED
from merchgraph.runtime.ledger import Call, Usage, at
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.node import RunError, add_node
from merchgraph.runtime.playing import on_tape, use_tape
from merchgraph.runtime.recorder import Recorder
from merchgraph.runtime.scripted import Always, scripted
from merchgraph.runtime.tape import Tape
from merchgraph.runtime.trace_file import read
from tests.runtime.tapes import again
from tests.runtime.test_tape import GRADES, grade

GONE = EndpointError("The model server did not answer.")
in_the_air = threading.Event()
"""The request that is to be given up has been sent."""


class Context(BaseModel):
    """How.

    Attributes:
        steps: what the failing node does before it fails; with none, a replay fails before the other
            node has begun.
        streams: whether the other node's request is a stream.
    """

    steps: int
    streams: bool


class State(TypedDict, total=False):
    told: Annotated[list[str], operator.add]
    calls: Annotated[list[Call], operator.add]
    errors: Annotated[list[RunError], operator.add]


async def fails(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    await on_tape("signal", lambda: in_the_air.wait(timeout=20), bool)
    for step in range(runtime.context.steps):
        await on_tape("step", lambda: 1, int, step=step)
        await asyncio.sleep(0.01)
    await grade("scripted/bad", agent="bad")
    raise AssertionError("it fails")


async def waits(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    await asyncio.sleep(0.02)
    await on_tape("first", lambda: 1, int)
    with at(agent="slow"):
        model = chat_model("scripted/slow")
        if runtime.context.streams:
            async for chunk in model.astream([HumanMessage("tea")]):
                pytest.fail(f"it is given up before {chunk}")
        else:
            await model.ainvoke([HumanMessage("tea")])
    raise AssertionError("it is given up")


def sent(messages: object) -> str:
    """The reply of the slow model, which says that it was asked."""
    in_the_air.set()
    return "late"


async def run(recorder: Recorder, context: Context) -> MerchgraphError:
    """How one run fails, kept as a suite keeps it."""
    builder = StateGraph(State, context_schema=Context)
    add_node(builder, "fails", fails)
    add_node(builder, "waits", waits)
    builder.add_edge(START, "fails")
    builder.add_edge(START, "waits")
    graph = builder.compile()
    with recorder.run("1", case={"id": "1"}, system="pair") as take:
        try:
            await graph.ainvoke({}, context=context)
        except MerchgraphError as error:
            take.failed(str(error), Usage.of(error.calls))
            return error
    raise AssertionError("it fails")


@pytest.mark.parametrize("steps", [0, 9])
@pytest.mark.parametrize("streams", [True, False])
def test_a_run_that_failed_beside_a_request_in_the_air_fails_the_same_way(
    tmp_path: Path, steps: int, streams: bool
) -> None:
    context = Context(steps=steps, streams=streams)
    in_the_air.clear()
    recorder = Recorder(tmp_path / "x.jsonl.zst")
    with (
        scripted({"bad": [GONE]}, name="bad"),
        scripted({"slow": Always(sent)}, name="slow", delay_s=60),
    ):
        then = asyncio.run(run(recorder, context))
    recorder.close()
    [recorded] = read(recorder.trace.path).runs.values()
    assert [call.fault.type for call in recorded.calls if call.fault] == [
        "EndpointError",
        "abandoned",
    ]
    assert str(then) == recorded.end.error == str(GONE)
    for _ in range(3):
        now = asyncio.run(run(Recorder(recorder.trace.path, "replay"), context))
        assert (type(now), str(now)) == (EndpointError, str(GONE))
        assert Usage.of(now.calls) == recorded.end.usage


async def given_up(tape: Tape) -> None:
    """Record a request and a tool that somebody else gives up."""
    free = threading.Event()
    with scripted({"judge": Always(GRADES[1])}, name="s", delay_s=60) as model, use_tape(tape):
        tasks = [
            asyncio.create_task(grade(model)),
            asyncio.create_task(on_tape("slow", lambda: free.wait(timeout=20), bool)),
        ]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    free.set()
    assert [line.fault for line in tape.answers] == [ABANDONED] * 2


async def test_what_was_given_up_waits_until_it_is_again() -> None:
    tape = Tape("run", "record")
    await given_up(tape)
    replay = again(tape)
    with use_tape(replay):
        for work in (grade("scripted/s"), on_tape("slow", lambda: True, bool)):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await work
    assert len(replay.answers) == 2


async def test_what_nobody_gives_up_now_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    tape = Tape("run", "record")
    await given_up(tape)
    monkeypatch.setattr(faults, "PATIENCE_S", 0.05)
    with use_tape(again(tape)):
        for work in (grade("scripted/s"), on_tape("slow", lambda: True, bool)):
            with pytest.raises(TapeError, match=r"was given up when it was recorded.* 0\.05 s"):
                await work


async def test_what_was_given_up_need_not_be_asked_and_is_asked_anew_in_a_recording() -> None:
    tape = Tape("run", "record")
    await given_up(tape)
    assert again(tape).unused() == []
    missing = again(tape, "record_missing")
    with scripted({"judge": [GRADES[2]]}, name="s") as model, use_tape(missing):
        assert (await grade(model)).stars == 2


async def test_a_limit_does_not_end_what_was_given_up_by_others() -> None:
    """The replay's wait is no work of the node, whose limit may be short."""
    tape = Tape("run", "record")
    await given_up(tape)

    async def patient(state: State, runtime: Any) -> dict[str, Any]:
        await grade("scripted/s")
        return {}

    builder = StateGraph(State)
    add_node(builder, "patient", patient, timeout_s=0.05)
    builder.add_edge(START, "patient")
    with use_tape(again(tape)), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await builder.compile().ainvoke({})
