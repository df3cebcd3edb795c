"""Files and mappings that break their form: each is one sentence that names the place."""

from pathlib import Path

import polars as pl
import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data import tabular
from tests.tools.data.shop_files import EVENTS, ITEMS, fault, mapping, write


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "1;2017-99-01;007;buy;1",
            "events.csv: column 'when' has '2017-99-01' in row 3, but a time",
        ),
        ("1;1483351200;007;buy;1", "column 'when' has '1483351200' in row 3"),
        ("1;;007;buy;1", "events: column 'time' has None in row 3, but every event needs a time"),
        ("1;2017-01-02;007;buy;-3", "events: column 'price' has -3.0 in row 3, but a price is"),
        (
            "1;2017-01-02;007;buy;1.50",
            "column 'paid' has '1.50' in row 3, but a number with the decim",
        ),
        ("1;2017-01-02;007;buy;free", "events.csv: column 'paid' has 'free' in row 3"),
        (
            "1;2017-01-02;007;steal;1",
            "column 'behaviour' has 'steal' in row 3, but 'behaviours' maps",
        ),
        (
            ";2017-01-02;007;buy;1",
            "events: column 'user' has None in row 3, but every row needs one",
        ),
        ("1;2017-01-02; ;buy;1", "events: column 'item' has ' ' in row 3"),
        ("1;2017-01-02;007;;1", "events: column 'behaviour' has None in row 3"),
        ("1;2017-01-02;007;buy;1;more", "events.csv: it cannot be read as CSV in UTF-8"),
    ],
)
def test_a_faulty_event_is_named_by_file_column_and_row(
    tmp_path: Path, row: str, message: str
) -> None:
    assert message in fault(write(tmp_path, mapping(), events=f"{EVENTS}{row}\n"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("007;Twice;;", "items: column 'item' has '007' in row 3, but an item has one row"),
        ("9;;;", "items: column 'title' has None in row 3"),
        ("9;Tea;;-1", "items: column 'price' has -1.0 in row 3"),
        ("9;Tea;;x", "items.csv: column 'cost' has 'x' in row 3"),
    ],
)
def test_a_faulty_item_is_named_by_file_column_and_row(
    tmp_path: Path, row: str, message: str
) -> None:
    assert message in fault(write(tmp_path, mapping(), items=f"{ITEMS}{row}\n"))


@pytest.mark.parametrize(("duplicates", "title"), [("first", "Oat milk"), ("last", "Twice")])
def test_one_row_of_an_item_may_be_taken(tmp_path: Path, duplicates: str, title: str) -> None:
    form = mapping()
    form["items"]["duplicates"] = duplicates
    shop = tabular.load(write(tmp_path, form, items=ITEMS + "007;Twice;;\n"))
    assert shop.items.row("007").title == title


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": {"user": "Who", "time": "when"}}, "no column 'Who' among 'who', 'when'"),
        ({"columns": {"user": "Who", "time": "when"}}, "did you mean 'who'?"),
        ({"extras": ["colour"]}, "there is no column 'colour'"),
        ({"keep": {"price": {"above": 0}}}, "there is no column 'price'"),
        ({"separator": "|"}, "there is no column 'did' among 'who;when;what;did;paid'"),
        ({"keep": {"who": {"pattern": "("}}}, "keep.who: the pattern is not valid"),
        (
            {"keep": {"who": {"pattern": "nobody"}}},
            "events.csv: no row meets the conditions of 'keep'",
        ),
        ({"time_format": "%d/%m/%Y"}, "column 'when' has '2017-01-02 10:00:00' in row 1"),
        ({"time_format": "seconds"}, "column 'when' has '2017-01-02 10:00:00' in row 1"),
        (
            {"columns": {"user": "who", "time": "when", "item": "what"}},
            "the column 'behaviour' is missing",
        ),
        ({"columns": {"time": "when", "item": "what"}}, "events: the column 'user' is missing"),
        ({"constants": {"quantity": "two"}}, "column 'quantity' has the type String"),
    ],
)
def test_a_mapping_that_does_not_fit_the_file_is_named(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    assert message in fault(write(tmp_path, mapping(**changes)))


def test_seconds_in_a_column_of_milliseconds_are_noticed(tmp_path: Path) -> None:
    rows = "who;when;what;did;paid\n1;1488371415250;007;buy;\n"
    message = fault(write(tmp_path, mapping(time_format="seconds"), events=rows))
    assert "column 'when' has '1488371415250' in row 1, but a time from 1900 to 2199" in message


def test_a_missing_file_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    message = fault(write(tmp_path, mapping(file="event.csv")), SetupError)
    assert message.startswith("there is no file")
    assert message.endswith("did you mean 'events.csv'?")


@pytest.mark.parametrize(
    "file", ["../no/such/folder/e.csv", "x" * 5_000, "~nobody-here/e.csv", "no-*.csv"]
)
def test_a_path_that_leads_nowhere_is_one_sentence(tmp_path: Path, file: str) -> None:
    fault(write(tmp_path, mapping(file=file)), SetupError)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it cannot be read as CSV in UTF-8"),
        ("who;when;what;did;paid\n", "the file has no rows"),
    ],
)
def test_an_empty_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    assert message in fault(write(tmp_path, mapping(), events=content))


@pytest.mark.parametrize("name", ["e.csv", "e.parquet", "e.csv.gz", "e.csv.zst"])
@pytest.mark.parametrize("seed", [b"\x00\xff\xfe", b"PAR1", b"\x1f\x8b\x08", b"\n\n;;\x80"])
def test_binary_junk_is_refused(tmp_path: Path, name: str, seed: bytes) -> None:
    (tmp_path / name).write_bytes(seed * 50)
    fault(write(tmp_path, mapping(file=name)))


def test_a_cut_parquet_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "e.parquet"
    pl.DataFrame({"who": range(1_000)}).write_parquet(file)
    file.write_bytes(file.read_bytes()[:-40])
    assert "it cannot be read as Parquet" in fault(write(tmp_path, mapping(file=file.name)))


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, mapping())
    (tmp_path / "events.csv").write_bytes(EVENTS.replace("who", "wer").encode() + b"caf\xe9;;;;\n")
    fault(path)


def test_a_type_of_file_that_is_not_known_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.xlsx").write_bytes(b"PK")
    assert "give '.csv', '.tsv'" in fault(write(tmp_path, mapping(file="e.xlsx")))
