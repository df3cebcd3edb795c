"""Vectors on disk: a store that finds them by key, and neighbours by Chroma's HNSW graph or a scan.

`VectorStore` is one file of equal records, only ever appended to, read through a memory map:

    key 16 bytes | vector D x float32 | crc32 of both 4 bytes

A killed writer leaves at most one torn record at the end, which the next writer cuts off. A record
with a wrong checksum counts as unknown, so that only it is computed again. Threads and processes
may share a file. Sizes: N vectors, D width.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError

if TYPE_CHECKING:
    from chromadb.api.client import Client

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Progress = Callable[[int, int], None]
"""Called with (done, total); may draw, must be quick."""

KEY_BYTES = 16
INSTALL = "pip install 'merchgraph[local]'"

_COLLECTION = "texts"
_ADDED_AT_ONCE = 5_000  # Chroma refuses more than 5,461
_SIZES = "sizes.json"
_ALL = slice(None)
_one_at_a_time = Lock()  # clients of one folder share state that Chroma opens and closes unguarded
# A scan of so few texts takes under 2 ms, is exact, and cannot run dry behind a mask.
_SCAN_AT_MOST = 10_000


class Found(NamedTuple):
    """What a store has of N keys: vectors: (N, D) float32, and known: (N,) bool.

    A row that is not known, because it is new or damaged, is zero.
    """

    vectors: Floats
    known: Mask


class VectorStore:
    """Vectors of `width` numbers in the file `path`, which appears with the first `append`."""

    def __init__(self, path: Path, *, width: int) -> None:
        self.path = path
        self._record = np.dtype(
            [("key", f"V{KEY_BYTES}"), ("vector", "<f4", (width,)), ("crc", "<u4")]
        )
        self._lock = Lock()
        self._rows: dict[bytes, int] = {}
        self._records: NDArray[np.void] = np.empty(0, self._record)

    def get(self, keys: Sequence[bytes]) -> Found:
        """The vectors of `keys` (16 bytes each), those that other processes added included."""
        with self._lock:
            self._read_new_records()
            records, known_rows = self._records, self._rows
            rows = np.array([known_rows.get(key, -1) for key in keys], dtype=np.int64)
        known = rows >= 0
        found = records[rows[known]]
        known[known] = intact = _checksums(found) == found["crc"]
        vectors = np.zeros((len(keys), *self._record["vector"].shape), np.float32)
        vectors[known] = found["vector"][intact]
        return Found(vectors, known)

    def append(self, keys: Sequence[bytes], vectors: Floats) -> None:
        """Add vectors: (N, D) float32 — of `keys`; of one key the latest counts.

        Raises:
            SetupError: the folder cannot be written to, or the disk is full.
        """
        expected = (len(keys), *self._record["vector"].shape)
        assert vectors.shape == expected, f"vectors are {vectors.shape}, expected {expected}"
        records = np.empty(len(keys), self._record)
        records["key"] = np.frombuffer(b"".join(keys), dtype=f"V{KEY_BYTES}")
        records["vector"] = vectors
        records["crc"] = _checksums(records)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                size = file.seek(0, os.SEEK_END)
                # Records must stay aligned: a writer that was killed may have left half of one.
                file.truncate(size - size % self._record.itemsize)
                file.write(records.tobytes())
        except OSError as error:
            raise SetupError(
                f"Vectors cannot be kept in {str(self.path)!r}: {error.strerror or error}; free the "
                f"disk, or name a folder that can be written to in MERCHGRAPH_CACHE."
            ) from error

    def _read_new_records(self) -> None:
        size = self.path.stat().st_size if self.path.exists() else 0
        count, seen = size // self._record.itemsize, len(self._records)
        if count == seen:
            return
        if count < seen:
            self._rows, seen = {}, 0  # the file was deleted or replaced
        self._records = (
            np.memmap(self.path, self._record, mode="r", shape=(count,))
            if count
            else np.empty(0, self._record)
        )
        keys = self._records["key"][seen:].tobytes()
        for row in range(seen, count):
            start = (row - seen) * KEY_BYTES
            self._rows[keys[start : start + KEY_BYTES]] = row


def _checksums(records: NDArray[np.void]) -> NDArray[np.uint32]:
    """(N,) uint32 — the crc32 of each record without its last field."""
    size = records.dtype.itemsize
    raw = memoryview(records.tobytes())
    ends = range(size, len(raw) + 1, size)
    return np.array([zlib.crc32(raw[end - size : end - 4]) for end in ends], dtype=np.uint32)


class Neighbours:
    """The N vectors of an index, as rows 0 to N - 1; safe to share between threads.

    `scan` compares with every vector. `near` asks HNSW where most rows may be returned. Where few
    may, it scans: asking HNSW for more and dropping what may not be returned could leave too few.
    """

    def __init__(self, vectors: Floats, client: Client) -> None:
        self.vectors = vectors
        self._client = client
        self._collection = client.get_collection(_COLLECTION, embedding_function=None)

    @staticmethod
    def write(folder: Path, vectors: Floats, *, progress: Progress | None = None) -> None:
        """Make the graph of vectors: (N, D) float32, normalised — in a new folder."""
        client = _chroma(folder)
        try:
            # Recall@20 on 20,770 texts is 0.998 for users, whose means lie between the items;
            # Chroma's defaults (100, 16, 100) reach 0.97. The graph is kept on disk each time that
            # `sync_threshold` more were added; a reader would have to make the rest again.
            collection = client.create_collection(
                _COLLECTION,
                configuration={
                    "hnsw": {
                        "space": "cosine",
                        "ef_search": 200,
                        "max_neighbors": 32,
                        "ef_construction": 200,
                        "sync_threshold": max(2, len(vectors)),
                    }
                },
                embedding_function=None,
            )
            for start in range(0, len(vectors), _ADDED_AT_ONCE):
                chunk = vectors[start : start + _ADDED_AT_ONCE]
                ids = [str(row) for row in range(start, start + len(chunk))]
                collection.add(ids=ids, embeddings=list(chunk))
                if progress:
                    progress(start + len(chunk), len(vectors))
        finally:
            _close(client)
        (folder / _SIZES).write_text(json.dumps(_sizes(folder)), encoding="utf-8")

    @staticmethod
    def complete(folder: Path) -> bool:
        """Whether `write` came to its end and every file still has its size.

        Chroma itself would answer from what is left when a file of its graph is gone.
        """
        try:
            sizes = (folder / _SIZES).read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        return sizes == json.dumps(_sizes(folder))

    @classmethod
    def open(cls, folder: Path, vectors: Floats) -> Neighbours:
        """The graph that `write` made of the same vectors.

        Raises:
            SetupError: Chroma is not installed or cannot read the folder.
        """
        client = _chroma(folder)
        from chromadb.errors import ChromaError

        try:
            return cls(vectors, client)
        except ChromaError as error:
            _close(client)
            raise _unreadable(folder, error) from error

    def close(self) -> None:
        """Release Chroma's files; `near` cannot be asked afterwards."""
        _close(self._client)

    def near(self, unit: Floats, *, k: int, alive: Mask | None = None) -> Rows:
        """The k rows nearest to unit: (D,) float32, normalised — nearly always, in any order.

        Args:
            unit: the query.
            k: how many; more may come back, fewer only if fewer are alive.
            alive: (N,) bool — the rows that may be returned; None is all.
        """
        total = len(self.vectors)
        if alive is None:
            return self._hnsw(unit, min(k, total))
        if np.count_nonzero(alive) > _SCAN_AT_MOST:
            for fetch in (2 * k, 8 * k, 32 * k):
                rows = self._hnsw(unit, min(fetch, total))
                rows = rows[alive[rows]]
                if len(rows) >= k:
                    return rows
        return self.scan(unit, k=k, alive=alive)

    def scan(self, unit: Floats, *, k: int, alive: Mask | None = None) -> Rows:
        """As `near`, but always right, and with every row that ties with the last."""
        total = len(self.vectors)
        rows = np.arange(total) if alive is None else np.flatnonzero(alive)
        if len(rows) <= k:
            return rows
        # Copying rows costs more than multiplying rows that are not needed, unless they are few.
        few = len(rows) < total // 8
        scores = self.cosines(unit, rows) if few else self.cosines(unit)[rows]
        best: Mask = scores >= np.partition(scores, -k)[-k] - 1e-6
        return rows[best]

    def cosines(self, unit: Floats, rows: Rows | slice = _ALL) -> Floats:
        """(N,) float32 — of the rows with unit: (D,) float32, normalised."""
        # One product per row gives a row the same cosine whatever rows stand beside it, and is
        # steadier than BLAS, whose threads wait for each other on a busy machine (8 ms for 1).
        cosines: Floats = np.vecdot(self.vectors[rows], unit)
        return cosines

    def _hnsw(self, unit: Floats, count: int) -> Rows:
        found = self._collection.query(
            query_embeddings=[unit.tolist()], n_results=count, include=[]
        )
        return np.array(found["ids"][0], dtype=np.int64)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; other threads and processes wait."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _chroma(folder: Path) -> Client:
    try:
        import chromadb
    except ModuleNotFoundError as error:
        raise SetupError(
            f"An index needs the package {error.name!r}, which is not installed: {INSTALL}."
        ) from error
    from chromadb.config import Settings
    from chromadb.errors import ChromaError

    settings = Settings(anonymized_telemetry=False)
    try:
        with _one_at_a_time:
            return cast("Client", chromadb.PersistentClient(folder, settings=settings))
    except ChromaError as error:
        raise _unreadable(folder, error) from error


def _close(client: Client) -> None:
    with _one_at_a_time:
        client.close()


def _unreadable(folder: Path, error: Exception) -> SetupError:
    return SetupError(
        f"Chroma cannot read the index in {str(folder)!r} ({error}); delete that folder and build "
        f"the index again in a new process."
    )


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes per file, by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _SIZES)
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
