"""A file of JSON lines, only ever appended to, that survives a crash between any two lines.

    journal = Journal(Path("pilot.jsonl"), Words("pilot", "update"))
    if not journal.begun({"pilot": ...}):           # a new file, or one that was cut in its first line
        for line in journal.lines(): ...            # may be refused; nothing was changed yet
        journal.mend()                              # takes a damaged tail off
    journal.append({"update": "monday/a"})          # on disk before it returns

Each line begins with the CRC-32 of the rest. One process has a journal at a time; its owner keeps its
threads apart. Calls block.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.log import logger

CLOSED = -1
Line = dict[str, Any]


class Words(NamedTuple):
    """What messages call a journal and one of its lines."""

    journal: str
    line: str


class Journal:
    """A file, opened and locked.

    Args:
        path: the file.
        words: for messages.
        make: make it, with its folder, if it is not there.

    Attributes:
        problems: what `mend` took off, a sentence each; also in the log.

    Raises:
        SetupError: the file cannot be opened, or another process has it.
    """

    def __init__(self, path: Path, words: Words, *, make: bool = True) -> None:
        self.path, self.words = path, words
        self.problems: list[str] = []
        self._file = self._opened(make)
        self._data, self._whole = path.read_bytes(), 0

    def begun(self, first: Line) -> bool:
        """Whether the file held nothing, or a part of this first line; then it begins with it now."""
        line = _line(first)
        if not (len(self._data) < len(line) - 1 and line.startswith(self._data)):
            return False
        os.truncate(self._file, 0)
        self._append(line)
        _sync_folder(self.path.parent)
        return True

    def lines(self) -> list[Line]:
        """The whole lines; a last one that was not written whole is left out.

        Raises:
            SetupError: the file is damaged before its last line.
        """
        found, self._whole = _lines(self._data)
        if any(_parsed(line) is not None for line in self._data[self._whole :].split(b"\n")[1:]):
            raise SetupError(
                f"The {self.words.journal} {str(self.path)!r} is damaged at byte {self._whole:,}, "
                f"with whole {self.words.line}s after it; fetch the file from a backup."
            )
        return found

    def mend(self) -> None:
        """Take off what follows the whole lines, and end the last one, so that another may follow."""
        lost = len(self._data) - self._whole
        if lost:
            self.problems.append(
                f"The last {self.words.line}, {lost:,} bytes at the end of {str(self.path)!r}, was not "
                "written whole and is taken off; tell it again."
            )
            logger("journal").warning("cut", path=str(self.path), byte=self._whole, lost=lost)
            os.truncate(self._file, self._whole)
        elif not self._data.endswith(b"\n"):
            self._append(b"\n")

    def append(self, values: Line) -> None:
        """Put a line on disk, or leave the file as it was.

        Raises:
            SetupError: the journal is closed, or cannot be written.
        """
        if self._file == CLOSED:
            raise SetupError(
                f"The {self.words.journal} {str(self.path)!r} is closed; open it again."
            )
        self._append(_line(values))

    def close(self) -> None:
        """Let another process have the file; a second time does nothing."""
        file, self._file = self._file, CLOSED
        if file != CLOSED:
            os.close(file)

    def _opened(self, make: bool) -> int:
        name = f"{self.words.journal} {str(self.path)!r}"
        try:
            if make:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | (os.O_CREAT if make else 0)
            file = os.open(self.path, flags, 0o644)
        except OSError as error:
            raise SetupError(
                f"The {name} cannot be opened: {error.strerror}; give the path of one, or of a file "
                "that can be made."
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            raise SetupError(f"Another process has the {name} open; wait for it.") from error
        return file

    def _append(self, data: bytes) -> None:
        before = os.fstat(self._file).st_size
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
        except OSError as error:
            os.truncate(self._file, before)
            raise SetupError(
                f"The {self.words.journal} {str(self.path)!r} cannot be written: {error.strerror}; the "
                f"{self.words.line} does not count: make room and tell it again."
            ) from error


def _line(values: Line) -> bytes:
    text = json.dumps(values, ensure_ascii=True).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parsed(line: bytes) -> Line | None:
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _lines(data: bytes) -> tuple[list[Line], int]:
    """The whole lines before the first damage, and how many bytes they are.

    A last line may lack its line end: the checksum says that all of it is there.
    """
    lines: list[Line] = []
    whole = 0
    for raw in data.splitlines(keepends=True):
        values = _parsed(raw.removesuffix(b"\n"))
        if values is None:
            break
        lines.append(values)
        whole += len(raw)
    return lines, whole


def _sync_folder(folder: Path) -> None:
    """Put the name of a new file on disk, too."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
