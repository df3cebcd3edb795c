"""Batches: how much of an endpoint's 50 ms at 64 requests at once is kept, and memory over 100,000 rows.

What is ideal is the endpoint's: calls x 50 ms / 64. Rows are more than that, so that a call waits
wherever one ends. ARAG keeps less: its prompts of a user are written in one go, 28 ms of a core that
answers wait for. Start-up is apart: a row is answered before, and Ray is
timed from its first row to its last shard.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from merchgraph.graphs.rows import FACTORY as GRAPH_ROWS
from merchgraph.runtime.batch import Job, Tally, run
from merchgraph.runtime.batch_input import read_input
from merchgraph.runtime.batch_output import Folder
from merchgraph.runtime.batch_ray import run_ray
from merchgraph.runtime.scripted import Always, ScriptedModel, scripted
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.data.tables import Shop
from tests.bench.test_bench_arag import CALLS, REPLIES, SLATE, K, store
from tests.runtime.batch_job import job_of
from tests.runtime.batch_rows import said

__all__ = ["store"]

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]

DELAY_S, AT_ONCE, ROWS_AT_ONCE = 0.05, 64, 96
KEPT, KEPT_OF_ARAG = 0.9, 0.7
ROWS, SMALL = 100_000, 20_000
GROWTH_MB = 20


@pytest.fixture
def say() -> Console:
    return Console(stderr=True)


def ideal(calls: int, at_once: int = AT_ONCE) -> float:
    return calls * DELAY_S / at_once


def timed(job: Job, model: ScriptedModel) -> tuple[Tally, float, float]:
    """The tally, seconds and seconds of CPU; the script forgets what it was asked, as a server does."""

    async def first() -> None:
        await job.answering()(job.table.piece(0)[0])

    asyncio.run(first())
    began, worked = time.perf_counter(), time.process_time()
    tally = asyncio.run(run(job, lambda tally: model.script.asked.clear()))
    return tally, time.perf_counter() - began, time.process_time() - worked


def test_rows_of_one_call_keep_the_endpoint_busy(tmp_path: Path, say: Console) -> None:
    texts = [f"tea {n}" for n in range(6000)]
    with scripted({"echo": Always(said)}, delay_s=DELAY_S, cap=AT_ONCE) as model:
        job = job_of(texts, tmp_path, size=1000, rows=ROWS_AT_ONCE, model=str(model))
        tally, seconds, worked = timed(job, model)
    kept = ideal(tally.calls) / seconds
    say.print(
        f"one call a row: {kept:.1%} of ideal, {1000 * worked / tally.calls:.2f} ms of CPU a call"
    )
    assert (tally.calls, tally.failed) == (6000, 0)
    assert kept >= KEPT


def test_arag_keeps_the_endpoint_busy(tmp_path: Path, say: Console, store: Shop) -> None:
    file, rows = tmp_path / "users.jsonl", 300
    lines = [{"id": n, "user": "ann", "candidates": SLATE} for n in range(rows)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    table = read_input(file, 50)
    with scripted(REPLIES, delay_s=DELAY_S, cap=AT_ONCE) as model:
        given = {"graph": "arag", "context": {"model": str(model), "k": K}}
        job = Job(GRAPH_ROWS, given, table, Folder(tmp_path / "out", 50, rows), 32)
        tally, seconds, worked = timed(job, model)
    kept = ideal(tally.calls) / seconds
    say.print(f"ARAG: {kept:.1%} of ideal, {1000 * worked / rows:.1f} ms of CPU a user")
    assert (tally.calls, tally.failed) == (CALLS * rows, 0)
    assert kept >= KEPT_OF_ARAG


def test_memory_is_flat_over_a_hundred_thousand_rows(tmp_path: Path, say: Console) -> None:
    file, seen = tmp_path / "rows.parquet", dict[int, float]()
    ids = pl.int_range(ROWS, eager=True)
    pl.DataFrame({"id": ids, "text": pl.Series([f"green tea {n}" for n in ids])}).write_parquet(
        file
    )
    table = read_input(file, 1000)
    job = Job(
        "tests.runtime.batch_rows:made", {}, table, Folder(tmp_path / "out", 1000, ROWS), AT_ONCE
    )

    def look(tally: Tally) -> None:
        if tally.rows % SMALL == 0:
            seen[tally.rows] = resident_mb()

    began = time.perf_counter()
    tally = asyncio.run(run(job, look))
    seconds = time.perf_counter() - began
    say.print(f"{ROWS / seconds:,.0f} rows/s; resident MB by rows: {seen}")
    assert tally.rows == ROWS
    assert seen[ROWS] - seen[SMALL] < GROWTH_MB


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_two_workers_of_ray_keep_it_busy_too(
    tmp_path: Path, say: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    texts, pids = [f"tea {n}" for n in range(24_000)], tmp_path / "pids"
    job = job_of(
        texts, tmp_path, size=1000, rows=AT_ONCE // 2, delay_s=DELAY_S, pids=str(pids)
    )  # fmt: skip
    asked = time.time()
    with use_settings(log_level="error"):
        tally = run_ray(job)
    began = min(float(line.split()[1]) for line in pids.read_text().splitlines())
    ended = max(file.stat().st_mtime for file in job.folder.path.glob("*.parquet"))
    kept = ideal(len(texts)) / (ended - began)
    say.print(f"Ray: {kept:.1%} of ideal, after {began - asked:.0f} s to its first row")
    assert tally.rows == len(texts)
    assert kept >= KEPT
