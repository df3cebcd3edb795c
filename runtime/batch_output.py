"""Where a batch puts its rows: shards that appear in one step, and journals of the rows between.

    out/_manifest.json              what is run over what; another batch is refused
    out/rows-000000000.parquet      a finished shard, named by its first row
    out/.rows-000001000.jsonl       the finished rows of a shard that is under way

A shard is there whole or not at all. A row counts once: its first good line in a journal wins, and a
shard wins over its journal. A kill between any two steps leaves a folder from which `--resume` goes on.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from merchgraph.runtime.batch_columns import cells, frame
from merchgraph.runtime.batch_input import UNREADABLE, first_line
from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.runtime.files import put

MANIFEST = "_manifest.json"
LOCK = ".lock"
VERSION = 1
Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Folder:
    """The output of one batch.

    Attributes:
        size: rows of a shard.
        count: rows of the input.
    """

    path: Path
    size: int
    count: int

    @contextmanager
    def opened(self, manifest: Manifest, *, resume: bool) -> Iterator[None]:
        """Hold the folder for this batch and no other; what a kill left half done is swept away.

        Raises:
            SetupError: it cannot be written, another process holds it, or it holds another batch.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise SetupError(
                    f"Another batch writes into {str(self.path)!r}; wait for it."
                ) from error
            self._begin(dict(manifest) | {"version": VERSION, "shard_size": self.size}, resume)
            yield
        finally:
            os.close(lock)

    def _begin(self, manifest: Manifest, resume: bool) -> None:
        file = self.path / MANIFEST
        found = sorted(one.name for one in self.path.iterdir() if not one.name.startswith("."))
        if MANIFEST in found:
            if not resume:
                raise SetupError(
                    f"The folder {str(self.path)!r} holds a batch; --resume goes on with it, or name "
                    "another folder."
                )
            _same(self.path, _read(file), manifest)
        elif found:
            raise SetupError(
                f"The folder {str(self.path)!r} holds {found[0]!r} and no batch; name an empty or "
                "a new one."
            )
        try:
            for half in self.path.glob(".*.parquet.*"):
                half.unlink()
            if MANIFEST not in found:
                put(file, json.dumps(manifest, indent=2).encode())
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> SetupError:
        return SetupError(
            f"The folder {str(self.path)!r} cannot be written: {error.strerror}; make room, or name "
            "another."
        )

    def shard(self, number: int, columns: Mapping[str, pl.DataType]) -> Shard:
        """One shard, as far as it was finished before."""
        first = number * self.size
        return Shard(self, first, min(self.size, self.count - first), columns)


def _same(folder: Path, was: Manifest, now: Manifest) -> None:
    """Raise where a batch is another one than before."""
    for name in now:
        if found := _difference(name, was.get(name), now[name]):
            name, before, after = found
            raise SetupError(
                f"The folder {str(folder)!r} holds another batch: {name} is {before!r:.80} there and "
                f"{after!r:.80} here; run it as it was, or name another folder."
            )


def _difference(name: str, before: Any, after: Any) -> tuple[str, Any, Any] | None:
    """(dotted name, value before, value after) of the first value that differs."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        inner = (_difference(f"{name}.{key}", before.get(key), after.get(key)) for key in keys)
        return next((one for one in inner if one), None)
    return None if before == after else (name, before, after)


def _read(file: Path) -> Manifest:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"The manifest {str(file)!r} cannot be read: {error}.") from error
    if not isinstance(found, dict):
        raise DataError(f"The manifest {str(file)!r} is no object; name another folder.")
    return found


class Shard:
    """The rows of one piece on their way out.

    Attributes:
        first: number of its first row.
        rows: finished rows by number as JSON, also those of an earlier sitting.
        whole: it was finished before, without an error.
    """

    def __init__(
        self, folder: Folder, first: int, count: int, columns: Mapping[str, pl.DataType]
    ) -> None:
        self.folder, self.first, self.count, self.columns = folder, first, count, columns
        name = f"rows-{first:09d}"
        self.file = folder.path / f"{name}.parquet"
        self.journal = folder.path / f".{name}.jsonl"
        self.rows: dict[int, bytes] = {}
        self.whole = False

    def load(self) -> Shard:
        """Read what an earlier sitting finished; rows that failed then count as unfinished.

        Raises:
            DataError: the shard's file is not what a batch wrote.
        """
        if self.file.exists():
            self.whole = self._read(["row", "error"])["error"].null_count() == self.count
            if self.whole:
                self.journal.unlink(missing_ok=True)
                return self
            rows = self._read(list(self.columns)).filter(pl.col("error").is_null())
            self.rows = {row["row"]: json.dumps(row).encode() for row in rows.iter_rows(named=True)}
        for number, line in self._noted():
            self.rows.setdefault(number, line)
        return self

    def _read(self, columns: list[str]) -> pl.DataFrame:
        try:
            there = pl.read_parquet_schema(self.file)
            if there != dict(self.columns):
                raise DataError(
                    f"The shard {str(self.file)!r} has other columns than this batch; delete it, and "
                    "--resume makes it anew."
                )
            found = pl.read_parquet(self.file, columns=columns)
        except (OSError, *UNREADABLE) as error:
            raise DataError(
                f"The shard {str(self.file)!r} cannot be read: {first_line(error)}; delete it, and "
                "--resume makes it anew."
            ) from error
        numbers = found["row"].to_list()
        if numbers != list(range(self.first, self.first + self.count)):
            raise DataError(
                f"The shard {str(self.file)!r} holds other rows than {self.first} to "
                f"{self.first + self.count - 1}; delete it, and --resume makes it anew."
            )
        return found

    def _noted(self) -> Iterator[tuple[int, bytes]]:
        """The good rows of the journal; a line that a kill cut is taken off it."""
        try:
            data = self.journal.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise self.folder._unwritable(error) from error
        if not data.endswith(b"\n"):
            os.truncate(self.journal, data.rfind(b"\n") + 1)
        for line in data[: data.rfind(b"\n") + 1].splitlines():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue  # torn by a power cut; its row is run again
            if self._fits(row):
                yield row["row"], line

    def _fits(self, row: Any) -> bool:
        """Whether it is a good row of this shard, and of its columns' types."""
        if not isinstance(row, dict) or row.keys() != self.columns.keys():
            return False
        number = row["row"]
        if type(number) is not int or not self.first <= number < self.first + self.count:
            return False
        try:
            self._table([row])
        except (ValueError, TypeError, AttributeError, OverflowError, *UNREADABLE):
            return False
        return row["error"] is None

    def _table(self, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
        made = [
            {name: cells(row[name], kind) for name, kind in self.columns.items()} for row in rows
        ]
        return frame(made, self.columns)

    @cached_property
    def _open(self) -> int:
        return os.open(self.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def note(self, number: int, line: bytes) -> None:
        """Keep a finished row: a JSON object of all columns, on one line.

        Raises:
            SetupError: the disk does not take it.
        """
        left = line + b"\n"
        try:
            while left:
                left = left[os.write(self._open, left) :]
        except OSError as error:
            raise self.folder._unwritable(error) from error
        self.rows[number] = line

    def finish(self) -> None:
        """Put the shard in place of its journal, once every row is there.

        Raises:
            SetupError: the disk does not take it.
        """
        assert len(self.rows) == self.count, "a shard is finished when all of its rows are"
        table = self._table(json.loads(self.rows[number]) for number in sorted(self.rows))
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        try:
            put(self.file, buffer.getvalue())
            self.close()
            self.journal.unlink(missing_ok=True)
        except OSError as error:
            raise self.folder._unwritable(error) from error

    def close(self) -> None:
        """Let go of the journal; a second time does nothing."""
        if "_open" in self.__dict__:
            os.close(self.__dict__.pop("_open"))
