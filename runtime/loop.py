"""One background event loop per process, for the synchronous fronts of async graphs.

`asyncio.run` fails inside a notebook, whose loop is running already, and throws the HTTP connections
away after each call. A loop in a thread of its own does neither.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")

THREAD = "merchgraph-loop"
WAKE_S = 0.2


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name=THREAD, daemon=True).start()
    return loop


def run_sync(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from ordinary code, a notebook included; Ctrl-C cancels it.

    Raises:
        RuntimeError: called by code that this loop runs itself, which would wait for ever.
    """
    if threading.current_thread().name == THREAD:
        work.close()
        raise RuntimeError("run_sync was called inside a coroutine of its own loop; await instead")
    future: Future[T] = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        # in steps: a wait without end is not woken by Ctrl-C once polars has run its threads
        while not wait([future], timeout=WAKE_S).done:
            pass
        return future.result()
    except KeyboardInterrupt:
        future.cancel()
        raise
