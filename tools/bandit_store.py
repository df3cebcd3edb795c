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

import json
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.bandit import Pilot
from merchgraph.tools.journal import Journal, Words


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
        self._told: dict[str, dict[str, Any]] = {}
        self._lock = Lock()
        self._journal = Journal(self.path, Words("pilot", "update"), make=start is not None)
        self.problems = self._journal.problems
        try:
            self.pilot = self._read(start)
        except BaseException:
            self._journal.close()
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
            self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, start: Pilot | None) -> Pilot:
        """The pilot of the file, of which a damaged tail is taken off."""
        if start is not None and self._journal.begun({"pilot": start.model_dump(mode="json")}):
            return start
        lines = self._journal.lines()
        if not lines or "pilot" not in lines[0]:
            raise SetupError(f"{str(self.path)!r} holds no pilot; give the path of another file.")
        try:
            pilot = begun = Pilot.model_validate(lines[0]["pilot"])
            for line in lines[1:]:
                _LINE.validate_python(line)
                pilot = _after(pilot, line)
                self._told[line["update"]] = line
        except (ValueError, KeyError, TypeError, AttributeError, SetupError) as error:
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
        self._journal.mend()  # only now: a file that is refused stays as it is
        return pilot

    def _same(self, update: str, told: dict[str, Any], new: dict[str, Any]) -> None:
        before = {key: value for key, value in told.items() if key not in ("update", "gave")}
        if before != new:
            raise SetupError(
                f"The update {update!r} was told as {json.dumps(before)} and now as "
                f"{json.dumps(new)}; give each update its own id."
            )

    def _update(self, line: dict[str, Any]) -> None:
        pilot = _after(self.pilot, line)
        self._journal.append(line)
        self.pilot = pilot
        self._told[line["update"]] = line


_Count = Annotated[int, Field(ge=0, le=2**53)]


class _Chosen(BaseModel):
    """The line of a choice."""

    model_config = ConfigDict(extra="forbid", strict=True)

    update: str
    n: _Count
    gave: dict[str, _Count]


class _Answered(BaseModel):
    """The line of an answer."""

    model_config = ConfigDict(extra="forbid", strict=True)

    update: str
    arm: str
    shows: _Count
    clicks: _Count


_LINE: TypeAdapter[_Chosen | _Answered] = TypeAdapter(_Chosen | _Answered)


def _after(pilot: Pilot, line: dict[str, Any]) -> Pilot:
    if "gave" in line:
        return pilot.give(line["gave"])
    return pilot.observe(line["arm"], shows=line["shows"], clicks=line["clicks"])
