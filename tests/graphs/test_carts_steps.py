"""How many model steps a run of CARTS has in sequence: waves of requests that wait for each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from merchgraph.graphs import carts
from merchgraph.graphs.carts import Context, Request
from merchgraph.runtime import scripted as double
from merchgraph.runtime.scripted import Always, scripted
from tests.graphs.carts_shop import corner_shop, script, titles_of, vectors

IDLE = 500  # turns of the loop without a new request: whoever can ask has asked


class Threads(ThreadPoolExecutor):
    """The loop's threads, which tell whether any of them is at work."""

    def __init__(self) -> None:
        super().__init__(2)
        self.open: set[Future[Any]] = set()

    def submit(self, work: Callable[..., Any], /, *given: Any, **named: Any) -> Future[Any]:
        future = super().submit(work, *given, **named)
        self.open.add(future)
        future.add_done_callback(self.open.discard)
        return future


class Gate:
    """Holds requests until no further one can come; those let go together are one wave."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        self.waves: list[int] = []
        self._waiting: list[asyncio.Event] = []

    async def sleep(self, _: float) -> None:
        """What the scripted model does before it answers."""
        mine = asyncio.Event()
        self._waiting.append(mine)
        await mine.wait()

    async def watch(self) -> None:
        """Let waves go, until cancelled."""
        quiet, seen = 0, 0
        while True:
            await asyncio.sleep(0)
            still = len(self._waiting) == seen and not self.threads.open
            quiet = quiet + 1 if still else 0
            seen = len(self._waiting)
            if seen and quiet > IDLE:
                self.waves.append(seen)
                for waiting in self._waiting:
                    waiting.set()
                self._waiting, seen, quiet = [], 0, 0


async def waves(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> tuple[list[int], carts.Result]:
    """Requests per wave of a run on 20 items whose titles never pass."""
    more = {f"x{n}": f"Tea number{chr(97 + n)}" for n in range(20)}
    drafts = [f"Tea Number{chr(97 + n)} for You" for n in range(10)]
    rewrites = iter(f"Tea Number{chr(97 + n % 26)}, Number{chr(97 + n // 26)}" for n in range(999))
    replies = {
        **script(),
        "draft": Always(titles_of(drafts)),
        "refine": Always(lambda _: f'{{"title": "{next(rewrites)}"}}'),
        "relevance": Always({"No": 1.0}),
    }
    monkeypatch.setattr(carts, "shop", lambda name: corner_shop(more))
    monkeypatch.setattr(carts, "_embed", vectors)
    gate = Gate(Threads())
    asyncio.get_running_loop().set_default_executor(gate.threads)
    monkeypatch.setattr(double, "asyncio", SimpleNamespace(sleep=gate.sleep))
    with scripted(replies, delay_s=1, cap=10_000) as model:
        watching = asyncio.create_task(gate.watch())
        context = Context(model=model, patience=9, **settings)
        result = await carts.arun(Request(items=list(more)), context)
        watching.cancel()
    return gate.waves, result


async def test_20_items_need_8_steps_at_5_drafts_and_2_rounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, result = await waves(monkeypatch, drafts=5, rounds=2)
    assert found == [20, 1, 100, 5, 100, 5, 100, 3]
    assert sum(found) == result.usage.calls
    assert {len(candidate.rounds) for candidate in result.candidates} == {3}


@pytest.mark.parametrize(("drafts", "rounds"), [(1, 0), (2, 1), (10, 3)])
async def test_steps_grow_with_the_rounds_alone(
    monkeypatch: pytest.MonkeyPatch, drafts: int, rounds: int
) -> None:
    found, _ = await waves(monkeypatch, drafts=drafts, rounds=rounds)
    assert len(found) == 1 + 1 + (1 + 2 * rounds) + (drafts > 1)
