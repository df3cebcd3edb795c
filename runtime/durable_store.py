"""Where durable runs are kept: a file (SQLite), or a database that several machines share (Postgres).

States are msgpack under zstd, with a checksum. Types come back only if a graph's state names them (strict
msgpack); nothing is unpickled.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import zstandard
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.runtime.log import redact
from merchgraph.runtime.settings import settings

Saver = BaseCheckpointSaver[Any]
FILE = "checkpoints.sqlite"
PACKED = "+zstd"
"""Ends the type of what is packed; rows of before that have none."""
MOST_BYTES = 2**28
"""Of one state as msgpack; what claims to be larger is not unpacked."""
OLDER = """
    thread_id = NEW.thread_id AND checkpoint_id < NEW.checkpoint_id AND (
        NEW.checkpoint_ns IN ('', checkpoint_ns)
        OR substr(checkpoint_ns, 1, length(NEW.checkpoint_ns) + 1) = NEW.checkpoint_ns || '|'
    )
"""
"""What no resume asks for once a step is kept: those before it, and those of loops inside them."""
KEEP_NEWEST = f"""
    CREATE TEMP TRIGGER keep_newest AFTER INSERT ON checkpoints BEGIN
        DELETE FROM writes WHERE {OLDER};
        DELETE FROM checkpoints WHERE {OLDER};
    END
"""
LOG_PAGES = 16
"""Of 4 kB; SQLite's own 1,000 leave a log of 4 MB beside a state of a few kB."""


class Packed(JsonPlusSerializer):
    """Values as LangGraph writes them, packed and checked."""

    def __init__(self) -> None:
        super().__init__(pickle_fallback=False, allowed_msgpack_modules=None)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """(type, bytes) of a value."""
        kind, data = super().dumps_typed(obj)
        return kind + PACKED, zstandard.ZstdCompressor(write_checksum=True).compress(data)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """The value again.

        Raises:
            DataError: the bytes are not those that were written.
        """
        with reading():
            kind, packed = data
            if kind.endswith(PACKED):
                packed = zstandard.ZstdDecompressor().decompress(packed, MOST_BYTES)
            return super().loads_typed((kind.removesuffix(PACKED), packed))


UNREADABLE = (
    zstandard.ZstdError, MemoryError, ValueError, TypeError, AttributeError, LookupError,
    NotImplementedError, RecursionError,
)  # fmt: skip
"""What LangGraph raises at a row that it did not write."""


@contextmanager
def reading() -> Iterator[None]:
    """What is read in the block may be damaged.

    Raises:
        DataError: it is.
    """
    try:
        yield
    except UNREADABLE as error:
        raise DataError(
            f"A state that was kept is damaged ({_why(error):.100}); name another thread, and the run "
            "begins anew."
        ) from error


def _why(error: Exception) -> str:
    """The first line of what an error says, or of what kind it is."""
    return str(redact(str(error) or type(error).__name__)).splitlines()[0]


@asynccontextmanager
async def checkpointer(*, newest: bool = False) -> AsyncIterator[Saver]:
    """The store of the settings: the file in the cache folder, or the database.

    Args:
        newest: keep of a run only what a resume needs; without it there is its history.

    Raises:
        SetupError: it cannot be opened, read or written, or a package is missing.
    """
    told = settings().checkpoints
    place = told.get_secret_value() if told else ""
    if place.startswith(("postgresql://", "postgres://")):
        store = _postgres(place, newest)
    else:
        store = _sqlite(Path(place) if place else settings().cache_dir / FILE, newest)
    async with store as saver:
        yield saver


@asynccontextmanager
async def _sqlite(file: Path, newest: bool) -> AsyncIterator[Saver]:
    aio, client = _package("langgraph.checkpoint.sqlite.aio"), _package("aiosqlite")

    class Checked(aio.AsyncSqliteSaver):  # type: ignore[misc, name-defined]
        async def aget_tuple(self, config: Any) -> Any:
            with reading():
                return await super().aget_tuple(config)

    async with AsyncExitStack() as stack:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            connection = await stack.enter_async_context(client.connect(file, timeout=30))
            saver = Checked(connection, serde=Packed())
            await saver.setup()
            if newest:
                await connection.execute(KEEP_NEWEST)
                await connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        except (OSError, sqlite3.Error) as error:
            raise SetupError(
                f"The checkpoints {str(file)!r} cannot be opened: {_why(error)}; set "
                "MERCHGRAPH_CHECKPOINTS to a file that can be made, or to postgresql://..."
            ) from error
        try:
            yield saver
        except sqlite3.Error as error:
            raise SetupError(
                f"The checkpoints {str(file)!r} cannot be read or written: {_why(error)}; make room, "
                "or set MERCHGRAPH_CHECKPOINTS to another file."
            ) from error


@asynccontextmanager
async def _postgres(url: str, newest: bool) -> AsyncIterator[Saver]:
    aio, driver = _package("langgraph.checkpoint.postgres.aio"), _package("psycopg")

    class KeepsNewest(aio.AsyncPostgresSaver):  # type: ignore[misc, name-defined]
        async def aput(self, config: Any, *state: Any) -> Any:
            done = await super().aput(config, *state)
            await self.aprune([config["configurable"]["thread_id"]])
            return done

    kind = KeepsNewest if newest else aio.AsyncPostgresSaver
    try:
        async with kind.from_conn_string(url, serde=Packed()) as saver:
            await saver.setup()
            yield saver
    except driver.Error as error:
        raise SetupError(
            f"The database of MERCHGRAPH_CHECKPOINTS does not answer: {_why(error)}; start it, or "
            "correct its address."
        ) from error


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise SetupError(
            f"Durable runs need the package {error.name}, which is not installed; run "
            "`pip install 'merchgraph[durable]'`."
        ) from error
