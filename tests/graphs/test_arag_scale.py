"""How deep a run's chain of calls is, and how runs share one endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from langchain_core.messages import BaseMessage

from merchgraph.graphs import arag
from merchgraph.graphs.arag import Context, Request
from merchgraph.runtime import scripted as double
from merchgraph.runtime.errors import EndpointError, SetupError
from merchgraph.runtime.scripted import Always, Answer, Replies, scripted
from merchgraph.tools.data.tables import Events, Items, Shop

pytestmark = pytest.mark.usefixtures("corner")
Scripting = Callable[..., Replies]
LATENCIES = 6
QUIET = 100


@dataclass
class Rounds:
    """A clock that counts latencies: all requests in flight end together, once no more arrive.

    A round is over after `QUIET` turns of the event loop in which nobody new fell asleep.
    """

    sleepers: list[int] = field(default_factory=list)
    _over: asyncio.Event | None = None
    _closing: asyncio.Task[None] | None = None

    async def sleep(self, _: float) -> None:
        if self._over is None:
            self._over = asyncio.Event()
            self.sleepers.append(0)
            self._closing = asyncio.create_task(self._close(self._over))
        self.sleepers[-1] += 1
        await self._over.wait()

    async def _close(self, over: asyncio.Event) -> None:
        quiet, seen = 0, 0
        while quiet < QUIET:
            await asyncio.sleep(0)
            quiet = quiet + 1 if seen == self.sleepers[-1] else 0
            seen = self.sleepers[-1]
        self._over = None
        over.set()


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Rounds:
    """The scripted model's clock."""
    clock = Rounds()
    monkeypatch.setattr(double, "asyncio", SimpleNamespace(sleep=clock.sleep))
    return clock


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, corner: Shop) -> Shop:
    """A shop of 30 items."""
    items = [f"i{n}" for n in range(30)]
    store = Shop("store", Items(pl.DataFrame({"item": items, "title": items})),
                 Events(corner.events.frame.with_columns(item=pl.lit("i29"))))  # fmt: skip
    monkeypatch.setattr(arag, "shop", lambda name: store)
    return store


TWENTY = [f"i{n}" for n in range(20)]


@pytest.mark.usefixtures("store")
async def test_twenty_candidates_take_six_latencies_at_most(
    script: Scripting, rounds: Rounds
) -> None:
    with scripted(script(), delay_s=0.1) as model:
        result = await arag.arun(Request(user="ann", candidates=TWENTY), Context(model=model))
    assert result.usage.calls == 43
    assert len(rounds.sleepers) <= LATENCIES
    # judge and understand, give reasons, summarise, rank
    assert rounds.sleepers == [21, 20, 1, 1]


@pytest.mark.usefixtures("store")
async def test_a_repaired_reply_costs_one_latency_more(script: Scripting, rounds: Rounds) -> None:
    replies = script(rank=["no", '{"ranking": ["1", "2", "3", "4", "5"]}'])
    with scripted(replies, delay_s=0.1) as model:
        await arag.arun(Request(user="ann", candidates=TWENTY), Context(model=model))
    assert rounds.sleepers == [21, 20, 1, 1, 1]


async def test_eight_runs_at_once_stay_under_the_endpoints_cap(
    script: Scripting, rounds: Rounds
) -> None:
    with scripted(script(), delay_s=0.1, cap=4) as model:
        context = Context(model=model, k=2)
        runs = [arag.arun(Request(user=user), context) for user in ["ann", "bob"] * 4]
        results = await asyncio.gather(*runs)
    assert model.limiter.peak == max(rounds.sleepers) == 4
    assert model.limiter.in_flight == 0
    assert [result.user for result in results] == ["ann", "bob"] * 4
    assert len({tuple(row.item for row in result.ranking) for result in results}) == 2


async def test_one_shoppers_failure_leaves_the_others_whole(script: Scripting) -> None:
    every = script()

    def unless_bob(agent: str) -> Always:
        def answer(messages: Sequence[BaseMessage]) -> Answer:
            if "Mixed nuts" in str(messages[1].content).split("</shopper>")[0]:
                return EndpointError("gone")
            usual: Any = every[agent]
            found: Answer = usual.answer(messages) if callable(usual.answer) else usual.answer
            return found

        return Always(answer)

    with scripted({agent: unless_bob(agent) for agent in every}, cap=4) as model:
        context = Context(model=model, k=2)
        users = ["ann", "bob", "ann", "zoe", "ann"]
        runs = [arag.arun(Request(user=user), context) for user in users]
        results = await asyncio.gather(*runs, return_exceptions=True)
    whole = [result for result in results if isinstance(result, arag.Result)]
    assert [result.user for result in whole] == ["ann"] * 3
    assert whole[0].ranking == whole[1].ranking == whole[2].ranking
    assert not any(result.errors for result in whole)
    assert isinstance(results[1], SetupError)
    assert "gone" in str(results[1])
    assert isinstance(results[3], SetupError)
    assert "'zoe'" in str(results[3])
