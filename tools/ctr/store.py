"""Weights on disk: a file of lines that is only ever appended to, read by any number of processes.

    store = Store("weights.jsonl", Basis.of(pool))
    store.put(Draft(ad="a1", content=..., prompt=..., model=..., weights=w, intercept=b))
    scorer = store.scorer()         # every ad's newest weights
    store.refresh()                 # what other processes have put since

The first line is the basis, each other one a version of one key: ad, hash of its content, version of the
prompts, model (`entries.py`). A line is on disk before `put` returns. Writers take turns by a lock;
readers take none: a line counts when its end is there, so they see all of a version or nothing. The line
of a writer that was killed has no end; the next writer ends it, and what its checksum refuses is skipped.

Calls block.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import numpy as np

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.runtime.log import logger
from merchgraph.tools.ctr.entries import LARGEST, Basis, Draft, Entry, Key, as_line, of_line
from merchgraph.tools.ctr.pool import Doubles
from merchgraph.tools.ctr.scorer import Scorer
from merchgraph.tools.ctr.weights import hand_over

TRAINED = "clicks"
"""The model's name of versions that a hand-over made."""


class Store:
    """The weights in a file.

    Args:
        path: the file; made, with its folder, if it is not there and there is a basis.
        basis: what the weights are for; an old file must have the same. None opens what is there.

    Attributes:
        basis: of the file.
        problems: lines that were skipped, a sentence each; also in the log.

    Raises:
        SetupError: there is no store, one with another basis, or the file cannot be opened.
    """

    def __init__(self, path: str | Path, basis: Basis | None = None) -> None:
        self.path = Path(path)
        self.problems: list[str] = []
        self._newest: dict[str, Entry] = {}
        self._versions: dict[Key, Entry] = {}
        self._read = 0
        self._lock = RLock()
        if basis is not None:
            self._begin(as_line(basis))
        self.basis = self._basis()
        if basis is not None and basis != self.basis:
            raise SetupError(
                f"The weights in {str(self.path)!r} are for other features or another pool; open "
                "the store without a basis, or give another path."
            )
        self.refresh()

    def put(self, draft: Draft) -> Entry:
        """Keep weights as the next version of their key; they are on disk when this returns.

        What the ad is served with already stays its version: a run that was killed after it kept
        weights, and goes on, makes no second one.

        Raises:
            DataError: not one weight per feature.
            SetupError: the file cannot be written.
        """
        if len(draft.weights) != len(self.basis.features):
            raise DataError(
                f"The ad {draft.ad!r} has {len(draft.weights)} weights, but the store "
                f"{str(self.path)!r} has {len(self.basis.features)} features; give one for each."
            )
        with self._lock, self._writing() as file:
            self._end_the_last_line(file)  # it may be whole, and then it counts
            self.refresh()
            last = self._versions.get(draft.key)
            if last and last == self._newest[draft.ad] and draft == _draft(last):
                return last
            entry = Entry(**dict(draft), version=last.version + 1 if last else 1)
            self._append(file, as_line(entry))
            self.refresh()
        return entry

    def refresh(self) -> int:
        """Read what was put since, by anybody; gives the number of new versions."""
        new = 0
        with self._lock:
            for line in self._new_lines():
                entry = of_line(line, Entry)
                if entry is None or len(entry.weights) != len(self.basis.features):
                    self._skip(line)
                    continue
                self._versions[entry.key] = self._newest[entry.ad] = entry
                new += 1
        return new

    def newest(self, ad: str) -> Entry | None:
        """The weights that an ad is served with, whatever their key."""
        return self._newest.get(ad)

    def get(self, ad: str, content: str, prompt: str, model: str) -> Entry | None:
        """The newest version of one key."""
        return self._versions.get((ad, content, prompt, model))

    def __len__(self) -> int:
        return len(self._newest)

    def hand_over(
        self, start: Entry, trained: Doubles, intercept: float, *, clicks: int, prior: float
    ) -> Entry:
        """Keep what is between written and trained weights, by the clicks so far, as a new version.

        Args:
            start: what the ad began with; its content and prompt are the new version's too.
            trained: (F,) fitted to the ad's own clicks.
            intercept: of the trained model.
            clicks: that it has seen.
            prior: clicks at which both count the same; above 0.

        Raises:
            DataError, SetupError: as `put`; a weight of more than 100, or a prior of 0.
        """
        ends = np.append(start.weights, start.intercept), np.append(trained, intercept)
        fit = ends[0].shape == ends[1].shape and bool((np.abs(ends[1]) <= LARGEST).all())
        if not fit or prior <= 0 or clicks < 0:
            raise DataError(
                f"The hand-over of {start.ad!r} needs {len(start.weights)} weights within {LARGEST:g}, "
                f"clicks of 0 or more and a prior above 0; there are {len(trained)} weights, {clicks} "
                f"and {prior}."
            )
        *weights, b = hand_over(*ends, clicks, prior).tolist()
        return self.put(
            Draft(
                ad=start.ad, content=start.content, prompt=start.prompt, model=TRAINED,
                weights=tuple(weights), intercept=b, origin="clicks", clicks=clicks,
            )
        )  # fmt: skip

    def scorer(self) -> Scorer:
        """The newest weights of every ad, ready to score."""
        with self._lock:
            entries, basis = list(self._newest.values()), self.basis
        shape = (len(entries), len(basis.features))
        return Scorer(
            tuple(entry.ad for entry in entries),
            np.array([entry.weights for entry in entries], np.float32).reshape(shape),
            np.array([entry.intercept for entry in entries], np.float32),
            np.array(basis.centre, np.float32), np.array(basis.spread, np.float32),
            np.array([*basis.cold, basis.cold_intercept], np.float32),
        )  # fmt: skip

    def _begin(self, first: bytes) -> None:
        """Write the first line where there is nothing, or the start of it by a killed writer."""
        with self._writing(make=True) as file:
            there = os.pread(file, len(first), 0)
            if len(there) < len(first) and first.startswith(there):
                os.truncate(file, 0)
                self._append(file, first)
                folder = os.open(self.path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)  # the name of a new file is on disk, too
                finally:
                    os.close(folder)

    def _basis(self) -> Basis:
        try:
            with self.path.open("rb") as file:
                first = file.readline()
        except OSError as error:
            raise self._unopened(error) from error
        basis = of_line(first, Basis) if first.endswith(b"\n") else None
        if basis is None:
            raise SetupError(
                f"{str(self.path)!r} does not begin as a store of weights; give the path of another "
                "file, or fetch this one from a backup."
            )
        self._read = len(first)
        return basis

    def _new_lines(self) -> Sequence[bytes]:
        """The lines that were ended since the last time."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except OSError as error:
            raise self._unopened(error) from error
        whole = data.rfind(b"\n") + 1
        self._read += whole
        return data[:whole].split(b"\n")[:-1]

    def _skip(self, line: bytes) -> None:
        self.problems.append(
            f"A line of {len(line):,} bytes of {str(self.path)!r} is damaged and was skipped; put "
            "what it held again."
        )
        logger("ctr").warning("weights_skipped", path=str(self.path), bytes=len(line))

    @contextmanager
    def _writing(self, *, make: bool = False) -> Iterator[int]:
        """The file, with no other writer at it."""
        try:
            if make:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | (os.O_CREAT if make else 0), 0o644)
        except OSError as error:
            raise self._unopened(error) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    def _end_the_last_line(self, file: int) -> None:
        size = os.fstat(file).st_size
        if os.pread(file, 1, size - 1) != b"\n":
            self._append(file, b"\n")

    def _append(self, file: int, data: bytes) -> None:
        size = os.fstat(file).st_size
        try:
            while data:
                data = data[os.write(file, data) :]
            os.fsync(file)
        except OSError as error:
            os.truncate(file, size)
            raise SetupError(
                f"The weights {str(self.path)!r} cannot be written: {error.strerror}; make room and "
                "put them again."
            ) from error

    def _unopened(self, error: OSError) -> SetupError:
        return SetupError(
            f"The weights {str(self.path)!r} cannot be opened: {error.strerror}; give the path of a "
            "store, or a basis and a folder that can be written."
        )


def _draft(entry: Entry) -> Draft:
    return Draft(**entry.model_dump(exclude={"version"}))
