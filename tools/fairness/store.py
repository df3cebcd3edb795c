"""What sellers got so far, on disk: a file of lines, only ever appended to, that survives a crash.

    with Ledger("fair.jsonl", ["acme", "zeta"]) as ledger:
        ledger.add("trip 1", {"acme": 2.5}, lost=0.1)  # on disk when it returns; told twice, counts once
        ledger.sums, ledger.lost, ledger.trips

The first line names the sellers, each other line is a trip's outcomes; each begins with the CRC-32 of the
rest. A last line that was not written whole is taken off when the file is opened, and said in `problems`.
Without a path the ledger is in memory. One process writes at a time; its threads may share a ledger.
Calls block.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.journal import Journal, Words


class Ledger:
    """Outcomes by seller, summed over trips.

    Args:
        path: of the file; made, with its folder, if it is not there. None keeps nothing on disk.
        sellers: whose outcomes are kept; an old file must name the same ones.

    Attributes:
        sums: seller -> outcome over all trips.
        lost: sales that fairness cost over all trips.
        trips: how many were told.
        problems: what was lost when the file was opened, a sentence each.

    Raises:
        SetupError: the file cannot be opened, is another process's, is damaged in its midst, or is of
            other sellers.
    """

    def __init__(self, path: str | Path | None, sellers: Sequence[str]) -> None:
        self.path = None if path is None else Path(path)
        self.sums = dict.fromkeys(sellers, 0.0)
        self.lost = 0.0
        self.problems: list[str] = []
        self._told: dict[str, tuple[dict[str, float], float]] = {}
        self._lock = Lock()
        self._journal = None if self.path is None else Journal(self.path, Words("ledger", "trip"))
        if self._journal is not None:
            self.problems = self._journal.problems
            try:
                self._read(self._journal)
            except BaseException:
                self._journal.close()
                raise

    @property
    def trips(self) -> int:
        """Trips that were told."""
        return len(self._told)

    def add(self, trip: str, outcomes: Mapping[str, float], lost: float = 0.0) -> bool:
        """Note what sellers got of a trip; a trip without outcomes counts, too.

        Args:
            trip: its id.
            outcomes: seller -> outcome, 0 or more.
            lost: what fairness cost, 0 or more.

        Returns:
            whether this was new; False for a trip that had been told.

        Raises:
            SetupError: a seller that the ledger does not have, an outcome that cannot be, other outcomes
                of a known trip, or the file cannot be written.
        """
        given = {seller: float(outcome) for seller, outcome in outcomes.items()}
        self._check(given, float(lost))
        with self._lock:
            if (told := self._told.get(trip)) is not None:
                if told != (given, lost):
                    raise SetupError(
                        f"The trip {trip!r} was told as {told[0]} at a loss of {told[1]:g} and now as "
                        f"{given} at {lost:g}; give each trip its own id."
                    )
                return False
            if self._journal is not None:
                self._journal.append({"trip": trip, "outcomes": given, "lost": float(lost)})
            self._count(trip, given, float(lost))
            return True

    def snapshot(self) -> tuple[dict[str, float], float, int]:
        """Sums, loss and trips of one moment."""
        with self._lock:
            return dict(self.sums), self.lost, self.trips

    def close(self) -> None:
        """Let another process have the file; a second time does nothing."""
        with self._lock:
            if self._journal is not None:
                self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, given: Mapping[str, float], lost: float) -> None:
        if not (math.isfinite(lost) and lost >= 0):
            raise SetupError(f"What was lost is a number of 0 or more, not {lost}.")
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

    def _count(self, trip: str, given: dict[str, float], lost: float) -> None:
        self._told[trip] = given, lost
        self.lost += lost
        for seller, outcome in given.items():
            self.sums[seller] += outcome

    def _read(self, journal: Journal) -> None:
        first = {"sellers": list(self.sums)}
        if journal.begun(first):
            return
        found = journal.lines()
        if not found:
            raise SetupError(
                f"The ledger {str(journal.path)!r} is damaged at byte 0; fetch it from a backup."
            )
        begin, *lines = found
        if begin != first:
            raise SetupError(
                f"{str(journal.path)!r} is no ledger of these {len(self.sums)} sellers; give another "
                "path."
            )
        for line in lines:
            try:
                told = _Told.model_validate(line)
                self._check(told.outcomes, told.lost)
            except (ValidationError, SetupError) as error:
                why = " ".join(str(error).split())
                raise SetupError(
                    f"The ledger {str(journal.path)!r} holds a line that is no trip ({why:.200}); "
                    "fetch it from a backup."
                ) from error
            self._count(told.trip, told.outcomes, told.lost)
        journal.mend()


class _Told(BaseModel):
    """A trip's line."""

    model_config = ConfigDict(extra="forbid", strict=True)

    trip: str
    outcomes: dict[str, float]
    lost: float = 0.0
