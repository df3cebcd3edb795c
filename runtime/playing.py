"""The tape of the run that is running now, for everything in a run that could come out otherwise.

    offers = await on_tape("retrieve", work, list[Offer], request=request, k=20)
    since, dice = now(), rng()

In a live run these just do it.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter

from merchgraph.runtime.tape import Tape
from merchgraph.runtime.trace import JsonObject
from merchgraph.runtime.wire import as_plain, hide

T = TypeVar("T")

_tape: ContextVar[Tape | None] = ContextVar("merchgraph_tape", default=None)


def playing() -> Tape | None:
    """The tape of the run that is running now, None in a live run."""
    return _tape.get()


@contextmanager
def use_tape(tape: Tape | None) -> Iterator[None]:
    """Let what runs inside the block ask this tape; None is live."""
    token = _tape.set(tape)
    try:
        yield
    finally:
        _tape.reset(token)


async def on_tape(name: str, work: Callable[[], T], kind: Any, **args: Any) -> T:
    """A tool's answer, from the tape or else from the tool, which runs in a worker thread.

    What a run reads from the world outside (a log, an index, a server) goes through here, so that its
    replay needs none of it.

    Args:
        name: the tool's name.
        work: works the answer out; it may block.
        kind: the answer's type; it comes back as that.
        args: everything that the answer depends on, as JSON or pydantic objects.

    Raises:
        TapeError: a replay asks what was not recorded.
    """
    tape = playing()
    if tape is None:
        return await asyncio.to_thread(work)
    asked: JsonObject = hide(as_plain(args))

    def alone() -> T:
        with use_tape(None):  # what it asks in turn is a part of its answer, and in no replay asked
            return work()

    told: T = TypeAdapter(kind).validate_python(await tape.tool(name, asked, alone))
    return told


def now() -> datetime:
    """The time (UTC); in a replay that of the recording."""

    def clock() -> JsonObject:
        return {"time": datetime.now(UTC).isoformat()}

    tape = playing()
    return datetime.fromisoformat((tape.mark("clock", clock) if tape else clock())["time"])


def rng() -> random.Random:
    """A source of random numbers; in a replay the numbers of the recording."""

    def seed() -> JsonObject:
        return {"seed": secrets.randbits(48)}

    tape = playing()
    return random.Random((tape.mark("seed", seed) if tape else seed())["seed"])
