"""The rows of a batch: a Parquet, CSV or JSON lines file, read piece by piece.

One pass before the first run counts the rows, finds ids that stand twice, and where pieces begin. After
it only one piece is in memory, and 8 bytes per row while the pass lasts.
"""

from __future__ import annotations

import csv
import hashlib
import json
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from merchgraph.runtime.errors import DataError, SetupError

Row = dict[str, Any]
KINDS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "json", ".ndjson": "json"}
AT_ONCE = 100_000
"""Ids of a Parquet file that the pass reads at once."""
UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What Polars raises over a file; over some damaged Parquet it panics, which is no Exception."""


@dataclass(frozen=True)
class Input:
    """A table of rows in pieces of equal size, of which the last may be shorter.

    Attributes:
        kind: parquet, csv or json.
        columns: as they stand in the file; of JSON lines all keys that a line has.
        id: the column that tells rows apart.
        size: rows of a piece.
        count: rows of the file.
        sha256: of the file.
        starts: the byte at which each piece begins; empty for Parquet, which is cut by row.
    """

    path: Path
    kind: str
    columns: tuple[str, ...]
    id: str
    size: int
    count: int = 0
    sha256: str = ""
    starts: tuple[int, ...] = ()

    @property
    def pieces(self) -> int:
        """How many pieces there are."""
        return -(-self.count // self.size)

    def piece(self, number: int) -> list[Row]:
        """The rows of a piece, in order; cells without a value are left out.

        Raises:
            SetupError, DataError: as `read_input`.
        """
        with _told(self.path):
            if self.kind == "parquet":
                part = pl.scan_parquet(self.path).slice(number * self.size, self.size)
                return [_bare(row) for row in part.collect().iter_rows(named=True)]
            return [row for _, row in islice(_lines(self, self.starts[number]), self.size)]


def read_input(path: Path, size: int, id: str | None = None) -> Input:
    """Look a file through.

    Args:
        path: a file whose name ends in .parquet, .csv, .jsonl or .ndjson.
        size: rows of a piece.
        id: the column that tells rows apart; without it `id`, or else the first one.

    Raises:
        SetupError: no such file, another ending, or no such column.
        DataError: a file that is empty or cannot be read, or an id that is missing or stands twice.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise SetupError(
            f"The input {str(path)!r} is no table; expected one of {', '.join(KINDS)}."
        )
    with _told(path):
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        columns = _columns(path, kind)
        if not columns:
            raise DataError(f"The input {str(path)!r} holds no rows.")
        wanted = id or ("id" if "id" in columns else columns[0])
        table = Input(path, kind, columns, wanted, size, sha256=sha256)
        return _looked_through(table)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error).splitlines()[0]
        raise SetupError(f"The input {str(path)!r} cannot be read: {why}.") from error
    except UNREADABLE as error:
        raise DataError(
            f"The input {str(path)!r} is no Parquet file: {first_line(error)}."
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of what Polars says, or of what kind it is."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _columns(path: Path, kind: str) -> tuple[str, ...]:
    if kind == "parquet":
        return tuple(pl.read_parquet_schema(path))
    bare = Input(path, kind, (), "", 1)
    if kind == "json":
        return tuple(dict.fromkeys(name for _, row in _lines(bare, 0) for name in row))
    with path.open("rb") as file:
        first = next(_records(path, file, 0), (0, []))[1]
    if len(set(first)) < len(first):
        twice = next(name for name in first if first.count(name) > 1)
        raise DataError(f"The input {str(path)!r} has two columns {twice!r}; rename one.")
    return tuple(first)


def _looked_through(table: Input) -> Input:
    """The table with its count and the places where its pieces begin."""
    if table.id not in table.columns:
        raise SetupError(
            f"The input {str(table.path)!r} has no column {table.id!r} to tell rows apart; there is "
            f"{', '.join(table.columns)}."
        )
    hashes, starts = array("q"), list[int]()
    for number, (start, value) in enumerate(_ids(table)):
        if number % table.size == 0:
            starts.append(start)
        hashes.append(hash(row_id(table, number, value)))
    if not hashes:
        raise DataError(f"The input {str(table.path)!r} holds no rows.")
    _each_once(table, np.frombuffer(hashes, np.int64))
    places = () if table.kind == "parquet" else tuple(starts)
    return replace(table, count=len(hashes), starts=places)


def row_id(table: Input, number: int, value: object) -> str:
    """A row's id as text.

    Raises:
        DataError: it is missing, or neither text nor a whole number.
    """
    if value is None or value == "" or isinstance(value, bool) or not isinstance(value, str | int):
        got = "nothing" if value is None or value == "" else repr(value)
        raise DataError(
            f"Row {number} of {str(table.path)!r} has {got:.60} in its id column {table.id!r}; "
            "expected text or a whole number. Another column is named by --id."
        )
    return str(value)


def _ids(table: Input) -> Iterator[tuple[int, Any]]:
    """(byte at which the row begins, its id) of every row."""
    if table.kind != "parquet":
        for start, row in _lines(table, 0):
            yield start, row.get(table.id)
        return
    scan = pl.scan_parquet(table.path).select(table.id)
    offset = 0
    while len(part := scan.slice(offset, AT_ONCE).collect()):
        yield from ((0, value) for value in part[table.id])
        offset += AT_ONCE


def _each_once(table: Input, hashes: np.ndarray[Any, np.dtype[np.int64]]) -> None:
    ordered = np.sort(hashes)
    suspects = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    if not suspects:
        return
    places: dict[str, int] = {}
    for number, (_, value) in enumerate(_ids(table)):  # equal hashes may be of different ids
        name = str(value)
        if hash(name) in suspects and places.setdefault(name, number) != number:
            raise DataError(
                f"The id {name!r} stands twice in {str(table.path)!r}, in rows {places[name]} and "
                f"{number} of column {table.id!r}; give each row its own, or name another column by --id."
            )


def _lines(table: Input, start: int) -> Iterator[tuple[int, Row]]:
    """(byte at which it begins, row) from a byte of a CSV or JSON lines file on."""
    with table.path.open("rb") as file:
        if table.kind == "json":
            yield from _objects(table.path, file, start)
            return
        for place, cells in _records(table.path, file, start):
            if place == 0:
                continue  # the header
            if len(cells) != len(table.columns):
                raise DataError(
                    f"The line at byte {place} of {str(table.path)!r} has {len(cells)} cells; "
                    f"expected {len(table.columns)}, as in the header."
                )
            pairs = zip(table.columns, cells, strict=True)
            yield place, {name: _cell(text) for name, text in pairs if text}


def _records(path: Path, file: Any, start: int) -> Iterator[tuple[int, list[str]]]:
    place = start
    file.seek(start)

    def texts() -> Iterator[str]:
        nonlocal place
        for line in file:
            place += len(line)
            yield line.decode("utf-8-sig" if place == len(line) else "utf-8")

    # the reader takes no line before it needs it, so that `place` is where the next record begins
    records = csv.reader(texts(), strict=True)
    while True:
        began = place
        try:
            cells = next(records, None)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(
                f"The input {str(path)!r} is no CSV: {error} (byte {began})."
            ) from error
        if cells is None:
            return
        if cells:
            yield began, cells


def _objects(path: Path, file: Any, start: int) -> Iterator[tuple[int, Row]]:
    place = start
    file.seek(start)
    for line in file:
        began, place = place, place + len(line)
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8-sig" if began == 0 else "utf-8"))
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"The line at byte {began} of {str(path)!r} is no JSON: {error}."
            ) from error
        if not isinstance(row, dict):
            raise DataError(
                f"The line at byte {began} of {str(path)!r} is {line.decode()[:60].strip()}; expected "
                "an object with a key per column."
            )
        yield began, {name: value for name, value in row.items() if value is not None}


def _cell(text: str) -> Any:
    """A cell of a CSV: a list or an object where it is written as JSON, else its text."""
    if text[0] in "[{":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def _bare(value: Any) -> Any:
    """A value of a Parquet file without the fields of structs that are null: they were not given."""
    if isinstance(value, dict):
        return {name: _bare(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_bare(inner) for inner in value]
    return value
