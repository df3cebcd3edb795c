"""A replay that leaves recorded runs out is no replay of the file, and says which they are."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from merchgraph.graphs import arag
from merchgraph.graphs.arag import Context, Request
from merchgraph.runtime.errors import TapeError
from merchgraph.runtime.recording import recorded, replayed
from merchgraph.runtime.scripted import scripted
from merchgraph.runtime.trace_file import read
from tests.graphs.conftest import corner as corner
from tests.graphs.conftest import replies

pytestmark = pytest.mark.usefixtures("corner")
SLATE = ["tea", "cake", "soap", "rice"]
REQUESTS = [Request(user="ann", candidates=SLATE[n % 4 :] + SLATE[: n % 4]) for n in range(7)]
CONTEXT = Context(model="scripted/r", k=2, rationales=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A trace of seven runs."""
    path = tmp_path / "x.jsonl.zst"
    with scripted(replies(), name="r"), recorded(path):
        for request in REQUESTS:
            arag.run(request, CONTEXT)
    return path


def play(file: Path, requests: Sequence[Request], error: BaseException | None = None) -> None:
    """Replay some runs, and perhaps break off."""
    with replayed(file):
        for request in requests:
            arag.run(request, CONTEXT)
        if error is not None:
            raise error


@pytest.mark.parametrize(
    ("played", "named"),
    [(1, "2, run-3, run-4, run-5, run-6 and 1 more"), (4, "5, run-6, run-7"), (6, "7")],
)
def test_runs_that_were_never_played_are_named(file: Path, played: int, named: str) -> None:
    told = rf"ended before {7 - played} of the 7 runs in .* were played: run-{named}; .*new file"
    with pytest.raises(TapeError, match=told):
        play(file, REQUESTS[:played])


def test_all_runs_in_any_order_are_enough(file: Path) -> None:
    play(file, REQUESTS[::-1])


def test_a_block_that_breaks_off_fails_as_it_did(file: Path) -> None:
    with pytest.raises(KeyError, match="mine"):
        play(file, REQUESTS[:1], KeyError("mine"))


def test_the_runs_of_a_suite_need_not_be_played(tmp_path: Path) -> None:
    path = tmp_path / "y.jsonl.zst"
    with scripted(replies(), name="r"), recorded(path) as recorder:
        arag.run(REQUESTS[0], CONTEXT)
        with recorder.run("1/ARAG", case={"id": "1"}, system="ARAG") as take:
            found = arag.run(REQUESTS[1], CONTEXT)
            take.answered({}, {}, found.usage)
    assert [run.begin.graph for run in read(path).runs.values()] == ["arag", "arag"]
    play(path, REQUESTS[:1])
