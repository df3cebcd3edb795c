"""The node wrapper, in graphs of two and three nodes."""

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send
from pydantic import BaseModel, ConfigDict

from merchgraph.runtime.errors import (
    EndpointError,
    MerchgraphError,
    ModelReplyError,
    NodeFailure,
    SetupError,
    ToolError,
)
from merchgraph.runtime.ledger import Call
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.node import RunError, add_node, retry_on
from merchgraph.runtime.scripted import Always, Replies, scripted
from merchgraph.runtime.structured import choose


class Context(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str = "scripted/none"
    k: int = 3


class Scored(BaseModel):
    item: str
    score: float


class State(TypedDict, total=False):
    items: list[str]
    scored: Annotated[list[Scored], operator.add]
    joined: Annotated[list[int], operator.add]
    note: str
    calls: Annotated[list[Call], operator.add]
    errors: Annotated[list[RunError], operator.add]


class Branch(TypedDict):
    item: str


Run = Runtime[Context]
Update = dict[str, Any]
ITEMS = ["milk", "bread", "tea", "soap"]


def _one(node: Any, **options: Any) -> Any:
    builder = StateGraph(State, context_schema=Context)
    add_node(builder, "only", node, **options)
    builder.add_edge(START, "only")
    builder.add_edge("only", END)
    return builder.compile()


async def _score(branch: Branch, runtime: Run) -> Update:
    item = branch["item"]
    asked = [HumanMessage(item)]
    odds = await choose(chat_model(runtime.context.model), asked, ["Yes", "No"], agent="judge")
    return {"scored": [Scored(item=item, score=odds["Yes"])]}


def _unscored(branch: Branch, error: MerchgraphError, context: Context) -> Update:
    return {"scored": [Scored(item=branch["item"], score=-context.k)]}


async def _join(state: State, runtime: Run) -> Update:
    return {"joined": [len(state["scored"])]}


def _fan_out(
    score: Any = _score, fallback: Any = _unscored, *, beside: bool = False
) -> StateGraph[State, Context, State, State]:
    builder = StateGraph(State, context_schema=Context)
    add_node(
        builder, "score", score, fallback=fallback, lane=lambda branch: str(branch["item"]),
    )  # fmt: skip
    add_node(builder, "join", _join)

    def starts(state: State) -> list[Send | str]:
        sends: list[Send | str] = [Send("score", Branch(item=item)) for item in state["items"]]
        return [*sends, "beside"] if beside else sends

    if beside:

        async def other(state: State, runtime: Run) -> Update:
            await asyncio.sleep(0.02)
            return {"note": "done"}

        add_node(builder, "beside", other)
        builder.add_edge("beside", "join")
    builder.add_conditional_edges(START, starts)
    builder.add_edge("score", "join")
    builder.add_edge("join", END)
    return builder


async def test_a_node_without_context_gets_the_default() -> None:
    async def only(state: State, runtime: Run) -> Update:
        return {"note": str(runtime.context.k)}

    assert (await _one(only).ainvoke({}))["note"] == "3"
    assert (await _one(only).ainvoke({}, context=Context(k=5)))["note"] == "5"


async def test_calls_are_in_the_state_with_node_lane_and_agent() -> None:
    with scripted({"judge": Always({"Yes": 0.9, "No": 0.1})}) as model:
        state = await _fan_out().compile().ainvoke({"items": ITEMS}, context=Context(model=model))
    assert [(call.node, call.lane, call.agent) for call in state["calls"]] == [
        ("score", item, "judge") for item in ITEMS
    ]
    assert all(call.completion_tokens for call in state["calls"])


@pytest.mark.parametrize("beside", [False, True])
async def test_a_fallback_replaces_just_its_branch_and_the_join_runs_once(beside: bool) -> None:
    odds = {"Yes": 0.75, "No": 0.25}
    script: Replies = {
        "judge": Always(odds),
        "judge@bread": [EndpointError("gone")],
        "judge@soap": [EndpointError("gone")],
    }
    with scripted(script) as model:
        graph = _fan_out(beside=beside).compile()
        state = await graph.ainvoke({"items": ITEMS}, context=Context(model=model))
    scores = [(each.item, each.score) for each in state["scored"]]
    assert scores == [("milk", 0.75), ("bread", -3), ("tea", 0.75), ("soap", -3)]
    assert state["joined"] == [4]
    assert state.get("note") == ("done" if beside else None)
    expected = RunError(node="score", lane="bread", kind="EndpointError", message="gone")
    assert state["errors"] == [expected, expected.model_copy(update={"lane": "soap"})]
    assert [call.lane for call in state["calls"] if call.failed] == ["bread", "soap"]


async def test_every_branch_may_be_degraded_and_the_join_still_runs_once() -> None:
    with scripted({"judge": Always(EndpointError("gone"))}) as model:
        graph = _fan_out(beside=True).compile()
        state = await graph.ainvoke({"items": ITEMS}, context=Context(model=model))
    assert [each.score for each in state["scored"]] == [-3] * 4
    assert state["joined"] == [4]


@pytest.mark.parametrize("bug", [SetupError("no key"), KeyError("price"), ValueError("bug")])
async def test_a_setup_error_or_a_bug_ends_the_run(bug: Exception) -> None:
    async def score(branch: Branch, runtime: Run) -> Update:
        if branch["item"] == "bread":
            raise bug
        return {"scored": []}

    with pytest.raises(type(bug)) as caught:
        await _fan_out(score).compile().ainvoke({"items": ITEMS})
    assert caught.value is bug


async def test_without_a_fallback_a_failure_ends_the_run() -> None:
    async def only(state: State, runtime: Run) -> Update:
        raise ModelReplyError("no usable reply")

    with pytest.raises(ModelReplyError, match="no usable reply"):
        await _one(only).ainvoke({})


async def test_the_calls_of_a_failed_node_are_on_the_ledger() -> None:
    async def score(branch: Branch, runtime: Run) -> Update:
        await _score(branch, runtime)
        raise ModelReplyError("unusable after all")

    with scripted({"judge": Always({"Yes": 1.0})}) as model:
        graph = _fan_out(score).compile()
        state = await graph.ainvoke({"items": ["milk"]}, context=Context(model=model))
    assert [(call.lane, call.failed) for call in state["calls"]] == [("milk", False)]
    assert [error.kind for error in state["errors"]] == ["ModelReplyError"]


async def test_a_node_that_runs_too_long_is_stopped_and_its_calls_are_kept() -> None:
    async def only(state: State, runtime: Run) -> Update:
        await _score(Branch(item="milk"), runtime)
        await asyncio.sleep(60)
        return {}

    def late(state: State, error: MerchgraphError, context: Context) -> Update:
        return {"note": str(error)}

    with scripted({"judge": Always({"Yes": 1.0})}) as model:
        graph = _one(only, fallback=late, timeout_s=0.2)
        async with asyncio.timeout(5):
            state = await graph.ainvoke({}, context=Context(model=model))
    assert state["note"] == "The node 'only' ran longer than 0.2 s and was stopped."
    assert [error.kind for error in state["errors"]] == ["NodeFailure"]
    assert len(state["calls"]) == 1


async def test_a_timeout_of_the_nodes_own_is_a_bug_and_not_a_late_node() -> None:
    async def only(state: State, runtime: Run) -> Update:
        raise TimeoutError("a socket of its own")

    with pytest.raises(TimeoutError, match="a socket of its own"):
        await _one(only).ainvoke({})


@pytest.mark.parametrize(
    ("update", "sentence"),
    [
        (
            {"notes": "x"},
            "'only' returned 'notes', which its state does not have; it has items, sc",
        ),
        ({"note": 3}, "The node 'only' returned 'note' with 3: Input should be a valid string"),
        ({"scored": [{"item": "a", "score": "1"}]}, "returned 'scored' with '1': Input should be"),
        (None, "The node 'only' returned None; expected a dict"),
    ],
)
async def test_an_update_that_the_state_does_not_allow_is_named(update: Any, sentence: str) -> None:
    async def only(state: State, runtime: Run) -> Any:
        return update

    with pytest.raises(NodeFailure) as caught:
        await _one(only).ainvoke({})
    assert sentence in str(caught.value)


async def test_a_dict_in_the_shape_of_the_states_type_becomes_it() -> None:
    async def only(state: State, runtime: Run) -> Update:
        return {"scored": [{"item": "a", "score": 1.0}]}

    assert (await _one(only).ainvoke({}))["scored"] == [Scored(item="a", score=1)]


async def test_a_fallbacks_update_is_checked_too() -> None:
    async def only(state: State, runtime: Run) -> Update:
        raise EndpointError("gone")

    with pytest.raises(NodeFailure, match="'nte'"):
        await _one(only, fallback=lambda *_: {"nte": "typo"}).ainvoke({})


async def test_only_a_tool_that_asks_for_it_is_run_again() -> None:
    tries: list[bool] = []

    async def only(state: State, runtime: Run) -> Update:
        tries.append(True)
        if len(tries) < 3:
            raise ToolError("index busy", retryable=True)
        return {"note": "found"}

    assert (await _one(only).ainvoke({}))["note"] == "found"
    assert len(tries) == 3
    assert not retry_on(ToolError("broken"))
    assert not retry_on(EndpointError("gone"))


async def test_started_finished_and_degraded_are_on_the_custom_stream() -> None:
    with scripted({"judge": Always({"Yes": 1.0}), "judge@tea": [EndpointError("gone")]}) as model:
        graph = _fan_out().compile()
        stream = graph.astream(
            {"items": ["milk", "tea"]}, context=Context(model=model), stream_mode="custom"
        )
        events = [event async for event in stream]
    seen = {(event["event"], event["node"], event["lane"]) for event in events}
    assert seen == {
        ("started", "score", "milk"),
        ("started", "score", "tea"),
        ("finished", "score", "milk"),
        ("degraded", "score", "tea"),
        ("started", "join", ""),
        ("finished", "join", ""),
    }
    [degraded] = [event for event in events if event["event"] == "degraded"]
    assert (degraded["kind"], degraded["message"]) == ("EndpointError", "gone")


async def test_a_checkpointer_with_strict_msgpack_gives_the_typed_state_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # what LANGGRAPH_STRICT_MSGPACK=true sets when it is there before the first import
    for module in ("langgraph._internal._serde", "langgraph.checkpoint.serde._msgpack"):
        monkeypatch.setattr(f"{module}.STRICT_MSGPACK_ENABLED", True)
    graph = _fan_out().compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    with scripted({"judge": Always({"Yes": 1.0}), "judge@tea": [EndpointError("gone")]}) as model:
        ran = await graph.ainvoke({"items": ["milk", "tea"]}, config, context=Context(model=model))
    kept = (await graph.aget_state(config)).values
    assert kept == ran
    assert isinstance(kept["calls"][0], Call)
    assert isinstance(kept["errors"][0], RunError)
