"""How many steps a run takes: loops that end, and joins that wait."""

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.errors import GraphRecursionError
from langgraph.graph import START, StateGraph

from merchgraph.runtime.ledger import Call
from merchgraph.runtime.node import RECURSION_LIMIT, add_node


class State(TypedDict, total=False):
    steps: Annotated[list[str], operator.add]
    joined: Annotated[list[int], operator.add]
    calls: Annotated[list[Call], operator.add]


async def join(state: State, runtime: Any) -> dict[str, Any]:
    return {"joined": [len(state["steps"])]}


async def test_a_loop_without_end_stops_at_the_recursion_limit() -> None:
    async def again(state: State, runtime: Any) -> dict[str, Any]:
        return {}

    builder = StateGraph(State)
    add_node(builder, "again", again)
    builder.add_edge(START, "again")
    builder.add_edge("again", "again")
    with pytest.raises(GraphRecursionError):
        await builder.compile().ainvoke({}, {"recursion_limit": RECURSION_LIMIT})


async def test_a_deferred_join_waits_for_branches_of_any_depth() -> None:
    async def step(state: State, runtime: Any) -> dict[str, Any]:
        return {"steps": ["done"]}

    builder = StateGraph(State)
    for name in ("short", "long", "longer"):
        add_node(builder, name, step)
    add_node(builder, "join", join, defer=True)
    builder.add_edge(START, "short")
    builder.add_edge(START, "long")
    builder.add_edge("long", "longer")
    builder.add_edge("short", "join")
    builder.add_edge("longer", "join")
    state = await builder.compile().ainvoke({})
    assert state["joined"] == [3]
