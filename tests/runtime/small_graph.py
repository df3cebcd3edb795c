"""A graph that streams, that runs into a time limit, and that retries a tool: what ARAG does not do."""

import operator
from contextlib import aclosing
from typing import Annotated, Any, TypedDict

from langchain_core.messages import HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import BaseModel

from merchgraph.graphs.front import run_graph
from merchgraph.runtime.errors import ToolError
from merchgraph.runtime.ledger import Call, Usage, at
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.node import RunError, add_node
from merchgraph.runtime.playing import now, on_tape, rng

WAITS_S = 0.3
busy: list[int] = []
"""How often the scale is still busy; it takes one off at each weighing."""


class Request(BaseModel):
    """What to write about."""

    text: str


class Context(BaseModel):
    """How.

    Attributes:
        read: chunks of the stream that are read.
    """

    model: str
    read: int = 99


class State(TypedDict, total=False):
    """What the nodes say."""

    text: str
    told: Annotated[list[str], operator.add]
    calls: Annotated[list[Call], operator.add]
    errors: Annotated[list[RunError], operator.add]


class Result(BaseModel):
    """What they said."""

    told: list[str]
    errors: list[RunError]
    usage: Usage


async def weigh(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    weight = await on_tape("scale", _scale, int, text=state["text"])
    return {"told": [f"{weight} g at {now().isoformat()}, {rng().random()}"]}


def _scale() -> int:
    if busy:
        busy.pop()
        raise ToolError("The scale is busy.", retryable=True)
    return 250


async def wait(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    with at(agent="slow"):
        reply = await chat_model(runtime.context.model).ainvoke([HumanMessage(state["text"])])
    return {"told": [str(reply.content)]}


async def write(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    model, pieces = chat_model(runtime.context.model), []
    with at(agent="writer"):
        async with aclosing(model.astream([HumanMessage(state["text"])])) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                pieces.append(str(chunk.content))
                if len(pieces) == runtime.context.read:
                    break
    return {"told": pieces}


def _in_silence(*_: object) -> dict[str, Any]:
    return {"told": ["(nothing)"]}


def build() -> StateGraph[State, Context, Request, State]:
    builder = StateGraph(State, context_schema=Context, input_schema=Request)
    add_node(builder, "weigh", weigh, opens=True)
    add_node(builder, "wait", wait, timeout_s=WAITS_S, fallback=_in_silence)
    add_node(builder, "write", write)
    builder.add_edge(START, "weigh")
    builder.add_edge("weigh", "wait")
    builder.add_edge("wait", "write")
    builder.add_edge("write", END)
    return builder


graph = build().compile(name="small")


def result(state: Any, context: Context) -> Result:
    return Result(told=state["told"], errors=state["errors"], usage=Usage.of(state["calls"]))


async def arun(text: str, **settings: Any) -> Result:
    return await run_graph(graph, Request(text=text), Context(**settings), result)
