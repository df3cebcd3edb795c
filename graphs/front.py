"""What all graphs share: checked input, and a run to its result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from functools import cache
from typing import Any, Protocol, TypeVar

from langgraph.graph.state import CompiledStateGraph
from pydantic import BaseModel, ValidationError

from merchgraph.runtime.durable import Graph, thread
from merchgraph.runtime.errors import MerchgraphError, SetupError
from merchgraph.runtime.ledger import Usage
from merchgraph.runtime.recording import taking

B = TypeVar("B", bound=BaseModel)
Watch = Callable[[str, Any], None]


class Costed(Protocol):
    """A result that says what it took."""

    @property
    def usage(self) -> Usage:
        """Calls, tokens and seconds of the run."""


R = TypeVar("R", bound=Costed)


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


def asked(kind: type[B], state: Mapping[str, Any]) -> B:
    """The request that a graph's first node finds in its state.

    Raises:
        SetupError: as `checked`; Studio hands over what was typed.
    """
    return checked(kind, {name: state[name] for name in kind.model_fields if name in state})


async def run_graph(
    graph: CompiledStateGraph[Any, Any, Any, Any],
    request: BaseModel,
    context: BaseModel,
    result: Callable[[Any, Any], R],
    watch: Watch | None = None,
) -> R:
    """Run a graph to its end and make its result; onto a tape, or from one, where one is running.

    Args:
        graph: the compiled graph.
        request: only what it sets goes in.
        context: the run's settings.
        result: (final state, context) -> the graph's result, with its `usage`.
        watch: called with every event ("custom") and every state ("values") as they come.
    """
    given = request.model_dump(exclude_unset=True) or request.model_dump()
    with taking(graph.get_name(), request, context, structure(graph)) as take:

        async def go(graph: Graph, start: Any, config: Any) -> dict[str, Any]:
            return await _streamed(graph, start, context, watch, config)

        kept = thread()
        if kept is None:
            state = await go(graph, given, None)
        elif take is None:
            state = await kept.follow(graph, given, context, go)
        else:
            raise SetupError("A run of a thread is not recorded; leave one of the two out.")
        made = result(state, context)
        if take is not None:
            take.result(made, made.usage)
    return made


async def _streamed(
    graph: Graph, start: Any, context: BaseModel, watch: Watch | None, config: Any
) -> dict[str, Any]:
    """The last state of a run; what is kept in a thread is on disk before the next step begins.

    Raises:
        MerchgraphError: with the calls of the whole run, not only of the node that failed.
    """
    state: dict[str, Any] = {}
    stream: AsyncIterator[Any] = graph.astream(
        start,
        config,
        context=context,
        stream_mode=["custom", "values"] if watch else ["values"],
        subgraphs=True,
        durability="sync" if config else None,
    )
    try:
        async for within, mode, data in stream:
            if mode == "values":
                if within:
                    continue  # the state of a loop inside the graph
                state = data
            if watch is not None:
                watch(mode, data)
    except MerchgraphError as error:
        error.calls = [*state.get("calls", ()), *error.calls]
        raise
    return state


def structure(graph: CompiledStateGraph[Any, Any, Any, Any]) -> dict[str, Any]:
    """Nodes and edges, for the picture of a run: {"nodes": [...], "edges": [[from, to, conditional]]}.

    The nodes of a graph inside it stand among its own, under the names that their lines in a trace have.
    """
    return _structure(graph)


@cache
def _structure(graph: CompiledStateGraph[Any, Any, Any, Any]) -> dict[str, Any]:
    drawn = graph.get_graph(xray=True)
    edges = [(edge.source, edge.target, edge.conditional) for edge in drawn.edges]
    gates = {node for node in drawn.nodes if node.endswith((":__start__", ":__end__"))}
    for gate in gates:  # of a graph inside: what leads there leads on
        into, out = ([edge for edge in edges if edge[end] == gate] for end in (1, 0))
        edges = [edge for edge in edges if gate not in edge]
        edges += [(i[0], o[1], i[2] or o[2]) for i in into for o in out]
    return {
        "nodes": [_own(node) for node in drawn.nodes if node not in gates],
        "edges": [
            [_own(start), _own(end), conditional] for start, end, conditional in sorted(edges)
        ],
    }


def _own(node: str) -> str:
    """`refine:check` is the node `check` of the graph inside."""
    return node.rpartition(":")[2]
