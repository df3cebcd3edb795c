"""What sellers got so far, on disk: a file of lines, only ever appended to, that survives a crash.

    with Ledger("fair.jsonl", ["acme", "zeta"]) as ledger:
        ledger.add("trip 1", {"acme": 2.5})   # on disk before it returns; told twice, counts once
        ledger.sums, ledger.trips

The first line names the sellers, each other line is a trip's outcomes; each begins with the CRC-32 of the
rest. A last line that was not written whole is taken off when the file is opened, and said in `problems`.
Without a path the ledger is in memory. One process writes at a time; its threads may share a ledger.
Calls block.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Self

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.log import logger

CLOSED = -1


class Ledger:
    """Outcomes by seller, summed over trips.

    Args:
        path: of the file; made, with its folder, if it is not there. None keeps nothing on disk.
        sellers: whose outcomes are kept; an old file must name the same ones.

    Attributes:
        sums: seller -> outcome over all trips.
        trips: how many were told.
        problems: what was lost when the file was opened, a sentence each.

    Raises:
        SetupError: the file cannot be opened, is another process's, is damaged in its midst, or is of
            other sellers.
    """

    def __init__(self, path: str | Path | None, sellers: Sequence[str]) -> None:
        self.path = None if path is None else Path(path)
        self.sums = dict.fromkeys(sellers, 0.0)
        self.problems: list[str] = []
        self._told: dict[str, dict[str, float]] = {}
        self._lock = Lock()
        self._file = CLOSED
        if self.path is not None:
            self._file = _opened(self.path)
            try:
                self._read(self.path)
            except BaseException:
                os.close(self._file)
                raise

    @property
    def trips(self) -> int:
        """Trips that were told."""
        return len(self._told)

    def add(self, trip: str, outcomes: Mapping[str, float]) -> bool:
        """Note what sellers got of a trip; a trip without outcomes counts, too.

        Args:
            trip: its id.
            outcomes: seller -> outcome, 0 or more.

        Returns:
            whether this was new; False for a trip that had been told.

        Raises:
            SetupError: a seller that the ledger does not have, an outcome that cannot be, other outcomes
                of a known trip, or the file cannot be written.
        """
        given = {seller: float(outcome) for seller, outcome in outcomes.items()}
        self._check(given)
        with self._lock:
            if (told := self._told.get(trip)) is not None:
                if told != given:
                    raise SetupError(
                        f"The trip {trip!r} was told as {told} and now as {given}; give each trip its "
                        "own id."
                    )
                return False
            if self.path is not None:
                self._write({"trip": trip, "outcomes": given})
            self._count(trip, given)
            return True

    def snapshot(self) -> tuple[dict[str, float], int]:
        """Sums and trips of one moment."""
        with self._lock:
            return dict(self.sums), self.trips

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

    def _check(self, given: Mapping[str, float]) -> None:
        for seller, outcome in given.items():
            if seller not in self.sums:
                raise SetupError(
                    f"The ledger has no seller {seller!r} (it has {list(self.sums)[:3]} ...); tell the "
                    "outcomes under the names that the ranker gave."
                )
            if not (math.isfinite(outcome) and outcome >= 0):
                raise SetupError(
                    f"An outcome is a number of 0 or more, not {outcome} of {seller!r}."
                )

    def _count(self, trip: str, given: dict[str, float]) -> None:
        self._told[trip] = given
        for seller, outcome in given.items():
            self.sums[seller] += outcome

    def _read(self, path: Path) -> None:
        data = path.read_bytes()
        first = _line({"sellers": list(self.sums)})
        if len(data) < len(first) and first.startswith(data):  # new, or cut in its first line
            os.truncate(self._file, 0)
            self._append(first)
            return
        whole = 0
        for number, (values, size) in enumerate(_whole_lines(data)):
            if number == 0 and values != {"sellers": list(self.sums)}:
                raise SetupError(
                    f"{str(path)!r} is no ledger of these {len(self.sums)} sellers; give another path."
                )
            if number:
                self._count(values["trip"], values["outcomes"])
            whole += size
        if not whole or any(_parsed(line) is not None for line in data[whole:].split(b"\n")[1:]):
            raise SetupError(
                f"The ledger {str(path)!r} is damaged at byte {whole:,}; fetch it from a backup."
            )
        if whole < len(data):
            lost = f"{len(data) - whole:,} bytes at the end of {str(path)!r}"
            self.problems.append(
                f"The last trip, {lost}, was not written whole and is taken off; tell it again."
            )
            logger("fairness").warning("ledger_cut", path=str(path), byte=whole)
            os.truncate(self._file, whole)

    def _write(self, values: dict[str, Any]) -> None:
        if self._file == CLOSED:
            raise SetupError(f"The ledger {str(self.path)!r} is closed; open it again.")
        self._append(_line(values))

    def _append(self, data: bytes) -> None:
        before = os.fstat(self._file).st_size
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
        except OSError as error:
            os.truncate(self._file, before)
            raise SetupError(
                f"The ledger {str(self.path)!r} cannot be written: {error.strerror}; the trip does not "
                "count: make room and tell it again."
            ) from error


def _opened(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError as error:
        raise SetupError(
            f"The ledger {str(path)!r} cannot be opened: {error.strerror}; give another path."
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise SetupError(
            f"Another process has the ledger {str(path)!r} open; wait for it."
        ) from error
    return file


def _line(values: dict[str, Any]) -> bytes:
    text = json.dumps(values, ensure_ascii=True).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parsed(line: bytes) -> dict[str, Any] | None:
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    values = json.loads(text)
    return values if isinstance(values, dict) else None


def _whole_lines(data: bytes) -> Iterator[tuple[dict[str, Any], int]]:
    """The lines before the first damage, and how many bytes each is."""
    for raw in data.splitlines(keepends=True):
        values = _parsed(raw.removesuffix(b"\n")) if raw.endswith(b"\n") else None
        if values is None:
            return
        yield values, len(raw)
