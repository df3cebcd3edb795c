"""A batch in one process: one row out per row in, errors as cells, and a restart that goes on."""

import asyncio
import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from merchgraph.runtime.batch import Job, Tally, Worker, run
from merchgraph.runtime.batch_output import MANIFEST
from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.runtime.ledger import Call
from merchgraph.runtime.scripted import Always, scripted
from tests.runtime import batch_rows
from tests.runtime.batch_job import job_of, unfinished, written

TEXTS = ["tea", "green tea", "jam", "salt", "milk", "oat milk", "soap"]


def test_one_row_comes_out_per_row(tmp_path: Path) -> None:
    job, told = job_of(TEXTS, tmp_path), list[Tally]()
    tally = asyncio.run(run(job, lambda tally: told.append(dataclasses.replace(tally))))
    assert tally == told[-1] == Tally(rows=7)
    assert [one.rows for one in told] == [1, 2, 3, 4, 5, 6, 7]
    table = written(job)
    assert table["row"].to_list() == list(range(7))
    assert table["id"].to_list() == [f"r{n}" for n in range(7)]
    assert table["text"].to_list() == [text.upper() for text in TEXTS]
    assert table["deeds"][1].to_list()[1] == {"name": "tea", "share": 1 / 9}
    assert table["notes"][2] == '{"jam": 1}'
    assert table["error"].null_count() == 7
    assert [len(pl.read_parquet(file)) for file in sorted(job.folder.path.glob("*.parquet"))] == [
        3,
        3,
        1,
    ]
    assert unfinished(job) == []


def test_a_row_that_fails_is_an_error_and_the_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = job_of(["tea", "bad", "a bug", "away", "jam"], tmp_path)
    with caplog.at_level(logging.CRITICAL):
        tally = asyncio.run(run(job))
    assert (tally.rows, tally.failed) == (5, 3)
    table = written(job)
    assert table["error"].to_list() == [
        None, "DataError: The text 'bad' is bad.", "KeyError: 'a bug'",
        "EndpointError: The server is away; start it.", None,
    ]  # fmt: skip
    assert table["text"].to_list() == ["TEA", None, None, None, "JAM"]
    good = job_of(["tea"], _made(tmp_path / "good"))
    asyncio.run(run(good))
    assert table.schema == written(good).schema


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def test_usage_stands_in_every_row_also_where_it_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted({"echo": Always("echo of tea")}) as model:
        job = job_of(["tea", "jam"], tmp_path, model=str(model))
        tally = asyncio.run(run(job))
    used = [row["calls"] for row in written(job)["usage"]]
    assert used == [1, 0]  # the other's error carries no calls
    assert (tally.calls, tally.failed) == (1, 1)
    assert (tally.prompt, tally.completion) == (0, 3)

    async def fails(self: Any, row: Any) -> None:
        error = DataError("no")
        error.calls = [Call(agent="a", model="m", prompt_tokens=7)]
        raise error

    monkeypatch.setattr(batch_rows.Rows, "__call__", fails)
    other = job_of(["tea"], _made(tmp_path / "b"))
    assert asyncio.run(run(other)).prompt == 7
    assert written(other)["usage"][0]["prompt_tokens"] == 7


def test_a_restart_runs_only_what_is_missing_or_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, asked = job_of([*TEXTS, "away"], tmp_path), list[str]()
    asyncio.run(run(job))
    first, second = sorted(job.folder.path.glob("*.parquet"))[:2]
    before = first.read_bytes()
    second.unlink()
    answer = batch_rows.Rows.__call__

    async def noted(self: batch_rows.Rows, row: dict[str, Any]) -> batch_rows.Result:
        asked.append(row["id"])
        return await answer(self, row | {"text": row["text"].replace("away", "there")})

    monkeypatch.setattr(batch_rows.Rows, "__call__", noted)
    tally = asyncio.run(run(job, resume=True))
    assert sorted(asked) == ["r3", "r4", "r5", "r7"]
    assert (tally.rows, tally.old, tally.failed) == (8, 4, 0)
    assert first.read_bytes() == before
    assert written(job)["text"].to_list() == [*(text.upper() for text in TEXTS), "THERE"]
    asked.clear()
    assert asyncio.run(run(job, resume=True)).old == 8
    assert asked == []


def test_a_journal_counts_up_to_where_it_was_cut(tmp_path: Path) -> None:
    job = job_of(TEXTS, tmp_path, size=7)
    asyncio.run(run(job))
    shard = next(job.folder.path.glob("*.parquet"))
    rows = shard_rows(job)
    shard.unlink()
    journal = job.folder.path / ".rows-000000000.jsonl"
    lines = [json.dumps(row).encode() + b"\n" for row in rows]
    journal.write_bytes(
        b"".join([lines[0], b"{torn\n", lines[2], b"[]\n", lines[4], lines[5][:-9]])
    )
    half = job.folder.path / ".rows-000000000.parquet.abc"
    half.write_bytes(b"half")
    told: list[int] = []
    tally = asyncio.run(run(job, lambda tally: told.append(tally.old), resume=True))
    assert (tally.rows, tally.old, told[0]) == (7, 3, 3)
    assert shard_rows(job) == rows
    assert unfinished(job) == []


def shard_rows(job: Job) -> list[dict[str, Any]]:
    return written(job).to_dicts()


def test_text_that_is_no_utf8_and_numbers_that_are_none_come_out(tmp_path: Path) -> None:
    job = job_of(["tea \ud800", "tea"], tmp_path)
    asyncio.run(run(job))
    assert written(job)["text"].to_list() == ["TEA ?", "TEA"]
    assert written(job)["error"].null_count() == 2


def test_many_rows_that_fail_alike_stop_the_batch(tmp_path: Path) -> None:
    job = job_of(["tea"] * 9 + ["away"] * 60, tmp_path, size=10, rows=4)
    with pytest.raises(
        SetupError, match="20 rows one after the other failed alike: The server is away"
    ):
        asyncio.run(run(job))
    assert len(written(job)) in (10, 20)
    assert all(name.startswith(".rows") for name in unfinished(job))


def test_bad_rows_stop_nothing_however_many(tmp_path: Path) -> None:
    job = job_of(["bad"] * 60, tmp_path, size=10, rows=4)
    assert asyncio.run(run(job)).failed == 60


Change = Callable[[Path], Job]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: job_of([*TEXTS, "more"], folder), "input.(sha256|rows) is .* there and"),
        (lambda folder: job_of(TEXTS, folder, size=2), "shard_size is 3 there and 2 here"),
        (lambda folder: job_of(TEXTS, folder, delay_s=0.1), "given.delay_s is None there and 0.1"),
    ],
)  # fmt: skip
def test_another_batch_is_refused(tmp_path: Path, change: Change, told: str) -> None:
    asyncio.run(run(job_of(TEXTS, tmp_path)))
    with pytest.raises(SetupError, match=f"holds another batch: {told}"):
        asyncio.run(run(change(tmp_path), resume=True))


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    job = job_of(TEXTS, tmp_path)
    asyncio.run(run(job))
    with pytest.raises(SetupError, match="holds a batch; --resume goes on with it"):
        asyncio.run(run(job))
    with (
        job.folder.opened(job.manifest, resume=True),
        pytest.raises(SetupError, match="Another batch writes"),
    ):
        asyncio.run(run(job, resume=True))
    (job.folder.path / MANIFEST).write_bytes(b"{")
    with pytest.raises(DataError, match="cannot be read"):
        asyncio.run(run(job, resume=True))
    (job.folder.path / MANIFEST).unlink()
    with pytest.raises(SetupError, match=r"holds 'rows-000000000.parquet' and no batch"):
        asyncio.run(run(job, resume=True))
    blocked = dataclasses.replace(
        job, folder=dataclasses.replace(job.folder, path=tmp_path / "in.jsonl")
    )
    with pytest.raises(SetupError, match="cannot be written: File exists"):
        asyncio.run(run(blocked))


def test_a_shard_that_was_damaged_is_told(tmp_path: Path) -> None:
    job = job_of(TEXTS, tmp_path)
    asyncio.run(run(job))
    first, second = sorted(job.folder.path.glob("*.parquet"))[:2]
    first.write_bytes(second.read_bytes())
    with pytest.raises(DataError, match="holds other rows than 0 to 2; delete it"):
        asyncio.run(run(job, resume=True))
    first.write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"cannot be read: .*; delete it"):
        asyncio.run(run(job, resume=True))
    first.unlink()
    assert asyncio.run(run(job, resume=True)).rows == 7


def test_an_input_that_changes_meanwhile_is_told(tmp_path: Path) -> None:
    job = job_of(TEXTS, tmp_path)
    job.table.path.write_bytes(job.table.path.read_bytes()[: job.table.starts[1]])
    with pytest.raises(DataError, match="changed while it was read"):
        asyncio.run(run(job))


async def test_rows_of_the_next_shard_fill_the_slots_of_a_slow_one(tmp_path: Path) -> None:
    job = job_of([f"t{n}" for n in range(40)], tmp_path, size=5, rows=8, delay_s=0.02)
    worker, most, now = Worker(job), 0, 0
    answer = worker.answer

    async def counted(row: dict[str, Any]) -> Any:
        nonlocal most, now
        now += 1
        most = max(most, now)
        try:
            return await answer(row)
        finally:
            now -= 1

    counted.kind = answer.kind  # type: ignore[attr-defined]
    worker.answer = counted  # type: ignore[assignment]
    job.folder.path.mkdir()
    ends = [await worker.shard(number, lambda tally: None) for number in range(8)]
    assert not ends[-1].done()
    await asyncio.gather(*ends)
    assert most == 8


async def test_a_batch_that_is_cancelled_keeps_what_was_done(tmp_path: Path) -> None:
    job = job_of([f"t{n}" for n in range(20)], tmp_path, size=4, rows=1, delay_s=0.02)
    stop = asyncio.Event()
    running = asyncio.create_task(run(job, lambda tally: stop.set() if tally.rows == 6 else None))
    await stop.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(written(job)) == 4
    assert unfinished(job) == [".rows-000000004.jsonl"]
    assert (await run(job, resume=True)).old >= 6
    assert written(job)["row"].to_list() == list(range(20))
