"""Runs that outlive their process: the state of a thread is kept after every step of its graph.

with durable("ann-1"):
    arag.run(request, context)           # killed in the middle, or out of order for an hour
with durable("ann-1"):
    arag.run(request, context)           # goes on after the last step that was kept; the same result

They are kept in a file (SQLite), or by `MERCHGRAPH_CHECKPOINTS=postgresql://...` in a database that
several machines share. A step that a kill cut is run again from its beginning: what it had asked is asked
again. One process at a time runs a thread. Types come back from disk only if the graph's state names them
(strict msgpack); nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command
from pydantic import BaseModel, TypeAdapter

from merchgraph.runtime.errors import MerchgraphError, SetupError
from merchgraph.runtime.log import redact
from merchgraph.runtime.settings import settings

Graph = CompiledStateGraph[Any, Any, Any, Any]
Saver = BaseCheckpointSaver[Any]
Go = Callable[[Graph, Any, dict[str, Any]], Awaitable[dict[str, Any]]]
"""(graph, its input, config) -> the last state of a run."""
FILE = "checkpoints.sqlite"
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
            Waits: the run waits for an answer.
        """
        about = _about(graph, given, context)
        self.runs += 1
        place = self.name if self.runs == 1 else f"{self.name}/{self.runs}"
        config: Any = {"configurable": {"thread_id": place}, "metadata": about}
        async with checkpointer() as saver:
            kept = graph.copy(update={"checkpointer": saver.with_allowlist(allowed(graph))})
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
            if waiting := (await kept.aget_state(config)).interrupts:
                raise Waits(self.name, [one.value for one in waiting])
            await _tidied(saver, place)
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


@asynccontextmanager
async def checkpointer() -> AsyncIterator[Saver]:
    """The store of the settings: the file in the cache folder, or the database.

    It is an async context manager without arguments, as langgraph.json's `checkpointer.path` takes it.

    Raises:
        SetupError: it cannot be opened, or a package is missing.
    """
    told = settings().checkpoints
    place = told.get_secret_value() if told else ""
    async with AsyncExitStack() as stack:
        if place.startswith(("postgresql://", "postgres://")):
            saver = await _postgres(place, stack)
        else:
            file = Path(place) if place else settings().cache_dir / FILE
            saver = await _sqlite(file, stack)
        yield saver


def _serializer() -> JsonPlusSerializer:
    return JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=None)


async def _sqlite(file: Path, stack: AsyncExitStack) -> Saver:
    import sqlite3

    aio, client = _package("langgraph.checkpoint.sqlite.aio"), _package("aiosqlite")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        connection = await stack.enter_async_context(client.connect(file, timeout=30))
        saver: Saver = aio.AsyncSqliteSaver(connection, serde=_serializer())
        await saver.setup()  # type: ignore[attr-defined]
    except (OSError, sqlite3.Error) as error:
        raise SetupError(
            f"The checkpoints {str(file)!r} cannot be opened: {error}; set MERCHGRAPH_CHECKPOINTS to a "
            "file that can be made, or to postgresql://..."
        ) from error
    return saver


async def _postgres(url: str, stack: AsyncExitStack) -> Saver:
    aio, driver = _package("langgraph.checkpoint.postgres.aio"), _package("psycopg")
    try:
        opened = aio.AsyncPostgresSaver.from_conn_string(url, serde=_serializer())
        saver: Saver = await stack.enter_async_context(opened)
        await saver.setup()  # type: ignore[attr-defined]
    except driver.Error as error:
        why = str(redact(str(error))).splitlines()
        raise SetupError(
            f"The database of MERCHGRAPH_CHECKPOINTS does not answer: {why[0] if why else 'closed'}; "
            "start it, or correct its address."
        ) from error
    return saver


async def _tidied(saver: Any, name: str) -> None:
    """Drop the steps of a run that has ended; its last state says all that is asked for later."""
    try:
        await saver.aprune([name])
    except NotImplementedError:  # SQLite's
        last = (
            "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ?1 AND checkpoint_ns = ''"
        )
        other = f"checkpoint_ns <> '' OR checkpoint_id <> ({last})"
        async with saver.lock:  # both in one transaction
            await saver.conn.execute("DELETE FROM writes WHERE thread_id = ?1", (name,))
            await saver.conn.execute(
                f"DELETE FROM checkpoints WHERE thread_id = ?1 AND ({other})", (name,)
            )
            await saver.conn.commit()


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise SetupError(
            f"Durable runs need the package {error.name}, which is not installed; run "
            "`pip install 'merchgraph[durable]'`."
        ) from error


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
