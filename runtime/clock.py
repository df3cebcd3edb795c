"""The time limit of a node, which stands still while the node queues for a model.

All branches of a fan-out start at once, and most of them wait for a slot of the endpoint first. That
wait says nothing about the branch: counted, a long queue alone would end it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Clock:
    """A running `asyncio.timeout`, and how many of the node's requests are queueing now."""

    timeout: asyncio.Timeout
    queueing: int = 0
    left_s: float = 0.0


_clock: ContextVar[Clock | None] = ContextVar("merchgraph_clock", default=None)


@contextmanager
def timed(timeout: asyncio.Timeout) -> Iterator[None]:
    """Let what runs inside the block stop this limit while it queues."""
    token = _clock.set(Clock(timeout))
    try:
        yield
    finally:
        _clock.reset(token)


def out_of_time() -> bool:
    """Whether it is its limit that stops the surrounding node, and nobody else."""
    clock = _clock.get()
    return clock is not None and clock.timeout.expired()


@contextmanager
def queueing() -> Iterator[None]:
    """The limit of the surrounding node, if there is one, stands still inside the block."""
    clock = _clock.get()
    if clock is None:
        yield
        return
    now = asyncio.get_running_loop().time
    clock.queueing += 1
    if clock.queueing == 1:
        clock.left_s = (clock.timeout.when() or now()) - now()
        clock.timeout.reschedule(None)
    try:
        yield
    finally:
        clock.queueing -= 1
        if clock.queueing == 0 and not clock.timeout.expired():
            clock.timeout.reschedule(now() + clock.left_s)
