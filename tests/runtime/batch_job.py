"""A small batch job: its rows, and what is in its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from merchgraph.runtime.batch import Job
from merchgraph.runtime.batch_input import read_input
from merchgraph.runtime.batch_output import Folder
from tests.runtime.batch_rows import FACTORY


def job_of(texts: Sequence[str], folder: Path, size: int = 3, rows: int = 4, **given: Any) -> Job:
    """A job over texts whose ids are "r0", "r1" ..."""
    file = folder / "in.jsonl"
    lines = [{"id": f"r{n}", "text": text} for n, text in enumerate(texts)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    table = read_input(file, size)
    return Job(FACTORY, given, table, Folder(folder / "out", size, table.count), rows)


def written(job: Job) -> pl.DataFrame:
    """All rows of the shards that are there, in the order of their files."""
    files = sorted(job.folder.path.glob("*.parquet"))
    return pl.concat([pl.read_parquet(file) for file in files])


def unfinished(job: Job) -> list[str]:
    """Files that a finished batch does not leave."""
    kept = {".lock", "_manifest.json"}
    names = {file.name for file in job.folder.path.iterdir()}
    return sorted(name for name in names - kept if not name.endswith(".parquet"))
