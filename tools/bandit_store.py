"""A pilot on disk that survives a crash between any two updates: a file of lines, only ever appended to.

    with Store("pilot.jsonl", Pilot.start(["a", "b"], control="manual")) as store:
        shows = store.choose(600, update="monday")
        store.observe("a", shows=150, clicks=4, update="monday/a")
        print(store.pilot.winner)

The first line is the pilot as it started, each other line one update with its id; each begins with the
CRC-32 of the rest and is on disk before the call returns. An update that is told twice counts once, so
a program that was killed may tell its last update again, or run from its start anew.

    7c0d9f52 {"update": "monday/a", "arm": "a", "shows": 150, "clicks": 4}

One process writes at a time; its threads may share a store. Calls block.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from pathlib import Path
from threading import Lock
from typing import Any, Self

from pydantic import ValidationError

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.log import logger
from merchgraph.tools.bandit import Pilot

CLOSED = -1


class Store:
    """The pilot in a file, and what may be done to it.

    Args:
        path: the file; made, with its folder, if it is not there.
        start: the pilot that a new file begins with; an old file must have begun with the same one.
            None only opens what is there.

    Attributes:
        pilot: as it is after all updates.
        problems: what was lost when the file was opened, a sentence each; also in the log.

    Raises:
        SetupError: there is no pilot, another one, a damaged one, or another process has it.
    """

    def __init__(self, path: str | Path, start: Pilot | None = None) -> None:
        self.path = Path(path)
        self.problems: list[str] = []
        self._told: dict[str, dict[str, Any]] = {}
        self._lock = Lock()
        self._file = self._opened(start)
        try:
            self.pilot = self._read(start)
        except BaseException:
            os.close(self._file)
            raise

    def choose(self, n: int, *, update: str) -> dict[str, int]:
        """How often to show each arm in the next `n` shows; they count as given from now on.

        Args:
            n: at least 1.
            update: an id of this choice; told again, it gives the same shows and changes nothing.

        Raises:
            SetupError: n is below 1, the id is another update's, or nothing can be written.
        """
        with self._lock:
            if told := self._told.get(update):
                self._same(update, told, {"n": n})
                return dict(told["gave"])
            shows = self.pilot.choose(n)
            self._update({"update": update, "n": n, "gave": shows})
            return shows

    def observe(self, arm: str, *, shows: int, clicks: int, update: str) -> bool:
        """Note that some pending shows of an arm were answered; see `Pilot.observe`.

        Args:
            arm: its id.
            shows: how many were answered.
            clicks: how many of these were clicked.
            update: an id of this answer.

        Returns:
            whether this was new; False for an update that had been told.

        Raises:
            SetupError: numbers that cannot be, an id of another update, or nothing can be written.
        """
        with self._lock:
            new = {"arm": arm, "shows": shows, "clicks": clicks}
            if told := self._told.get(update):
                self._same(update, told, new)
                return False
            self._update({"update": update, **new})
            return True

    def close(self) -> None:
        """Let another process have the file; a second time does nothing."""
        with self._lock:
            file, self._file = self._file, CLOSED
            if file != CLOSED:
                os.close(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opened(self, start: Pilot | None) -> int:
        try:
            if start is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | (0 if start is None else os.O_CREAT)
            file = os.open(self.path, flags, 0o644)
        except OSError as error:
            raise SetupError(
                f"The pilot {str(self.path)!r} cannot be opened: {error.strerror}; give the path of "
                "a pilot, or start one there."
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            raise SetupError(
                f"Another process has the pilot {str(self.path)!r} open; wait for it."
            ) from error
        return file

    def _read(self, start: Pilot | None) -> Pilot:
        """The pilot of the file, of which a damaged tail is taken off."""
        data = self.path.read_bytes()
        if start is not None and _had_not_begun(start, data):
            os.truncate(self._file, 0)
            self._write(_begin(start))
            _sync_folder(self.path.parent)
            return start
        lines, whole = _lines(data)
        self._refuse_a_hole(data, whole)
        if not lines or "pilot" not in lines[0]:
            raise SetupError(f"{str(self.path)!r} holds no pilot; give the path of another file.")
        try:
            pilot = begun = Pilot.model_validate(lines[0]["pilot"])
            for line in lines[1:]:
                pilot = _after(pilot, line)
                self._told[line["update"]] = line
        except (ValidationError, KeyError, TypeError, AttributeError, SetupError) as error:
            why = " ".join(str(error).split())
            raise SetupError(
                f"The pilot {str(self.path)!r} holds a line that is no update ({why:.200}); "
                "fetch the file from a backup."
            ) from error
        if start is not None and begun != start:
            raise SetupError(
                f"{str(self.path)!r} holds a pilot that started otherwise (arms, control, prior, stop "
                "or seed); open it without a start, or give another path."
            )
        if whole < len(data):  # only now: a file that is refused stays as it is
            self._cut(len(data), whole)
        elif not data.endswith(b"\n"):
            self._append(b"\n")
        return pilot

    def _refuse_a_hole(self, data: bytes, whole: int) -> None:
        if any(_parsed(line) is not None for line in data[whole:].split(b"\n")[1:]):
            raise SetupError(
                f"The pilot {str(self.path)!r} is damaged at byte {whole:,}, with whole updates after "
                "it; fetch the file from a backup."
            )

    def _cut(self, length: int, whole: int) -> None:
        lost = f"{length - whole:,} bytes at the end of {str(self.path)!r}"
        self.problems.append(
            f"The last update, {lost}, was not written whole and is taken off; tell it again."
        )
        logger("bandit").warning("pilot_cut", path=str(self.path), byte=whole, lost=length - whole)
        os.truncate(self._file, whole)

    def _same(self, update: str, told: dict[str, Any], new: dict[str, Any]) -> None:
        before = {key: value for key, value in told.items() if key not in ("update", "gave")}
        if before != new:
            raise SetupError(
                f"The update {update!r} was told as {json.dumps(before)} and now as "
                f"{json.dumps(new)}; give each update its own id."
            )

    def _update(self, line: dict[str, Any]) -> None:
        if self._file == CLOSED:
            raise SetupError(f"The pilot {str(self.path)!r} is closed; open it again.")
        pilot = _after(self.pilot, line)
        self._write(line)
        self.pilot = pilot
        self._told[line["update"]] = line

    def _write(self, line: dict[str, Any]) -> None:
        self._append(_line(line))

    def _append(self, data: bytes) -> None:
        before = os.fstat(self._file).st_size
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
        except OSError as error:
            os.truncate(self._file, before)
            raise SetupError(
                f"The pilot {str(self.path)!r} cannot be written: {error.strerror}; the update does not "
                "count: make room and tell it again."
            ) from error


def _begin(start: Pilot) -> dict[str, Any]:
    return {"pilot": start.model_dump(mode="json")}


def _had_not_begun(start: Pilot, data: bytes) -> bool:
    """Whether a file holds nothing, or a first line that was cut in its midst."""
    first = _line(_begin(start))
    return len(data) < len(first) - 1 and first.startswith(data)


def _after(pilot: Pilot, line: dict[str, Any]) -> Pilot:
    if "gave" in line:
        return pilot.give(line["gave"])
    return pilot.observe(line["arm"], shows=line["shows"], clicks=line["clicks"])


def _line(values: dict[str, Any]) -> bytes:
    text = json.dumps(values, ensure_ascii=True).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parsed(line: bytes) -> dict[str, Any] | None:
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _lines(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """The whole lines before the first damage, and how many bytes they are.

    A last line may lack its line end: the checksum says that all of the update is there.
    """
    lines: list[dict[str, Any]] = []
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
