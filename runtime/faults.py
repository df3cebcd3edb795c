"""Failures on a tape: a request that failed while recording fails the same way in the replay."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from merchgraph.runtime import errors
from merchgraph.runtime.clock import out_of_time, queueing
from merchgraph.runtime.errors import MerchgraphError, TapeError, ToolError
from merchgraph.runtime.trace import Fault
from merchgraph.runtime.wire import hide

CANCELLED = "cancelled"
UNREAD = Fault(type="unread")
ABANDONED = Fault(type="abandoned")
"""The request was given up from outside, as happens where a node beside it fails."""
PATIENCE_S = 10.0
"""How long a replay waits for somebody to give up what was given up then."""


class Stopped(TimeoutError):
    """The request that a node's time limit stopped while recording; the node treats it as that."""


def as_fault(error: BaseException) -> Fault:
    """What the tape keeps of a failure."""
    if isinstance(error, asyncio.CancelledError):
        return Fault(type=CANCELLED) if out_of_time() else ABANDONED
    again = isinstance(error, ToolError) and error.retryable
    return Fault(type=type(error).__name__, message=hide(str(error)), retryable=again)


def as_error(fault: Fault) -> Exception:
    """The failure again, to be raised."""
    if fault.type == CANCELLED:
        return Stopped("stopped while it was recorded")
    if fault == ABANDONED:
        return TapeError(
            f"This request was given up when it was recorded, and for {PATIENCE_S:g} s nobody has given "
            "it up now; its graph has changed since, so record again."
        )
    if fault == UNREAD:
        return TapeError(
            "Only the beginning of this reply was read when it was recorded; record again."
        )
    if fault.type == ToolError.__name__:
        return ToolError(fault.message, retryable=fault.retryable)
    kind = getattr(errors, fault.type, None)
    if not (isinstance(kind, type) and issubclass(kind, MerchgraphError)):
        return TapeError(
            f"The tape holds a failure of the unknown kind {fault.type!r}; record again."
        )
    made: Exception = kind(fault.message)
    return made


async def fail_again(fault: Fault) -> NoReturn:
    """Raise the failure again; what was given up from outside waits for just that.

    Raises:
        TapeError: nobody gives it up.
    """
    if fault == ABANDONED:
        with queueing():  # a node's limit did not stop it then
            await asyncio.sleep(PATIENCE_S)
    raise as_error(fault)
