"""Whatever a user's file holds, reading it gives a value or one sentence, and touches nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from merchgraph.runtime.errors import MerchgraphError, TapeError
from tests.fuzz.kept import KEPT
from tests.fuzz.readers import READERS, Reader
from tests.fuzz.wild import (
    of_csv,
    of_journal,
    of_json,
    of_lines,
    of_parquet,
    of_sqlite,
    of_trace,
    of_yaml,
    spoilt,
)

EXAMPLES = int(os.environ.get("MERCHGRAPH_FUZZ", "25"))
"""Per reader and way of spoiling; `MERCHGRAPH_FUZZ=2000` looks long."""
VALUES: dict[str, Callable[[bytes], st.SearchStrategy[bytes]]] = {
    ".yaml": of_yaml, ".json": of_json, ".csv": of_csv, ".jsonl": of_journal, ".parquet": of_parquet,
    ".zst": of_trace, ".ndjson": of_lines, ".sqlite": of_sqlite,
}  # fmt: skip
ALL = [*READERS, *KEPT]
SOME = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))


def read_spoilt(reader: Reader, data: bytes) -> None:
    """Read the files with one of them spoilt."""
    with TemporaryDirectory() as root:
        inside, beside = Path(root, "inside"), Path(root, "beside")
        inside.mkdir()
        beside.mkdir()
        reader.make(inside)
        (inside / reader.file).write_bytes(data)
        here = os.getcwd()
        os.chdir(beside)
        told = ""
        try:
            reader.read(inside)
        except TapeError:  # shows a difference, line by line
            pass
        except MerchgraphError as error:
            told = str(error)
        finally:
            os.chdir(here)
        assert "\n" not in told.removesuffix("\n")
        assert list(Path(root).iterdir()) in ([inside, beside], [beside, inside])
        assert not list(beside.iterdir())


def good(reader: Reader) -> bytes:
    with TemporaryDirectory() as root:
        reader.make(Path(root))
        data = Path(root, reader.file).read_bytes()
        assert reader.read(Path(root)) is not None
    return data


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of a failure
@pytest.mark.parametrize("reader", ALL, ids=lambda reader: reader.name)
def test_spoilt_bytes_are_read_or_refused(reader: Reader) -> None:
    @SOME
    @given(spoilt(good(reader)))
    def each(data: bytes) -> None:
        read_spoilt(reader, data)

    each()


def kind(reader: Reader) -> str:
    return reader.kind or Path(reader.file).suffix


WITH_VALUES = [reader for reader in ALL if kind(reader) in VALUES]


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # of a failure
@pytest.mark.parametrize("reader", WITH_VALUES, ids=lambda reader: reader.name)
def test_other_values_are_read_or_refused(reader: Reader) -> None:
    @SOME
    @given(VALUES[kind(reader)](good(reader)))
    def each(data: bytes) -> None:
        read_spoilt(reader, data)

    each()
