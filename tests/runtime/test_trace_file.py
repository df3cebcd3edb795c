"""Trace files: what a reader gets of a whole one, of a damaged one, and of what is none."""

import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zstandard import ZstdDecompressor

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.frames import pack, unpack
from merchgraph.runtime.ledger import Usage
from merchgraph.runtime.trace import (
    EndLine,
    Header,
    NodeLine,
    Run,
    RunLine,
)
from merchgraph.runtime.trace_file import Writer, read
from tests.runtime.small_trace import ASKED, CALL, GROUPS, REQUEST, TOOL, lines, write


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "x.jsonl.zst", GROUPS)


def told(run: Run) -> dict[str, Any]:
    """A run without its header, which stands elsewhere in the file."""
    return run.model_dump(exclude={"header"})


def test_what_was_written_is_read(file: Path) -> None:
    trace = read(file)
    assert (list(trace.runs), trace.closed, trace.problems) == (["7/a", "7/b"], True, [])
    first, second = trace.runs.values()
    assert first.begin.request == REQUEST
    assert (first.calls, first.tools) == ([CALL], [TOOL])
    assert first.nodes == [NodeLine(node="nli", lane="tea", finished_s=0.3)]
    assert first.end.usage == Usage(calls=1, seconds=0.25)
    assert first.header == GROUPS[0][0]
    moved = CALL.model_copy(update={"at_s": 1.5, "same_as": "7/a"})
    assert second.calls == [moved]  # request, chunks and call are those of the first
    assert second.tools == [TOOL.model_copy(update={"same_as": "7/a"})]


def test_a_run_that_was_recorded_again_counts_as_it_was_last(file: Path) -> None:
    again = [*lines("7/a")[:-1], EndLine(output="later")]
    trace = read(write(file, [again]))
    assert list(trace.runs) == ["7/b", "7/a"]
    assert trace.runs["7/a"].end.output == "later"
    assert trace.runs["7/b"].calls[0].request == ASKED
    assert not trace.closed


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]


def test_no_flipped_byte_changes_or_loses_a_run_in_silence(file: Path, tmp_path: Path) -> None:
    data, whole = file.read_bytes(), read(file)
    damaged, lost = tmp_path / "damaged.jsonl.zst", set()
    for place in range(len(data)):
        damaged.write_bytes(flipped(data, place))
        trace = read(damaged)
        assert trace.problems, place
        for name, run in trace.runs.items():
            assert told(run) == told(whole.runs[name]), place
        lost |= whole.runs.keys() - trace.runs.keys()
    assert lost == {"7/a", "7/b"}


def test_a_file_cut_anywhere_keeps_its_whole_runs_and_goes_on(file: Path, tmp_path: Path) -> None:
    data, whole = file.read_bytes(), read(file)
    ends = [*[part.offset for part in unpack(data)][1:], len(data)]
    cut = tmp_path / "cut.jsonl.zst"
    for length in range(ends[0], len(data)):
        cut.write_bytes(data[:length])
        trace = read(cut)
        assert bool(trace.problems) == (length not in ends)
        assert not trace.closed
        kept = list(trace.runs)
        assert kept == list(whole.runs)[: sum(end <= length for end in ends[2:4])]
        assert [told(run) for run in trace.runs.values()] == [told(whole.runs[n]) for n in kept]
        trace = read(write(cut, [[RunLine(run="new"), EndLine(output=1)]]))
        assert (list(trace.runs), trace.problems) == ([*kept, "new"], [])


def test_a_file_cut_in_its_head_is_no_trace_and_is_left_alone(file: Path) -> None:
    data = file.read_bytes()
    for length in range(next(part.offset for part in unpack(data) if part.offset)):
        file.write_bytes(data[:length])
        with pytest.raises(SetupError, match=r"is no trace, or nothing of it is readable; give"):
            read(file)
        assert file.read_bytes() == data[:length]


def test_the_damaged_run_is_named_by_its_place_and_the_others_stay(file: Path) -> None:
    data = file.read_bytes()
    starts = [part.offset for part in unpack(data)]
    file.write_bytes(flipped(data, starts[2] + 30))
    trace = read(file)
    assert trace.runs == {}
    assert f"Byte {starts[2]} and what follows" in trace.problems[0]
    assert "'7/b' repeats an answer of the run '7/a', which cannot be read" in trace.problems[1]


def test_runs_of_a_case_that_cannot_be_read_are_left_out(file: Path) -> None:
    data = file.read_bytes()
    starts = [part.offset for part in unpack(data)]
    file.write_bytes(flipped(data, starts[1] + 30))
    trace = read(file)
    assert trace.runs == {}
    assert any("is of the case '7', which cannot be read" in told for told in trace.problems)


NONE = {
    "another file": b"# A report\n\nIt has no runs.\n",
    "empty": b"",
    "a text of one byte": b"x",
    "plain JSON lines": b'{"kind":"header"}\n',
    "zeros": bytes(5000),
    "no lines": pack([]),
    "lines that are no JSON": pack([b"hello", b"{"]),
    "JSON that is no object": pack([b"[1]", b"5", b"null"]),
    "an object of no kind": pack([b'{"a":1}', b'{"kind":["x"]}']),
    "deep JSON": pack([b"[" * 100_000]),
    "no text": pack([b'{"kind":"header","made":"\xff\xfe"}']),
}


@pytest.mark.parametrize("data", NONE.values(), ids=NONE)
def test_what_is_no_trace_is_said_to_be_none_and_is_not_touched(
    data: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "x.jsonl.zst"
    path.write_bytes(data)
    with pytest.raises(SetupError, match=r"x.jsonl.zst' is no trace, or nothing of it is readable"):
        read(path)
    Writer(path).close()
    assert path.read_bytes() == data


def test_a_group_with_a_strange_line_is_left_out_in_one_sentence(file: Path) -> None:
    bad = {"kind": "call", "key": 7, "chunks": "none"}
    later = {"kind": "vision", "pixels": 3}
    with file.open("ab") as out:
        for strange in (bad, later):
            out.write(pack([b'{"kind":"run","run":"strange"}', json.dumps(strange).encode()]))
    trace = read(file)
    assert list(trace.runs) == ["7/a", "7/b"]
    assert [told.count("\n") for told in trace.problems] == [0, 0]
    assert "holds a line that is no trace line (" in trace.problems[0]
    assert "its kind is 'vision', not one of header, case, run" in trace.problems[1]


def test_fields_of_a_later_version_are_passed_over(file: Path) -> None:
    with file.open("ab") as out:
        out.write(pack([b'{"kind":"run","run":"new","mood":"good"}', b'{"kind":"end","x":[1]}']))
    trace = read(file)
    assert (list(trace.runs)[-1], trace.problems) == ("new", [])


def test_a_later_format_asks_for_an_update(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl.zst", [[Header(format=2)]])
    with pytest.raises(
        SetupError, match=r"has format 2, but this merchgraph reads up to 1; update"
    ):
        read(path)


@pytest.mark.parametrize(("name", "why"), [("gone", "No such file"), ("", "Is a directory")])
def test_a_path_that_cannot_be_read_is_named(name: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=rf"cannot be read: {why}.*; give the path of a \.jsonl"):
        read(tmp_path / name)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]))
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\n\u2028"), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(JSON)
def test_any_json_comes_back_to_the_last_bit(value: Any) -> None:
    with TemporaryDirectory() as folder:
        path = write(
            Path(folder) / "x", [[Header(made="x")], [RunLine(run="1"), EndLine(output=value)]]
        )
        assert repr(read(path).runs["1"].end.output) == repr(value)


def test_zstdcat_shows_one_json_object_a_line_each_with_its_kind(file: Path) -> None:
    with ZstdDecompressor().stream_reader(
        io.BytesIO(file.read_bytes()), read_across_frames=True
    ) as text:
        rows = [json.loads(row) for row in text.read().splitlines()]
    kinds = [line.kind for group in GROUPS for line in group]
    assert [row["kind"] for row in rows] == kinds
    assert rows[3]["call"]["seconds"] == 0.25
