"""ARAG's state under LangGraph's own tools: streams, checkpoints, threads that run again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from merchgraph.agents.nli import NliScore
from merchgraph.agents.user_understanding import Understanding
from merchgraph.graphs import arag
from merchgraph.graphs.arag import Context
from merchgraph.graphs.arag_state import Message
from merchgraph.graphs.blackboard import latest, post, read
from merchgraph.graphs.offers import Offer
from merchgraph.runtime.errors import EndpointError
from merchgraph.runtime.scripted import Always, Replies, scripted

pytestmark = pytest.mark.usefixtures("corner")
Scripting = Callable[..., Replies]
SLATE = ["tea", "cake", "soap", "rice"]
REQUEST: Any = {"user": "ann", "candidates": SLATE}
THREAD: RunnableConfig = {"configurable": {"thread_id": "1"}}
STRICT = "LANGGRAPH_STRICT_MSGPACK"


async def test_updates_and_events_are_streamed_while_nodes_work(script: Scripting) -> None:
    updates: list[Any] = []
    events: list[Any] = []
    with scripted(script()) as model:
        modes: Any = ["updates", "custom"]
        context = Context(model=model, k=1)
        async for mode, data in arag.graph.astream(REQUEST, context=context, stream_mode=modes):
            (updates if mode == "updates" else events).append(data)
    nodes = [node for update in updates for node in update]
    assert sorted(nodes) == ["nli"] * 4 + ["rank", "retrieve", "summarize", "understand"]
    assert nodes[0] == "retrieve"
    assert nodes[-2:] == ["summarize", "rank"]
    assert all(isinstance(message, Message) for u in updates for v in u.values()
               for message in v["board"])  # fmt: skip
    for kind in ("started", "finished"):
        lanes = [event["lane"] for event in events if event["event"] == kind and event["lane"]]
        assert sorted(lanes) == sorted(SLATE)
    assert events[0] == {"event": "started", "node": "retrieve", "lane": ""}
    assert events[-1] == {"event": "finished", "node": "rank", "lane": ""}


async def test_a_degraded_branch_says_so_on_the_stream(script: Scripting) -> None:
    with scripted(script(nli__tea=Always(EndpointError("gone")))) as model:
        context = Context(model=model, k=1)
        stream = arag.graph.astream(REQUEST, context=context, stream_mode="custom")
        events = [event async for event in stream]
    (degraded,) = [event for event in events if event["event"] == "degraded"]
    assert (degraded["node"], degraded["lane"], degraded["message"]) == ("nli", "tea", "gone")


async def test_values_end_in_the_state_that_the_result_is_made_of(script: Scripting) -> None:
    with scripted(script()) as model:
        context = Context(model=model, k=1)
        stream = arag.graph.astream(REQUEST, context=context, stream_mode="values")
        states = [state async for state in stream]
    assert len(states) == 5  # the request, then one for each step
    assert [len(state.get("board", [])) for state in states] == [0, 1, 6, 8, 9]
    assert len(arag.result(states[-1], context).ranking) == 4


async def test_listening_to_messages_changes_no_score(script: Scripting) -> None:
    heard: list[Any] = []
    state: Any = {}
    with scripted(script()) as model:
        modes: Any = ["messages", "values"]
        context = Context(model=model, k=1)
        async for mode, data in arag.graph.astream(REQUEST, context=context, stream_mode=modes):
            if mode == "messages":
                heard.append(data)
            else:
                state = data
    result = arag.result(state, context)
    assert result.ranking[0].score == pytest.approx(0.8, abs=1e-5)
    assert len(heard) == result.usage.calls
    assert {meta["langgraph_node"] for _, meta in heard} == {
        "understand", "nli", "summarize", "rank",
    }  # fmt: skip


async def test_the_state_stays_small(script: Scripting) -> None:
    candidates = [Offer(item=f"i{n}", text="t" * 240, title="t" * 80) for n in range(20)]
    with scripted(script()) as model:
        state = await arag.graph.ainvoke(REQUEST, context=Context(model=model, k=2))
    saver = InMemorySaver()
    whole = len(saver.serde.dumps_typed(state)[1])
    offers = len(saver.serde.dumps_typed(candidates)[1])
    assert whole * 5 + offers < 200_000  # four candidates here, twenty there


async def test_a_thread_that_runs_again_starts_from_nothing(script: Scripting) -> None:
    graph = arag.build().compile(checkpointer=InMemorySaver())
    with scripted(script({"tea": 0.9})) as model:
        await graph.ainvoke(REQUEST, THREAD, context=Context(model=model, k=1))
    again: Any = {"user": "bob", "candidates": ["tea", "corn"]}
    gone = Always(EndpointError("gone"))
    with scripted(script(understand=gone, summarize=gone, nli__tea=gone)) as model:
        context = Context(model=model, k=1)
        result = arag.result(await graph.ainvoke(again, THREAD, context=context), context)
    assert result.user == "bob"
    assert result.understanding is None, "ann's understanding was read for bob"
    assert result.context is None
    assert {row.item: row.score is None for row in result.ranking} == {"corn": False, "tea": True}
    assert [message.seq for message in result.board] == list(range(len(result.board)))
    asked = next(messages for agent, _, messages in model.script.asked if agent == "rank")
    assert "sweet" not in str(asked), "the ranker read of ann"
    assert result.usage.calls == len(model.script.asked), "ann's calls are on bob's ledger"


def test_strict_checkpoints_give_the_same_typed_state_back() -> None:
    if os.environ.get(STRICT) != "true":  # it is read when LangGraph is imported
        this = f"{__file__}::test_a_checkpoint_gives_the_same_typed_state_back"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", this]
        env = {**os.environ, STRICT: "true"}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


async def test_a_checkpoint_gives_the_same_typed_state_back(
    script: Scripting, caplog: pytest.LogCaptureFixture
) -> None:
    graph = arag.build().compile(checkpointer=InMemorySaver())
    request: Any = {**REQUEST, "before": "2026-01-05T00:00:00"}
    with scripted(script(nli__tea=Always(EndpointError("gone")))) as model:
        context = Context(model=model, k=2, fusion={"rank": 1.0, "nli": 0.5})
        state = await graph.ainvoke(request, THREAD, context=context)
    kept = (await graph.aget_state(THREAD)).values
    assert kept == state
    assert {key: type(value) for key, value in kept.items()} == {
        key: type(value) for key, value in state.items()
    }
    assert all(isinstance(message, Message) for message in kept["board"])
    assert isinstance(latest(kept["board"], Understanding), Understanding)
    assert arag.result(kept, context) == arag.result(state, context)
    if os.environ.get(STRICT) == "true":
        assert "unregistered" not in caplog.text
        assert "blocked" not in caplog.text.lower()


def test_messages_are_numbered_as_they_are_posted() -> None:
    scores = [Message(role="nli", payload=NliScore(item=name, score=0.5)) for name in "abc"]
    board = post(post([], scores[:1]), scores[1:])
    assert [message.seq for message in board] == [0, 1, 2]
    assert [score.item for score in read(board, NliScore)] == ["a", "b", "c"]
    assert latest(board, NliScore) == NliScore(item="c", score=0.5)
    assert latest(board, Understanding) is None
    assert [message.seq for message in scores] == [-1, -1, -1]  # nothing is changed in place
