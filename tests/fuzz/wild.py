"""Strategies that spoil what is good: bytes of a file, text of a table, values of a JSON tree."""

from __future__ import annotations

import copy
import io
import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import polars as pl
import yaml
from hypothesis import strategies as st

from merchgraph.runtime.frames import Group, pack, unpack

SPOILS = [
    b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"9" * 400, b"-1e999", b"nan", b"inf",
    b"[" * 3000, b"{" * 3000, b'{"a":' * 3000, b'"', b"'", b",", b"\r", b"\n", b"\n\n", b"\t", b": ",
    b"- ", b"../../../etc/passwd", b"/dev/stdin", b"file:///etc/passwd", b"&a *a",
    b"!!python/name:os.system", b"\xe2\x80\xae", b"\xc2\xa0", b"1_000", "१२".encode(), b"0x10",
    b"2026-13-45", b"9999999999-01-01",
]  # fmt: skip
"""What is put into a file: no text, numbers that are none, nests, paths, tags, other digits."""
VALUES: list[Any] = [
    None, True, 0, -1, 3, 1e308, -1e308, float("nan"), float("inf"), 10**30, 10**400, "", "x", "\0",
    "nan", "../../x", "9" * 400, [], {}, [None], [[]], {"a": 1}, ["x"] * 3, {"": None},
]  # fmt: skip
Path = tuple[str | int, ...]


@st.composite
def spoilt(draw: st.DrawFn, good: bytes) -> bytes:
    """A good file that was cut, damaged, doubled or written in another encoding; or any bytes."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    data = good
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 12)))
        odd = draw(st.binary(max_size=4))
        spoil = draw(st.sampled_from([*SPOILS, b"", b"", data[at : at + 40], odd]))
        data = data[:at] + spoil + data[to:]
    how = draw(st.sampled_from(["", "", "", "", "cut", "utf-16", "latin-1", "bom"]))
    if how == "cut":
        return data[: draw(st.integers(0, len(data)))]
    if how == "bom":
        return b"\xef\xbb\xbf" + data
    if how:
        return data.decode("utf-8", "replace").encode(how, "replace")
    return data


@st.composite
def other(draw: st.DrawFn, good: Any) -> Any:
    """A JSON tree in which up to three values are others, or are gone."""
    tree = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(paths(tree))))
        tree = changed(tree, path, draw(st.sampled_from([*VALUES, "gone"])))
    return tree


def paths(tree: Any) -> Iterator[Path]:
    """The way to every value of a tree, the tree itself first."""
    yield ()
    if isinstance(tree, dict | list):
        for step, inner in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from ((step, *rest) for rest in paths(inner))


def changed(tree: Any, path: Path, value: Any) -> Any:
    """The tree with another value at a place; "gone" takes a place away."""
    if not path:
        return value
    *way, last = path
    whole = here = copy.deepcopy(tree)
    for step in way:
        here = here[step]
    if value == "gone":
        del here[last]
    else:
        here[last] = copy.deepcopy(value)
    return whole


def as_json(tree: Any) -> bytes:
    """JSON as Python writes it, NaN and lone surrogates included."""
    return json.dumps(tree).encode()


def of_yaml(good: bytes) -> st.SearchStrategy[bytes]:
    """The same YAML with other values."""
    return other(yaml.safe_load(good)).map(
        lambda tree: yaml.safe_dump(tree).encode("utf-8", "replace")
    )


def of_json(good: bytes) -> st.SearchStrategy[bytes]:
    """The same JSON with other values."""
    return other(json.loads(good)).map(as_json)


def of_csv(good: bytes) -> st.SearchStrategy[bytes]:
    """The same table with other cells, rows and names."""
    table = [line.split(",") for line in good.decode().splitlines()]
    return other(table).map(_csv)


def _csv(table: Any) -> bytes:
    rows = table if isinstance(table, list) else [table]
    lines = [",".join(map(str, row)) if isinstance(row, list) else str(row) for row in rows]
    return "\n".join(lines).encode("utf-8", "replace")


def of_journal(good: bytes) -> st.SearchStrategy[bytes]:
    """The same lines with other values, each with its checksum."""
    lines = [json.loads(line.partition(b" ")[2]) for line in good.splitlines()]
    return other(lines).map(
        lambda trees: b"".join(map(_summed, trees if isinstance(trees, list) else []))
    )


def _listed(trees: Any) -> list[Any]:
    return trees if isinstance(trees, list) else [trees]


def _summed(tree: Any) -> bytes:
    line = as_json(tree)
    return b"%08x %s\n" % (zlib.crc32(line), line)


def of_lines(good: bytes) -> st.SearchStrategy[bytes]:
    """The same JSON lines with other values."""
    lines = [json.loads(line) for line in good.splitlines()]
    return other(lines).map(
        lambda trees: b"".join(as_json(tree) + b"\n" for tree in _listed(trees))
    )


def of_trace(good: bytes) -> st.SearchStrategy[bytes]:
    """The same groups with other values, each with its checksum."""
    groups = [
        [json.loads(line) for line in group.lines]
        for group in unpack(good)
        if isinstance(group, Group)
    ]
    return other(groups).map(_packed)


def _packed(groups: Any) -> bytes:
    return b"".join(pack(as_json(line) for line in _listed(group)) for group in _listed(groups))


KINDS = [pl.Float64(), pl.String(), pl.Binary(), pl.Date(), pl.Datetime("ns", "Asia/Tokyo"),
         pl.Null(), pl.List(pl.String()), pl.Struct({"a": pl.Int8()}), pl.Categorical(),
         pl.Decimal(5, 2)]  # fmt: skip
CELLS: list[Any] = [-1, 0, 10**18, float("nan"), float("inf"), -1e308, "", "\0", "x" * 99, True]


@st.composite
def of_parquet(draw: st.DrawFn, good: bytes) -> bytes:
    """The same table with a column that is gone, renamed, or holds something else, or without rows."""
    frame = pl.read_parquet(io.BytesIO(good))
    name = draw(st.sampled_from(frame.columns))
    how = draw(st.sampled_from(["gone", "renamed", "empty", "one value", "nothing"]))
    if how == "gone":
        frame = frame.drop(name)
    elif how == "renamed":
        others = [one for one in ("", " ", "x", "row") if one not in frame.columns]
        frame = frame.rename({name: draw(st.sampled_from(others))})
    elif how == "empty":
        frame = frame.clear()
    elif how == "one value":
        frame = frame.with_columns(pl.lit(draw(st.sampled_from(CELLS))).alias(name))
    else:
        frame = frame.with_columns(pl.lit(None, dtype=draw(st.sampled_from(KINDS))).alias(name))
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


SQL_CELLS = [None, 0, -1.5, 10**18, "", "x", "{}", "[]", "3", '{"a": 1}', "json", "msgpack", "pickle",
             b"", b"\x80", b"\xc1", b"x" * 99, b"{}"]  # fmt: skip


def of_sqlite(good: bytes) -> st.SearchStrategy[bytes]:
    """The same database with a column that holds something else, has another name or is gone."""

    @st.composite
    def changed(draw: st.DrawFn) -> bytes:
        with closing(sqlite3.connect(":memory:")) as base:
            base.deserialize(good[:18] + b"\1\1" + good[20:])  # in memory there is no log beside it
            names = base.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            table = draw(st.sampled_from([name for (name,) in names]))
            columns = base.execute(f"PRAGMA table_info({table})").fetchall()
            column = draw(st.sampled_from([row[1] for row in columns]))
            how = draw(st.sampled_from(["value", "value", "value", "renamed", "empty", "gone"]))
            if how == "value":
                value = draw(st.sampled_from(SQL_CELLS))
                base.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", (value,))
            elif how == "renamed":
                base.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO other")
            else:
                base.execute(f"{'DELETE FROM' if how == 'empty' else 'DROP TABLE'} {table}")
            base.commit()
            return base.serialize()

    return changed()
