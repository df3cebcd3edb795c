import asyncio
import contextvars
import os
import signal
import threading
import time

import pytest

from merchgraph.runtime.loop import run_sync

colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


async def _double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def test_a_coroutine_runs_to_its_end_from_ordinary_code() -> None:
    assert run_sync(_double(4)) == 8


async def test_it_runs_inside_a_running_loop_as_in_a_notebook() -> None:
    assert run_sync(_double(4)) == 8


def test_an_exception_comes_out_as_it_is() -> None:
    async def fail() -> None:
        raise KeyError("price")

    with pytest.raises(KeyError, match="price"):
        run_sync(fail())


def test_context_variables_travel_in() -> None:
    async def look() -> str:
        return colour.get()

    token = colour.set("red")
    try:
        assert run_sync(look()) == "red"
    finally:
        colour.reset(token)


def test_all_work_shares_one_loop_in_one_thread() -> None:
    async def where() -> tuple[object, str]:
        return asyncio.get_running_loop(), threading.current_thread().name

    assert run_sync(where()) == run_sync(where())


def test_ctrl_c_cancels_the_work() -> None:
    cancelled = threading.Event()

    async def long() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    def press() -> None:
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    # a runner in the background has the signal ignored, and its children inherit that
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=press).start()
        with pytest.raises(KeyboardInterrupt):
            run_sync(long())
    finally:
        signal.signal(signal.SIGINT, before)
    assert cancelled.wait(5)


def test_a_call_from_its_own_loop_is_refused_instead_of_waiting_for_ever() -> None:
    async def nested() -> int:
        return run_sync(_double(1))

    with pytest.raises(RuntimeError, match="await instead"):
        run_sync(nested())
