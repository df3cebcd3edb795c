"""How cases are drawn and answered: order, pairing, failures, resuming, an end before the end."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from pydantic import BaseModel

from merchgraph.evals.suite import Answer, Case, System, draw, evaluate
from merchgraph.runtime.errors import BudgetError, MerchgraphError, SetupError, ToolError
from merchgraph.runtime.ledger import Call, Usage

CASES = [Case(id=f"case {n}", segment="ab"[n % 2], request={"n": n}, truth={}) for n in range(12)]
Answering = Callable[[Case], Awaitable[Answer]]


class Settings(BaseModel):
    shop: str = "tiny"


async def right(case: Case) -> Answer:
    await asyncio.sleep(0)
    return Answer(value={"n": case.request["n"]}, usage=Usage(calls=1))


async def wrong(case: Case) -> Answer:
    return Answer(value={"n": -1})


@dataclass
class Tiny:
    """A suite whose metric is whether a number came back."""

    answers: dict[str, Answering] = field(default_factory=lambda: {"right": right, "wrong": wrong})
    all: list[Case] = field(default_factory=lambda: CASES)
    reference: str = "right"
    name: str = "tiny"
    params: Settings = field(default_factory=Settings)

    def cases(self) -> list[Case]:
        return self.all

    def systems(self) -> list[System]:
        return [System(name, answer, "baseline") for name, answer in self.answers.items()]

    def score(self, case: Case, answer: Answer) -> dict[str, float]:
        n = case.request["n"]
        return {"Same": float(answer.value["n"] == n), "Even": math.nan if n % 2 else 1.0}


@dataclass
class Ended:
    """One run of the recorder below."""

    memory: "Memory"
    key: tuple[str, str]

    def end(self, answer: Answer, metrics: dict[str, float]) -> None:
        self.memory.kept[self.key] = (answer, metrics)


@dataclass
class Memory:
    """A recorder that keeps finished runs, and what it saw begin."""

    kept: dict[tuple[str, str], tuple[Answer, dict[str, float]]] = field(default_factory=dict)
    begun: list[tuple[str, str]] = field(default_factory=list)
    broken: list[BaseException] = field(default_factory=list)

    def done(self, case: Case, system: str) -> Answer | None:
        found = self.kept.get((case.id, system))
        return found[0] if found else None

    @contextmanager
    def run(self, case: Case, system: str) -> Iterator[Ended]:
        self.begun.append((case.id, system))
        try:
            yield Ended(self, (case.id, system))
        except BaseException as error:
            self.broken.append(error)
            raise


def failing(error: Exception, *, at: int = 3) -> Answering:
    async def answer(case: Case) -> Answer:
        if case.request["n"] == at:
            raise error
        return await right(case)

    return answer


async def test_every_system_answers_every_case_in_a_fixed_order() -> None:
    outcomes = await evaluate(Tiny())
    expected = [(case.id, name) for case in draw(CASES) for name in ("right", "wrong")]
    assert [(outcome.case, outcome.system) for outcome in outcomes] == expected
    assert {outcome.metrics["Same"] for outcome in outcomes if outcome.system == "right"} == {1.0}
    assert {outcome.metrics["Same"] for outcome in outcomes if outcome.system == "wrong"} == {0.0}
    assert outcomes == await evaluate(Tiny(), at_once=1)
    assert outcomes[0].usage.calls == 1


async def test_an_undefined_metric_is_left_out() -> None:
    segments = {outcome.segment: set(outcome.metrics) for outcome in await evaluate(Tiny())}
    assert segments == {"a": {"Same", "Even"}, "b": {"Same"}}


def test_a_sample_grows_with_its_limit_and_changes_with_its_seed() -> None:
    assert draw(CASES, limit=5) == draw(CASES, limit=9)[:5]
    assert len(draw(CASES, limit=99)) == len(draw(CASES)) == 12
    assert draw(CASES, limit=5, seed=1) != draw(CASES, limit=5)
    assert draw(CASES[::-1]) == draw(CASES)


def test_a_sample_is_the_same_in_every_process() -> None:
    drawn = [case.id for case in draw(CASES, limit=3)]
    assert drawn == ["case 7", "case 11", "case 10"]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(SetupError, match=rf"at least 1, not {limit}"):
        draw(CASES, limit=limit)


async def test_a_suite_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(SetupError, match="no case"):
        await evaluate(Tiny(all=[]))
    with pytest.raises(ValueError, match="same id"):
        await evaluate(Tiny(all=[CASES[0], CASES[0]]))
    with pytest.raises(ValueError, match="none of the systems"):
        await evaluate(Tiny(reference="best"))
    with pytest.raises(ValueError, match="not 0"):
        await evaluate(Tiny(), at_once=0)

    class Twins(Tiny):
        def systems(self) -> list[System]:
            return super().systems() * 2

    with pytest.raises(ValueError, match="same name"):
        await evaluate(Twins())


async def test_so_many_cases_run_at_once_and_the_systems_of_each_in_turn() -> None:
    running: set[str] = set()
    most = 0

    async def slow(case: Case) -> Answer:
        nonlocal most
        assert case.id not in running
        running.add(case.id)
        most = max(most, len(running))
        for _ in range(5):
            await asyncio.sleep(0)
        running.remove(case.id)
        return await right(case)

    await evaluate(Tiny({"right": slow, "again": slow}), at_once=3)
    assert most == 3


async def test_a_failure_is_an_outcome_that_says_so_and_the_rest_goes_on() -> None:
    error = ToolError("The shop has closed.")
    error.calls = [Call(agent="nli", model="m", prompt_tokens=7)]
    memory = Memory()
    outcomes = await evaluate(Tiny({"right": right, "frail": failing(error)}), recorder=memory)
    failed = [outcome for outcome in outcomes if outcome.error]
    assert [(outcome.case, outcome.system) for outcome in failed] == [("case 3", "frail")]
    assert failed[0].error == "The shop has closed."
    assert failed[0].metrics == {}
    assert failed[0].usage.prompt_tokens == 7
    assert len(outcomes) == 24
    assert ("case 3", "frail") not in memory.kept
    assert memory.broken == [error]


@pytest.mark.parametrize("error", [SetupError("No key."), BudgetError("Spent."), KeyError("bug")])
async def test_what_no_case_could_do_better_ends_the_run_and_keeps_what_is_finished(
    error: Exception,
) -> None:
    memory = Memory()
    with pytest.raises(type(error)) as raised:
        await evaluate(Tiny({"right": right, "frail": failing(error)}), recorder=memory, at_once=2)
    assert raised.value is error
    assert ("case 3", "right") in memory.kept
    assert len(memory.begun) < 24


async def test_an_interrupted_run_goes_on_where_it_stopped() -> None:
    memory, stop = Memory(), asyncio.Event()

    async def until_stopped(case: Case) -> Answer:
        if len(memory.kept) >= 5:
            stop.set()
            await asyncio.Event().wait()
        return await right(case)

    running = asyncio.create_task(evaluate(Tiny({"right": until_stopped}), recorder=memory))
    await stop.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert 5 <= len(memory.kept) < 12
    finished = set(memory.kept)
    memory.begun.clear()
    outcomes = await evaluate(Tiny({"right": right}), recorder=memory)
    assert set(memory.begun) == {(case.id, "right") for case in CASES} - finished
    assert outcomes == await evaluate(Tiny({"right": right}))


async def test_the_recorder_gets_the_answer_and_its_metrics() -> None:
    memory = Memory()
    await evaluate(Tiny(), limit=2, recorder=memory)
    answer, metrics = memory.kept["case 11", "wrong"]
    assert answer == Answer(value={"n": -1})
    assert metrics == {"Same": 0.0}


async def test_progress_counts_every_answer_failures_too() -> None:
    seen: list[tuple[int, int]] = []
    suite = Tiny({"right": right, "frail": failing(MerchgraphError("no"))})
    await evaluate(suite, limit=5, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 10) for done in range(1, 11)]
