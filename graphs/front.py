"""What all graphs share: checked input, edges, a run to its final state, a drawing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from pydantic import BaseModel, ValidationError

from merchgraph.runtime.errors import SetupError

B = TypeVar("B", bound=BaseModel)
HANDLER = "__error_handler__"
"""How LangGraph names the node that it adds for a fallback, before the node's own name."""


def checked(kind: type[B], values: Mapping[str, Any]) -> B:
    """Make a request or context from raw values.

    Raises:
        SetupError: one sentence naming the field, its value and what is expected.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "value_error" and not field:
            raise SetupError(f"{message}.") from error  # it begins with a field's name
        if fault["type"] == "extra_forbidden":
            known = ", ".join(kind.model_fields)
            raise SetupError(f"There is no setting {field!r}; there are {known}.") from error
        raise SetupError(
            f"The setting {field} is {fault['input']!r}, but: {message[0].lower()}{message[1:]}."
        ) from error


def add_edge(builder: StateGraph[Any, Any, Any, Any], start: str, end: str) -> None:
    """An edge that is followed too where a fallback stood in for `start`.

    LangGraph lets the handler of a failed node end the branch, unless it has edges of its own.
    """
    builder.add_edge(start, end)
    if f"{HANDLER}{start}" in builder.nodes:
        builder.add_edge(f"{HANDLER}{start}", end)


async def final_state(
    graph: CompiledStateGraph[Any, Any, Any, Any], request: BaseModel, context: BaseModel | None
) -> dict[str, Any]:
    """Run a graph to its end; only what the request sets goes in."""
    state: dict[str, Any] = await graph.ainvoke(
        request.model_dump(exclude_unset=True) or request.model_dump(), context=context
    )
    return state


def mermaid(graph: CompiledStateGraph[Any, Any, Any, Any]) -> str:
    """The graph as Mermaid text, without the nodes that LangGraph adds to handle errors."""
    drawn = graph.get_graph()
    for name, node in list(drawn.nodes.items()):
        if name.startswith(HANDLER):
            drawn.remove_node(node)
    return drawn.draw_mermaid()
