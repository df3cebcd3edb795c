"""Failures on a tape: a request that failed while recording fails the same way in the replay."""

from __future__ import annotations

import asyncio

from merchgraph.runtime import errors
from merchgraph.runtime.errors import MerchgraphError, TapeError, ToolError
from merchgraph.runtime.trace import Fault
from merchgraph.runtime.wire import hide

CANCELLED = "cancelled"
UNREAD = Fault(type="unread")


class Stopped(TimeoutError):
    """The request that a node's time limit stopped while recording; the node treats it as that."""


def as_fault(error: BaseException) -> Fault:
    """What the tape keeps of a failure."""
    if isinstance(error, asyncio.CancelledError):
        return Fault(type=CANCELLED)
    again = isinstance(error, ToolError) and error.retryable
    return Fault(type=type(error).__name__, message=hide(str(error)), retryable=again)


def as_error(fault: Fault) -> Exception:
    """The failure again, to be raised."""
    if fault.type == CANCELLED:
        return Stopped("stopped while it was recorded")
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
