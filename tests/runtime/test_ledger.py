import asyncio

import pytest

from merchgraph.runtime.ledger import Call, Site, Usage, at, collect, here, record, usage_by


def test_usage_sums_calls_retries_repairs_and_failures() -> None:
    calls = [
        Call(agent="nli", model="m", prompt_tokens=10, cached_tokens=4, completion_tokens=1,
             seconds=1.5, waited_s=0.5, tries=3, cost_usd=0.25),
        Call(agent="rank", model="m", prompt_tokens=5, repair=True, failed=True, cost_usd=0.5),
    ]  # fmt: skip
    assert Usage.of(calls) == Usage(
        calls=2, prompt_tokens=15, cached_tokens=4, completion_tokens=1, seconds=1.5, waited_s=0.5,
        retries=2, repairs=1, failures=1, cost_usd=0.75,
    )  # fmt: skip


def test_one_call_without_a_price_leaves_the_sum_without_one() -> None:
    calls = [Call(agent="a", model="m", cost_usd=1.0), Call(agent="a", model="m")]
    assert Usage.of(calls).cost_usd is None
    assert Usage.of([]).cost_usd is None


def test_usage_is_grouped_in_order_of_first_appearance() -> None:
    calls = [Call(agent=agent, node=f"n-{agent}", model="m") for agent in ("b", "a", "b")]
    assert {name: usage.calls for name, usage in usage_by(calls, "agent").items()} == {
        "b": 2,
        "a": 1,
    }
    assert list(usage_by(calls, "node")) == ["n-b", "n-a"]


def test_sites_nest_and_end_with_their_block() -> None:
    with at(node="score", lane="milk"), at(agent="nli"):
        with at(repair=True) as site:
            assert here() == site == Site("score", "milk", "nli", repair=True)
        assert not here().repair
    assert here() == Site()


async def test_calls_of_tasks_go_to_the_innermost_block_that_started_them() -> None:
    async def work(name: str) -> list[Call]:
        with collect() as mine:
            await asyncio.sleep(0)
            await asyncio.gather(asyncio.create_task(_record(name)), asyncio.to_thread(_sync, name))
        return mine

    with collect() as outer:
        first, second = await asyncio.gather(work("a"), work("b"))
    assert [call.agent for call in first] == ["a", "a"]
    assert [call.agent for call in second] == ["b", "b"]
    assert outer == []


async def _record(name: str) -> None:
    _sync(name)


def _sync(name: str) -> None:
    record(Call(agent=name, model="m"))


def test_a_call_outside_of_any_block_is_nobodys() -> None:
    record(Call(agent="a", model="m"))


def test_a_call_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Call(agent="a", model="m").tries = 2
