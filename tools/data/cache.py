"""Tables kept as Arrow files, so that the second load of a shop takes a fraction of the first.

    <cache>/data/complete_journey/3f9c.../  contents.json  items.arrow  events.arrow

The folder's name is a fingerprint of the sources and of the loader: other sources never meet old tables.
`contents.json` is written last and holds each file's checksum; a folder that does not match it is
built again. Every file appears under its name in one step, so two processes may build at once.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import polars as pl

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.files import put
from merchgraph.runtime.log import logger
from merchgraph.runtime.settings import settings

CONTENTS = "contents.json"


def fingerprint(files: Iterable[Path], *, version: str) -> str:
    """16 hex digits that depend on the files' bytes, their order and `version`, not on their paths."""
    digest = hashlib.sha256(version.encode())
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def cached(
    name: str, build: Callable[[], Mapping[str, pl.DataFrame]]
) -> Mapping[str, pl.DataFrame]:
    """The tables kept under `name`, built and kept first if they are absent or damaged.

    Args:
        name: folder below the cache's `data` folder; holds everything that the tables depend on.
        build: makes the tables; its keys become file names.

    Raises:
        SetupError: the cache folder cannot be written.
    """
    folder = settings().cache_dir / "data" / name
    kept = _read(folder)
    if kept is not None:
        return kept
    built = build()
    _write(folder, built)
    return built


def _read(folder: Path) -> dict[str, pl.DataFrame] | None:
    try:
        contents = json.loads((folder / CONTENTS).read_bytes())
        tables = {}
        for table, checksum in contents.items():
            data = (folder / f"{table}.arrow").read_bytes()
            if zlib.crc32(data) != checksum:
                raise ValueError(f"{table}.arrow does not match its checksum")
            tables[table] = pl.read_ipc(data)
        return tables
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, AttributeError, pl.exceptions.PolarsError) as error:
        logger("data").warning("cache_damaged", folder=str(folder), error=str(error))
        return None


def _write(folder: Path, tables: Mapping[str, pl.DataFrame]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        checksums = {}
        for name, table in tables.items():
            # lz4 reads as fast as plain Arrow here, from an eighth of the bytes
            stream = table.write_ipc(None, compression="lz4")
            data = stream.getvalue()
            checksums[name] = zlib.crc32(data)
            put(folder / f"{name}.arrow", data)
        put(folder / CONTENTS, json.dumps(checksums).encode())
    except OSError as error:
        raise SetupError(
            f"The cache folder {str(folder)!r} cannot be written ({error.strerror or error}); "
            f"set MERCHGRAPH_CACHE to a folder that can, or make room there."
        ) from error
