"""Runs that outlive their process: the state of a thread is kept after every step of its graph.

with durable("ann-1"):
    arag.run(request, context)           # killed in the middle, or out of order for an hour
with durable("ann-1"):
    arag.run(request, context)           # goes on after the last step that was kept; the same result

They are kept in a file (SQLite), or by `MERCHGRAPH_CHECKPOINTS=postgresql://...` in a database that
several machines share. A step that a kill cut is run again from its beginning: what it had asked is asked
again. A step takes the place of the one before it. One process at a time runs a thread. Types come back
from disk only if the graph's state names them (strict msgpack).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command
from pydantic import BaseModel, TypeAdapter

from merchgraph.runtime.durable_store import checkpointer, reading
from merchgraph.runtime.errors import MerchgraphError, SetupError

Graph = CompiledStateGraph[Any, Any, Any, Any]
Go = Callable[[Graph, Any, dict[str, Any]], Awaitable[dict[str, Any]]]
"""(graph, its input, config) -> the last state of a run."""
UNANSWERED = object()


class Waits(MerchgraphError):
    """A run that waits for the world; `durable(thread, answer=...)` or `--answer` lets it go on.

    Attributes:
        wanted: what it asks for.
    """

    def __init__(self, thread: str, wanted: list[Any]) -> None:
        super().__init__(
            f"The run of thread {thread!r} waits for {wanted!r:.200}; give it as --answer."
        )
        self.wanted = wanted


@dataclass
class Thread:
    """Where the runs of a block are kept.

    Attributes:
        name: the same name goes on with the same runs.
        answer: to what the run waits for; `UNANSWERED` for none.
        runs: begun in this block so far; from the second one on, each has its number in its place.
    """

    name: str
    answer: Any = UNANSWERED
    runs: int = 0

    async def follow(
        self, graph: Graph, given: Mapping[str, Any], context: BaseModel, go: Go
    ) -> dict[str, Any]:
        """The final state of the thread's run, from its beginning or from where it was left.

        Args:
            graph: the compiled graph.
            given: its input.
            context: the run's settings.
            go: runs a graph to its end or to where it waits.

        Raises:
            SetupError: the thread holds a run of another graph, request or context.
            DataError: what was kept is damaged.
            Waits: the run waits for an answer.
        """
        about = _about(graph, given, context)
        self.runs += 1
        place = self.name if self.runs == 1 else f"{self.name}/{self.runs}"
        config: Any = {"configurable": {"thread_id": place}, "metadata": about}
        async with checkpointer(newest=True) as saver:
            kept = graph.copy(update={"checkpointer": saver.with_allowlist(allowed(graph))})
            with reading():
                found = await kept.aget_state(config)
            begun = found.created_at is not None
            if begun:
                self._check(found.metadata or {}, about)
                if not found.next:
                    return dict(found.values)
            start: Any = None if begun else given
            if found.interrupts and self.answer is not UNANSWERED:
                start = Command(resume=self.answer)
            state = await go(kept, start, config)
            with reading():
                waiting = (await kept.aget_state(config)).interrupts
            if waiting:
                raise Waits(self.name, [one.value for one in waiting])
        return state

    def _check(self, was: Mapping[str, Any], now: Mapping[str, str]) -> None:
        for what in now:
            if was.get(what) != now[what]:
                raise SetupError(
                    f"The thread {self.name!r} holds the run of another {what}; run it as it was, or "
                    "name another thread."
                )


def _about(graph: Graph, given: Mapping[str, Any], context: BaseModel) -> dict[str, str]:
    """What tells a run from another one; hashes, since it is kept with every step."""
    dump = TypeAdapter[Any](Any).dump_python
    texts = {
        "request": json.dumps(dump(given, mode="json")),
        "context": json.dumps(dump(context, mode="json")),
    }
    hashes = {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in texts.items()}
    return {"graph": graph.get_name(), **hashes}


_thread: ContextVar[Thread | None] = ContextVar("merchgraph_thread", default=None)


@contextmanager
def durable(thread: str, *, answer: Any = UNANSWERED) -> Iterator[None]:
    """Keep the graphs that are run inside the block; run them again under the same name to go on.

    Args:
        thread: a name of your choice, for these runs and no others.
        answer: to what the run waits for, see `Waits`.

    Raises:
        SetupError: the name is empty.
    """
    if not thread:
        raise SetupError("The thread has no name; give one, for example a customer's id.")
    token = _thread.set(Thread(thread, answer))
    try:
        yield
    finally:
        _thread.reset(token)


def thread() -> Thread | None:
    """The thread of the running block."""
    return _thread.get()


def allowed(graph: Graph) -> set[tuple[str, ...]]:
    """(module, name) of every type that a graph's states name; no other one comes back from disk."""
    found: set[type] = set()
    machines = [graph, *(inner for _, inner in graph.get_subgraphs(recurse=True))]
    for machine in machines:
        builder = machine.builder  # type: ignore[attr-defined]
        _collect(builder.state_schema, found)
        for node in builder.nodes.values():
            reads = getattr(getattr(node.runnable, "afunc", None), "reads", None)
            for hint in get_type_hints(reads).values() if reads else ():
                _collect(hint, found)
    return {(kind.__module__, kind.__qualname__) for kind in found}


def _collect(kind: Any, found: set[type]) -> None:
    """Add a type and all that its fields name."""
    for argument in get_args(kind):
        _collect(argument, found)
    if not isinstance(kind, type) or kind in found or kind.__module__ == "builtins":
        return
    if hints := get_type_hints(kind) if hasattr(kind, "__annotations__") else {}:
        found.add(kind)
    for hint in hints.values():
        _collect(hint, found)
