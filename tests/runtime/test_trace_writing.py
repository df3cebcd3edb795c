"""Writing a trace: to paths that take none, beside another writer, on a full disk."""

import errno
import os
from pathlib import Path

import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.trace_file import Writer, read
from tests.runtime.small_trace import GROUPS, lines, write


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "x.jsonl.zst", GROUPS)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "Is a directory"),
        ("x" * 300, "File name too long"),
        ("file/x.zst", "Not a directory|File exists"),
        ("/dev/null", "is no ordinary file"),
        ("/proc/x.zst", "No such file"),
    ],
)
def test_a_path_that_cannot_be_written_is_named(name: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match=rf"The trace .*({why}).*; give another path\."):
        Writer(tmp_path / name)


def test_two_writers_of_one_file_are_one_too_many(file: Path) -> None:
    writer = Writer(file)
    before = file.read_bytes()
    with pytest.raises(SetupError, match=r"is recording into '.*x.jsonl.zst'; wait for it, or"):
        Writer(file)
    assert file.read_bytes() == before
    writer.close()
    Writer(file).close()


def test_a_full_disk_leaves_the_file_whole(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, really = file.read_bytes(), os.write
    writer = Writer(file)

    def half(descriptor: int, data: bytes) -> int:
        if len(data) < 60:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return really(descriptor, data[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(
            SetupError, match=r"cannot be written: No space left on device; what it"
        ):
            writer.append(lines("7/c"))
    assert file.read_bytes() == before
    writer.append(lines("7/c"))
    writer.close()
    assert list(read(file).runs) == ["7/a", "7/b", "7/c"]


def test_a_write_in_pieces_is_the_same_write(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.write
    monkeypatch.setattr(os, "write", lambda to, data: really(to, data[:7]))
    assert write(tmp_path / "y.jsonl.zst", GROUPS).read_bytes() == file.read_bytes()
