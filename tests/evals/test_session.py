"""A sitting of any suite: what stays in the file when it ends well, badly, or half way."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import BaseModel

from merchgraph.evals.session import SUITES, Prepared, make, run_suite
from merchgraph.evals.suite import Answer, Case, Progress, System
from merchgraph.evals.taped import Taped
from merchgraph.runtime.errors import BudgetError, SetupError
from merchgraph.runtime.playing import on_tape
from merchgraph.runtime.recorder import Recorder
from merchgraph.runtime.trace_file import read


class Settings(BaseModel):
    shop: str = "tiny"


@dataclass
class Counting:
    """A suite whose one system looks a number up.

    Attributes:
        looked_up: the cases whose number was looked up, and not served.
        stops: ends the sitting at a case.
    """

    stops: dict[str, BaseException] = field(default_factory=dict)
    params: Settings = field(default_factory=Settings)
    looked_up: list[str] = field(default_factory=list)
    prepared: int = 0
    name: str = "counting"
    reference: str = "count"
    at_once: int = 1
    notes: Sequence[str] = ("counted by hand",)

    async def prepare(self, recorder: Taped, progress: Progress | None = None) -> None:
        assert progress is not None
        progress(1, 1)
        self.prepared += 1

    def cases(self) -> list[Case]:
        return [Case(id=f"{n}", request={"n": n}, truth={}) for n in range(8)]

    def systems(self) -> list[System]:
        return [System("count", self._count, "baseline")]

    async def _count(self, case: Case) -> Answer:
        if case.id in self.stops:
            raise self.stops[case.id]

        def look_up() -> int:
            self.looked_up.append(case.id)
            return int(case.request["n"])

        return Answer(value={"n": await on_tape("look up", look_up, int, case=case.id)})

    def score(self, case: Case, answer: Answer) -> dict[str, float]:
        return {"Same": float(answer.value["n"] == case.request["n"])}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "x.jsonl.zst"


def sit(suite: Prepared, limit: int | None = None, file: Path | None = None) -> int:
    return asyncio.run(run_suite(suite, limit=limit, path=file)).n


def test_a_sitting_is_prepared_answered_and_closed(file: Path) -> None:
    suite, told = Counting(), list[tuple[str, int, int]]()

    def telling(stage: str) -> Callable[[int, int], None]:
        return lambda done, total: told.append((stage, done, total))

    report = asyncio.run(run_suite(suite, limit=3, path=file, telling=telling))
    assert (report.n, report.notes, suite.prepared) == (3, ["counted by hand"], 1)
    assert told == [("fitting", 1, 1), *(("cases", n, 3) for n in (1, 2, 3))]
    trace = read(file)
    assert (len(trace.runs), trace.closed) == (3, True)
    assert trace.headers[0].params == {"suite": "counting", "params": {"shop": "tiny"}}


def test_without_a_path_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert sit(Counting()) == 8
    assert list(tmp_path.iterdir()) == []


ENDS = [SetupError("no key"), BudgetError("used up"), KeyboardInterrupt(), ValueError("a bug")]


@pytest.mark.parametrize("error", ENDS, ids=lambda error: type(error).__name__)
def test_however_a_sitting_ends_its_answers_stay_and_the_next_one_goes_on(
    file: Path, error: BaseException
) -> None:
    order = [case for case in read_order() if case]
    suite = Counting(stops={order[3]: error})
    with pytest.raises(type(error)):
        sit(suite, file=file)
    trace = read(file)
    assert (sorted(trace.cases), trace.closed, trace.problems) == (sorted(order[:3]), False, [])
    suite.stops.clear()
    assert sit(suite, file=file) == 8
    assert sorted(suite.looked_up) == sorted(order)  # each of them once
    assert read(file).closed


def read_order() -> list[str]:
    """The order in which cases are drawn."""
    suite = Counting()
    sit(suite)
    return suite.looked_up


def test_other_settings_need_another_file_and_ask_nothing(file: Path) -> None:
    sit(Counting(), 2, file)
    other = Counting(params=Settings(shop="large"))
    with pytest.raises(SetupError, match=r"with shop = 'tiny', now it is 'large'"):
        sit(other, 2, file)
    assert (other.prepared, other.looked_up) == (0, [])


def test_a_file_in_use_is_said_before_anything_is_asked(file: Path) -> None:
    recorder, suite = Recorder(file), Counting()
    with pytest.raises(SetupError, match="process is recording into"):
        sit(suite, 2, file)
    assert suite.prepared == 0
    recorder.close()


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one_is_no_sample(file: Path, limit: int) -> None:
    with pytest.raises(SetupError, match=f"at least 1, not {limit}"):
        sit(Counting(), limit, file)


def test_suites_have_names() -> None:
    assert make("arag", {}).name == "arag" in SUITES
    with pytest.raises(SetupError, match="There is no suite 'cartz'; there is arag, "):
        make("cartz", {})
