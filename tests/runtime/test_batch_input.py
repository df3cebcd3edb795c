"""Tables in: three formats hold the same rows, pieces are cut where they should, bad files are told."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.batch_input import read_input
from merchgraph.runtime.errors import DataError, MerchgraphError, SetupError

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def pieces(file: Path, size: int) -> list[list[dict[str, Any]]]:
    table = read_input(file, size)
    return [table.piece(number) for number in range(table.pieces)]


@given(
    st.lists(TEXTS.filter(lambda text: text[0] not in "[{"), min_size=1, max_size=9),
    st.integers(1, 4),
)
def test_all_formats_hold_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], size: int
) -> None:
    folder = tmp_path_factory.mktemp("in")
    rows = [{"id": str(n), "text": text} for n, text in enumerate(texts)]
    table = pl.DataFrame(rows)
    table.write_parquet(folder / "x.parquet")
    table.write_csv(folder / "x.csv", quote_style="always")
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "x.jsonl").write_text(lines, encoding="utf-8")
    cut = [rows[first : first + size] for first in range(0, len(rows), size)]
    for name in ("x.parquet", "x.csv", "x.jsonl"):
        assert pieces(folder / name, size) == cut


def test_lists_and_objects_come_through(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    turns = [{"asked": "a", "at": 1.0}, {"asked": "b", "at": None}]
    pl.DataFrame({"id": [1, 2], "turns": [turns, None]}).write_parquet(file)
    bare = [{"asked": "a", "at": 1.0}, {"asked": "b"}]
    assert pieces(file, 5) == [[{"id": 1, "turns": bare}, {"id": 2}]]
    (tmp_path / "x.csv").write_text('id,items\n007,"[""a"", ""b""]"\n\n8,[red] soap\n')
    assert pieces(tmp_path / "x.csv", 1) == [
        [{"id": "007", "items": ["a", "b"]}],
        [{"id": "8", "items": "[red] soap"}],
    ]


def test_a_mark_at_the_beginning_is_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbfid,text\r\n1,tea\r\n2,jam\r\n")
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"id": 1}\n{"id": 2, "more": null}\n')
    assert read_input(tmp_path / "x.csv", 1).columns == ("id", "text")
    assert pieces(tmp_path / "x.csv", 1)[1] == [{"id": "2", "text": "jam"}]
    assert pieces(tmp_path / "x.jsonl", 1) == [[{"id": 1}], [{"id": 2}]]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("x.xlsx", b"", "no table; expected one of .parquet, .csv"),
        ("x.csv", b"", "holds no rows"),
        ("x.csv", b"id,text\n", "holds no rows"),
        ("x.jsonl", b"\n\n", "holds no rows"),
        ("x.parquet", b"PAR1 or not", "is no Parquet file"),
        ("x.csv", b"id,text\n1,a\n2\n", "at byte 12 .* has 1 cells; expected 2"),
        ("x.csv", b'id,text\n1,"a\n', "is no CSV: unexpected end of data"),
        ("x.csv", b"id,text\n1,\xff\n", "is no CSV: .*utf-8"),
        ("x.csv", b"a,a\n1,2\n", "two columns 'a'"),
        ("x.jsonl", b'{"id": 1}\n{"id": \n', "at byte 10 .* is no JSON"),
        ("x.jsonl", b'{"id": 1}\n[1]\n', r"at byte 10 .* is \[1\]; expected an object"),
        ("x.jsonl", b'{"id": 1}\n' + b"[" * 10_000, "at byte 10 .* is no JSON"),
        ("x.csv", b"id\n1\n2\n1\n", "id '1' stands twice .* rows 0 and 2"),
        ("x.jsonl", b'{"id": 1}\n{"id": "1"}\n', "id '1' stands twice"),
        ("x.csv", b"id,text\n1,a\n,b\n", "Row 1 .* has nothing in its id column 'id'"),
        ("x.jsonl", b'{"id": 1.5}\n', "Row 0 .* has 1.5 in its id column"),
        ("x.jsonl", b'{"id": true}\n', "Row 0 .* has True in its id column"),
    ],
)  # fmt: skip
def test_a_bad_file_is_told(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SetupError, match=told) as caught:
        read_input(tmp_path / name, 2)
    assert str(caught.value).count("\n") == 0


def test_ids_that_stand_twice_are_found_in_parquet_too(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    pl.DataFrame({"user": ["a", "b", "a"], "n": [1, 2, 3]}).write_parquet(file)
    with pytest.raises(DataError, match=r"id 'a' stands twice .* rows 0 and 2 of column 'user'"):
        read_input(file, 2)
    assert read_input(file, 2, "n").id == "n"
    with pytest.raises(SetupError, match="no column 'm' to tell rows apart; there is user, n"):
        read_input(file, 2, "m")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    for name in ("x.parquet", "x.csv"):
        with pytest.raises(SetupError, match="cannot be read: No such file"):
            read_input(tmp_path / name, 2)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SetupError, match="cannot be read: Is a directory"):
        read_input(tmp_path / "folder.csv", 2)


@given(st.sampled_from([".csv", ".jsonl", ".parquet"]), st.binary(max_size=60))
def test_any_bytes_are_rows_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, ending: str, data: bytes
) -> None:
    file = tmp_path_factory.mktemp("in") / f"x{ending}"
    file.write_bytes(data)
    try:
        table = read_input(file, 2)
    except MerchgraphError:
        return
    assert sum(len(table.piece(number)) for number in range(table.pieces)) == table.count > 0
