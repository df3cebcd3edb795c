"""Strategies that spoil what is good: bytes of a file, text of a table, values of a JSON tree."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

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
