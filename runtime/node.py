"""The node wrapper: what every node of every graph gets, said once.

    add_node(builder, "nli", judge, lane=lambda state: state["item"].item, fallback=unjudged)

A node is an async function `(state, runtime) -> update` that calls one agent or tool. The wrapper adds

- the default context where none was given (LangGraph passes None);
- the ledger: calls made inside go into the state's `calls`;
- a time limit in seconds, and a check of the update against the state's types: LangGraph checks
  nothing on the way out, and drops unknown keys in silence;
- `started` and `finished` events on the custom stream, for live views;
- the fallback: an agent or endpoint that failed degrades this one branch, which returns the fallback's
  update and an entry in `errors`. A SetupError or a bug ends the run instead.

States that use it declare `calls: Annotated[list[Call], operator.add]` and `errors` likewise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, get_type_hints

from langgraph.graph import StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Overwrite, RetryPolicy
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from merchgraph.runtime.clock import timed
from merchgraph.runtime.errors import MerchgraphError, NodeFailure, SetupError, ToolError
from merchgraph.runtime.faults import Stopped
from merchgraph.runtime.ledger import at, collect, here
from merchgraph.runtime.log import logger
from merchgraph.runtime.playing import playing
from merchgraph.runtime.trace import NodeLine
from merchgraph.runtime.wire import hide

C = TypeVar("C", bound=BaseModel)
Update = dict[str, Any]
Fields = dict[str, TypeAdapter[Any]]
Node = Callable[[Any, Runtime[C]], Awaitable[Update]]
Fallback = Callable[[Any, MerchgraphError, Any], Update]
"""(the node's input, what went wrong, the run's context) -> the update of the degraded branch."""

log = logger("node")

RECURSION_LIMIT = 25
"""Steps per run: LangGraph's own default, 10,007, lets a wrong loop burn thousands of calls."""
TIMEOUT_S = 120.0


class RunError(BaseModel):
    """One failure that degraded a branch of a run."""

    model_config = ConfigDict(frozen=True)

    node: str
    lane: str = ""
    kind: str
    message: str

    @classmethod
    def of(cls, node: str, lane: str, error: MerchgraphError) -> RunError:
        """The entry of a caught error."""
        return cls(node=node, lane=lane, kind=type(error).__name__, message=str(error))


def retry_on(error: Exception) -> bool:
    """Whether a node is run again: only for tools that ask for it.

    Model calls have been retried by the endpoint already, and a second round would multiply them.
    """
    return isinstance(error, ToolError) and error.retryable


RETRY = RetryPolicy(max_attempts=3, initial_interval=0.2, retry_on=retry_on)


def add_node(
    builder: StateGraph[Any, Any, Any, Any],
    name: str,
    node: Node[C],
    *,
    fallback: Fallback | None = None,
    lane: Callable[[Any], str] = lambda state: "",
    timeout_s: float = TIMEOUT_S,
    defer: bool = False,
    opens: bool = False,
) -> None:
    """Add a node to a graph with everything that the module's docstring lists.

    Args:
        builder: its state and context schemas say what the node may return and gets by default.
        name: the node's name, without ":" or "|".
        node: an async function.
        fallback: the update of a branch whose node failed; None lets the failure end the run.
        lane: names the branch of a fan-out from its input, for the ledger and the tape.
        timeout_s: longest run of one attempt, in seconds; queueing for a model does not count.
        defer: wait for all branches, however deep.
        opens: the first node of a run: in a thread that runs again, as in Studio, the ledger and the
            errors start afresh.
    """
    fields = _fields(builder.state_schema)
    run: Any = _wrap(name, node, fields, builder.context_schema, lane, timeout_s)
    if fallback is not None:
        run = _degrading(name, run, fallback, fields, builder.context_schema, lane)
    if opens:
        run = _opening(run)
    run.reads = node  # says of what types a branch's input is, see `runtime/durable.py`
    builder.add_node(name, run, retry_policy=RETRY, defer=defer)


def _wrap(
    name: str,
    node: Node[Any],
    fields: Fields,
    context_schema: type[BaseModel] | None,
    lane: Callable[[Any], str],
    timeout_s: float,
) -> Node[Any]:
    async def run(state: Any, runtime: Runtime[Any]) -> Update:
        runtime = _context(runtime, context_schema)
        branch = lane(state)
        runtime.stream_writer({"event": "started", "node": name, "lane": branch})
        with collect() as calls, at(node=name, lane=branch), _on_the_tape():
            try:
                async with asyncio.timeout(timeout_s) as clock:
                    with timed(clock):
                        update = _checked(name, await node(state, runtime), fields)
            except TimeoutError as error:
                if not clock.expired() and not isinstance(error, Stopped):
                    raise  # the node's own: a bug like any other
                late = NodeFailure(
                    f"The node {name!r} ran longer than {timeout_s:g} s and was stopped."
                )
                late.calls = calls
                raise late from error
            except MerchgraphError as error:
                error.calls = calls
                raise
        runtime.stream_writer({"event": "finished", "node": name, "lane": branch})
        return update | {"calls": calls}

    return run


@contextmanager
def _on_the_tape() -> Iterator[None]:
    """The node as a line of the trace, if the run is recorded."""
    tape, site = playing(), here()
    if tape is None:
        yield
        return
    began, told = tape.seconds, ""
    try:
        yield
    except MerchgraphError as error:
        told = hide(str(error))
        raise
    finally:
        tape.nodes.append(NodeLine(node=site.node, lane=site.lane, started_s=began,
                                   finished_s=tape.seconds, error=told))  # fmt: skip


def _opening(run: Node[Any]) -> Node[Any]:
    async def opening(state: Any, runtime: Runtime[Any]) -> Update:
        update = await run(state, runtime)
        return update | {name: Overwrite(update.get(name, [])) for name in ("calls", "errors")}

    return opening


def _degrading(
    name: str,
    run: Node[Any],
    fallback: Fallback,
    fields: Fields,
    context_schema: type[BaseModel] | None,
    lane: Callable[[Any], str],
) -> Node[Any]:
    """The node with its fallback; LangGraph's error handlers follow no edge out of the failed node."""

    async def degrading(state: Any, runtime: Runtime[Any]) -> Update:
        try:
            return await run(state, runtime)
        except SetupError:
            raise
        except MerchgraphError as error:
            info = runtime.execution_info
            if retry_on(error) and info is not None and info.node_attempt < RETRY.max_attempts:
                raise
            cause = error
        entry = RunError.of(name, lane(state), cause)
        log.warning("node.degraded", **entry.model_dump())
        runtime.stream_writer({"event": "degraded", **entry.model_dump()})
        context = _context(runtime, context_schema).context
        update = _checked(name, fallback(state, cause, context), fields)
        return update | {"errors": [entry], "calls": list(cause.calls)}

    return degrading


def _context(runtime: Runtime[Any], schema: type[BaseModel] | None) -> Runtime[Any]:
    if runtime.context is None and schema is not None:
        return runtime.override(context=schema())
    return runtime


def _fields(state_schema: type[Any]) -> Fields:
    hints = get_type_hints(state_schema)  # without extras: a reducer is no part of the type
    return {key: TypeAdapter(hint) for key, hint in hints.items()}


def _checked(name: str, update: Update, fields: Fields) -> Update:
    """The update as the state's types have it.

    Raises:
        NodeFailure: a key that the state does not have, or a value of another type.
    """
    if not isinstance(update, dict):
        raise NodeFailure(
            f"The node {name!r} returned {update!r:.80}; expected a dict with some of the keys "
            f"{', '.join(fields)}."
        )
    checked: Update = {}
    for key, value in update.items():
        if key not in fields:
            raise NodeFailure(
                f"The node {name!r} returned {key!r}, which its state does not have; "
                f"it has {', '.join(fields)}."
            )
        try:
            checked[key] = fields[key].validate_python(value, strict=True)
        except ValidationError as error:
            fault = error.errors()[0]
            raise NodeFailure(
                f"The node {name!r} returned {key!r} with {fault['input']!r:.80}: {fault['msg']}."
            ) from error
    return checked
