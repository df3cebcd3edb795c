"""The tape's own time: the same ARAG runs live, recorded and replayed, side by side, and bytes a call.

The model answers at once and reports as many log-probabilities as the embedded engine does, so that the
difference of live and recorded is what recording costs. What it is a share of is a call of the
embedded engine: 0.74 s, the mean of 2,155 calls of an evaluation on two busy cores.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from rich.console import Console

from merchgraph.agents.nli import Rationale
from merchgraph.graphs import arag
from merchgraph.graphs.arag import Context, Request
from merchgraph.runtime.models import EMBEDDED_TOP_LOGPROBS
from merchgraph.runtime.recorder import Recorder
from merchgraph.runtime.recording import recorded, replayed
from merchgraph.runtime.scripted import Always, Answer, Replies, ScriptedModel, scripted
from merchgraph.runtime.trace_file import read
from tests.bench.test_bench_arag import CALLS, REPLIES, SLATE, K
from tests.bench.test_bench_arag import store as store
from tests.runtime.made_traces import made, written

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300), pytest.mark.usefixtures("store")]

RUNS, ROUNDS = 10, 5
EMBEDDED_CALL_MS = 740.0
QUICK_CALL_MS = 100.0
"""The quickest calls of the embedded engine, one token after a cached prefix on an idle core."""
TAIL = {f"token {n}": 0.1 / EMBEDDED_TOP_LOGPROBS for n in range(EMBEDDED_TOP_LOGPROBS)}
Work = Callable[[], Coroutine[Any, Any, object]]


def judge(messages: Sequence[BaseMessage]) -> Answer:
    if len(messages) == 2:
        return {"Yes": 0.5, "Maybe": 0.3, "No": 0.1, **TAIL}
    return Rationale(reason="goes with what is in the basket")


FULL: Replies = {**REPLIES, "nli": Always(judge)}


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with scripted(FULL, name="tape") as model:
        yield model


async def runs(context: Context) -> None:
    """Some runs whose slates differ in their order, as the prompts do."""
    for turn in range(RUNS):
        slate = SLATE[turn:] + SLATE[:turn]
        await arag.arun(Request(user="ann", candidates=slate), context)


def ms(work: Callable[[], None]) -> float:
    started = time.process_time()  # a neighbour's load is not ours
    work()
    return 1000 * (time.process_time() - started)


def test_recording_and_replaying_beside_a_live_run(model: ScriptedModel, tmp_path: Path) -> None:
    context = Context(model=model, k=K)
    files = [tmp_path / f"{n}.jsonl.zst" for n in range(ROUNDS + 1)]
    with asyncio.Runner() as runner:

        def live() -> None:
            runner.run(runs(context), context=copy_context())  # a runner keeps its first context

        def record() -> None:
            files.append(files.pop(0))  # each into a file of its own
            with recorded(files[-1]):
                live()

        def replay() -> None:
            with replayed(files[-1]):
                live()

        ways = (live, record, replay)
        for way in ways:
            way()
        rounds = [[ms(way) for way in ways] for _ in range(ROUNDS)]
    alone, taped, played = (min(times) for times in zip(*rounds, strict=True))
    calls = RUNS * CALLS
    cost = (taped - alone) / calls
    size = files[-1].stat().st_size
    Console().print(
        f"\n{RUNS} runs, {calls} calls, ms of CPU a run: live {alone / RUNS:.1f}, "
        f"recorded {taped / RUNS:.1f}, replayed {played / RUNS:.1f}\n"
        f"recording costs {cost:.2f} ms a call: {cost / EMBEDDED_CALL_MS:.2%} of a mean call of the "
        f"embedded engine, {cost / QUICK_CALL_MS:.1%} of its quickest\n"
        f"{size / calls:.0f} bytes a call; a replay is {EMBEDDED_CALL_MS * calls / played:,.0f} "
        "times as quick as the engine"
    )
    assert sum(len(run.calls) for run in read(files[-1]).runs.values()) == calls
    assert cost < 0.03 * QUICK_CALL_MS
    assert size < 2000 * calls
    assert played < EMBEDDED_CALL_MS * calls / 50


@pytest.mark.parametrize("cases", [25, 250])
def test_time_to_open_a_file_grows_with_its_runs_and_no_faster(cases: int, tmp_path: Path) -> None:
    systems = ("popularity", "ARAG", *(f"ARAG {n}" for n in range(6)))
    trace = made(cases, 20, systems)
    header = trace.headers[0] = trace.headers[0].model_copy(update={"prompts": {}})
    calls = sum(len(run.calls) for run in trace.runs.values())
    path = written(trace, tmp_path / "x.jsonl.zst")
    reading = ms(lambda: read(path).runs.clear())
    opening = ms(lambda: Recorder(path, params=header.params, share=True).stop())
    Console().print(
        f"\n{len(trace.runs):,} runs, {calls:,} calls, {os.path.getsize(path) / 1e6:.1f} MB: "
        f"read in {reading / 1000:.2f} s, opened to record on in {opening / 1000:.2f} s, "
        f"{reading / calls * 1000:.0f} us a call"
    )
    assert math.isfinite(reading)
    assert reading < 0.5 * calls
    assert opening < 0.8 * calls
