import asyncio
import threading
from collections.abc import Awaitable, Callable

import openai
import pytest
from langchain_core.messages import HumanMessage

from merchgraph.runtime.errors import BudgetError, EndpointError
from merchgraph.runtime.ledger import collect
from merchgraph.runtime.limits import Attempted, Limiter, attempt, explain, retry_after_s, transient
from merchgraph.runtime.settings import use_settings
from tests.runtime.conftest import Faulty
from tests.runtime.faulty_server import say, slow, status

HI = [HumanMessage("hi")]


async def _try(limiter: Limiter, send: Callable[[], Awaitable[str]]) -> Attempted[str]:
    return await attempt(limiter, "http://there", send)


def _failing(times: int, error: Exception) -> Callable[[], Awaitable[str]]:
    left = iter(range(times))

    async def send() -> str:
        if next(left, None) is not None:
            raise error
        return "ok"

    return send


def test_the_cap_holds_over_event_loops_and_threads(faulty: Faulty) -> None:
    model, server = faulty(always=slow(0.02, say("ok")), concurrency=3, stall_timeout_s=10)
    problems: list[BaseException] = []

    async def many() -> None:
        async with asyncio.timeout(20):
            await asyncio.gather(*(model.ainvoke(HI) for _ in range(8)))

    def work() -> None:
        try:
            asyncio.run(many())
        except BaseException as error:
            problems.append(error)
            raise

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    limiter = model.endpoint.limiter
    assert problems == []
    assert len(server.requests) == 32
    assert server.most_open == limiter.peak == 3
    assert limiter.in_flight == 0
    assert limiter.spent == 32 * 13


async def test_a_slot_comes_back_after_an_error_and_after_a_cancellation() -> None:
    limiter, never = Limiter("x/y", 1), asyncio.Event()

    async def hang() -> str:
        await never.wait()
        return "late"

    with pytest.raises(KeyError):
        await _try(limiter, _failing(1, KeyError("bug")))
    holding = asyncio.create_task(_try(limiter, hang))
    queued = asyncio.create_task(_try(limiter, hang))
    await asyncio.sleep(0.01)
    assert limiter.in_flight == 1
    queued.cancel()
    holding.cancel()
    await asyncio.gather(queued, holding, return_exceptions=True)
    assert limiter.in_flight == 0
    async with asyncio.timeout(1):
        assert (await _try(limiter, _failing(0, KeyError()))).value == "ok"


async def test_a_retry_that_waits_holds_no_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("merchgraph.runtime.limits._wait", lambda state: 0.2)
    limiter, order = Limiter("x/y", 1), []

    async def ask(name: str, send: Callable[[], Awaitable[str]]) -> None:
        await _try(limiter, send)
        order.append(name)

    await asyncio.gather(
        ask("fails first", _failing(1, ConnectionError())), ask("fine", _failing(0, KeyError()))
    )
    assert order == ["fine", "fails first"]


async def test_time_in_the_queue_counts_neither_as_service_nor_against_the_deadline() -> None:
    limiter = Limiter("x/y", 1)

    async def send() -> str:
        await asyncio.sleep(0.15)
        return "ok"

    with use_settings(request_timeout_s=0.3):
        done = await asyncio.gather(*(_try(limiter, send) for _ in range(5)))
    last = max(done, key=lambda each: each.waited_s)
    assert last.waited_s > 0.5
    assert last.seconds < 0.3


async def test_no_try_starts_after_the_deadline() -> None:
    tries = 0

    async def send() -> str:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0.2)
        raise ConnectionError("reset by peer")

    with (
        use_settings(request_timeout_s=0.3, attempts=20),
        pytest.raises(EndpointError, match=r"did not answer \(reset by peer, 2 tries\)"),
    ):
        await _try(Limiter("vllm/y", 1), send)
    assert tries == 2


async def test_a_used_up_budget_refuses_the_next_request_unsent(faulty: Faulty) -> None:
    model, server = faulty(always=say("ok"), token_budget=20)
    await model.ainvoke(HI)
    await model.ainvoke(HI)
    with (
        collect() as calls,
        pytest.raises(BudgetError, match=r"vllm/x is used up \(26 of 20\); raise MERCHGRAPH_TOKEN"),
    ):
        await model.ainvoke(HI)
    assert len(server.requests) == 2
    assert calls == []


async def test_the_budget_also_stops_what_stands_in_the_queue(faulty: Faulty) -> None:
    model, server = faulty(always=say("ok"), token_budget=20, concurrency=1)
    done = await asyncio.gather(*(model.ainvoke(HI) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(each, BudgetError) for each in done) == 4
    assert len(server.requests) == 2


async def test_each_retry_is_an_event_with_its_reason_and_wait(
    faulty: Faulty, caplog: pytest.LogCaptureFixture
) -> None:
    model, _ = faulty(status(503), say("ok"))
    await model.ainvoke(HI)
    [line] = [text for text in caplog.messages if "endpoint.retry" in text]
    assert '"endpoint": "vllm/x"' in line
    assert "503" in line


async def test_a_bug_is_not_retried_and_not_renamed() -> None:
    bug = KeyError("price")
    with pytest.raises(KeyError) as caught:
        await _try(Limiter("x/y", 1), _failing(9, bug))
    assert caught.value is bug
    assert bug.__cause__ is None


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(), openai.APIError])
def test_transport_faults_are_transient(error: object) -> None:
    import httpx2

    if isinstance(error, type):
        error = openai.APIError("engine died", httpx2.Request("POST", "http://there"), body=None)
    assert isinstance(error, Exception)
    assert transient(error)
    assert not transient(ValueError("bug"))


def test_the_wait_that_a_server_asks_for_is_never_negative() -> None:
    class Asked(Exception):
        class response:
            headers = {"retry-after": "-3"}  # noqa: RUF012

    assert retry_after_s(Asked()) == 0
    Asked.response.headers = {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert retry_after_s(Asked()) == 0
    Asked.response.headers = {"retry-after": "soon"}
    assert retry_after_s(Asked()) is None
    assert retry_after_s(None) is None


def test_a_connection_that_is_never_made_blames_the_right_setting() -> None:
    import httpx2

    late = openai.APITimeoutError(httpx2.Request("POST", "http://there"))
    late.__cause__ = httpx2.ConnectTimeout("")
    with use_settings(connect_timeout_s=1.5):
        told = explain(late, "vllm/x", "http://there", 2)
    assert "took no connection in 1.5 s (2 tries)" in str(told)
    assert "MERCHGRAPH_CONNECT_TIMEOUT_S" in str(told)


def test_the_embedded_engine_is_blamed_without_settings_that_it_does_not_have() -> None:
    told = explain(ConnectionError("reset"), "embedded/smollm2-135m", "http://there", 2)
    assert "MERCHGRAPH_EMBEDDED" not in str(told)


def test_counters_survive_many_threads() -> None:
    limiter = Limiter("x/y", 4)

    def spend() -> None:
        for _ in range(2000):
            limiter.spend(1)

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert limiter.spent == 8000
