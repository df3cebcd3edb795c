"""What batches read and keep, and what threads keep: more readers."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest

from merchgraph.graphs import voice_repair
from merchgraph.runtime.batch import run
from merchgraph.runtime.batch_input import read_input
from merchgraph.runtime.batch_output import MANIFEST
from merchgraph.runtime.durable import Waits, durable
from merchgraph.runtime.settings import use_settings
from tests.fuzz.readers import Make, Reader
from tests.graphs.voice_exchange import turn
from tests.runtime.batch_job import job_of, written

ROWS = [{"id": "a1", "user": "ann", "k": 3}, {"id": "a2", "user": "bob", "k": 4},
        {"id": "a3", "user": "cy", "k": 5}]  # fmt: skip
TEXTS = ["tea", "jam", "salt", "milk"]
JOURNAL = "out/.rows-000000002.jsonl"


def _rows(file: Path) -> None:
    frame = pl.DataFrame(ROWS)
    if file.suffix == ".parquet":
        frame.write_parquet(file)
    elif file.suffix == ".csv":
        frame.write_csv(file)
    else:
        frame.write_ndjson(file)


def _input(file: str) -> Reader:
    """A batch's input, read to its last row."""

    def read(folder: Path) -> object:
        table = read_input(folder / file, 2)
        rows = [row for number in range(table.pieces) for row in table.piece(number)]
        assert len(rows) == table.count
        return rows

    return Reader(f"rows of a batch, {file}", file, lambda folder: _rows(folder / file), read)


def files_of(make: Make) -> Make:
    """The same files, made once."""

    @cache
    def made() -> dict[str, bytes]:
        with TemporaryDirectory() as name:
            make(folder := Path(name))
            files = (file for file in folder.rglob("*") if file.is_file())
            return {str(file.relative_to(folder)): file.read_bytes() for file in files}

    def write(folder: Path) -> None:
        for name, data in made().items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)

    return write


def _half_done(folder: Path) -> None:
    """A batch of two shards: one is finished, of the other one row."""

    class Cut(RuntimeError):
        """Stands for a kill."""

    def cut(tally: object) -> None:
        if getattr(tally, "rows", 0) == 3:
            raise Cut

    with pytest.raises(Cut):
        asyncio.run(run(job_of(TEXTS, folder, size=2, rows=1), cut))


def _gone_on(folder: Path) -> object:
    job = job_of(TEXTS, folder, size=2, rows=1)
    asyncio.run(run(job, resume=True))
    table = written(job)
    assert table["row"].to_list() == [0, 1, 2, 3]
    return table


REQUEST = voice_repair.Request(turns=[turn(0.9)])
CONTEXT = voice_repair.Context(model="none")


def _waiting(folder: Path) -> None:
    with (
        use_settings(checkpoints=str(folder / "x.sqlite")), durable("a"),
        pytest.raises(Waits),
    ):  # fmt: skip
        voice_repair.run(REQUEST, CONTEXT)


def _answered(folder: Path) -> object:
    with use_settings(checkpoints=str(folder / "x.sqlite")), durable("a", answer=""):
        return voice_repair.run(REQUEST, CONTEXT)


BATCH, THREAD = files_of(_half_done), files_of(_waiting)
KEPT = [
    *map(_input, ("rows.parquet", "rows.csv", "rows.ndjson")),
    Reader("a batch's manifest", f"out/{MANIFEST}", BATCH, _gone_on),
    Reader("a batch's journal", JOURNAL, BATCH, _gone_on, kind=".ndjson"),
    Reader("a batch's shard", "out/rows-000000000.parquet", BATCH, _gone_on),
    Reader("a thread", "x.sqlite", THREAD, _answered),
]
