"""Every way in which a model server fails ends in a retry or in a sentence, in bounded time."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from langchain_core.messages import HumanMessage

from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.errors import EndpointError, MerchgraphError, SetupError
from merchgraph.runtime.ledger import collect
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.settings import use_settings
from tests.runtime.conftest import KEY, Faulty
from tests.runtime.faulty_server import (
    Exchange,
    Fault,
    body,
    completion,
    drip,
    drop,
    drop_in_body,
    say,
    slow,
    stall,
    status,
    stream,
)

HI = [HumanMessage("hi")]
HALF = completion("hello")[:60]


async def _words(model: ChatModel) -> list[str]:
    return [str(chunk.content) async for chunk in model.astream(HI) if chunk.content]


@pytest.mark.parametrize(
    "fault",
    [
        status(429),
        status(429, retry_after="nonsense"),
        status(408),
        status(500),
        status(503),
        drop,
        drop_in_body,
        stall,
        body(HALF),
        body(b""),
        body(b"<html>", kind="text/html"),
        body(b'{"error": {"message": "overloaded", "code": 529}}'),
    ],
)
async def test_a_passing_fault_is_tried_again(fault: Fault, faulty: Faulty) -> None:
    model, server = faulty(fault, say("hello"))
    async with asyncio.timeout(5):
        with collect() as calls:
            reply = await model.ainvoke(HI)
    assert reply.content == "hello"
    assert len(server.requests) == 2
    [call] = calls
    assert (call.tries, call.failed) == (2, False)
    assert (call.prompt_tokens, call.cached_tokens, call.completion_tokens) == (10, 4, 3)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (status(429), "is overloaded (HTTP 429, 3 tries); lower MERCHGRAPH_CONCURRENCY"),
        (
            status(500, "boom"),
            "failed (HTTP 500, 3 tries): Error code: 500 - boom; look at its log",
        ),
        (status(503), "failed (HTTP 503, 3 tries)"),
        (
            drop,
            "did not answer (Server disconnected without sending a response., 3 tries); start it",
        ),
        (drop_in_body, "without sending complete message body"),
        (
            stall,
            "stayed silent for 0.3 s (3 tries); look at its load, or raise MERCHGRAPH_STALL_TIME",
        ),
        (body(HALF), "sent a reply that is no chat completion (Unterminated string"),
        (body(b"[]"), "look at its log, and at MERCHGRAPH_VLLM_BASE_URL"),
        (body(b"<html>", kind="text/html"), "sent a reply that is no chat completion"),
        (body(b'{"id": "1", "choices": []}'), "(it has no choices, 3 tries)"),
        (body(b'{"id": "1", "choices": null}'), "sent a reply that is no chat completion"),
    ],
)
async def test_a_lasting_fault_ends_after_all_tries_in_a_sentence(
    fault: Fault, sentence: str, faulty: Faulty
) -> None:
    model, server = faulty(always=fault)
    with collect() as calls, pytest.raises(EndpointError) as caught:
        async with asyncio.timeout(5):
            await model.ainvoke(HI)
    assert str(caught.value).startswith(f"The model server at {server.url} ")
    assert sentence in str(caught.value)
    assert len(server.requests) == 3
    assert [(call.tries, call.failed) for call in calls] == [(3, True)]


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        (status(400, "too long"), EndpointError, "(HTTP 400): Error code: 400 - too long."),
        (status(401, f"no such key: {KEY}"), SetupError, "set MERCHGRAPH_VLLM_API_KEY to a valid"),
        (status(403), SetupError, "refused the key (HTTP 403)"),
        (status(404), SetupError, "does not serve the model 'x' (HTTP 404); `merchgraph doctor`"),
        (status(422), EndpointError, "refused the request (HTTP 422)"),
        (
            status(429, error_code="insufficient_quota"),
            SetupError,
            "the quota of the key is used up",
        ),
        (status(400, f"bad: Bearer {KEY}"), EndpointError, "bad: Bearer [hidden]"),
    ],
)
async def test_a_refusal_that_time_will_not_mend_is_never_tried_again(
    fault: Fault, kind: type[MerchgraphError], sentence: str, faulty: Faulty
) -> None:
    model, server = faulty(always=fault)
    with collect() as calls, pytest.raises(kind) as caught:
        await model.ainvoke(HI)
    assert server.url in str(caught.value)
    assert sentence in str(caught.value)
    assert KEY not in str(caught.value)
    assert len(server.requests) == 1
    assert [(call.tries, call.failed) for call in calls] == [(1, True)]


async def test_the_key_travels_in_the_header_alone(faulty: Faulty) -> None:
    model, server = faulty(say("hello"))
    await model.ainvoke(HI)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(model)
    assert KEY not in repr(model.endpoint)


async def test_a_password_in_the_address_is_in_no_sentence(faulty: Faulty) -> None:
    _, server = faulty(always=status(500))
    secret = server.url.replace("://", "://ann:hunter22@")
    with use_settings(vllm_base_url=secret), pytest.raises(EndpointError) as caught:
        await chat_model("vllm/x").ainvoke(HI)
    assert "hunter22" not in str(caught.value)
    assert "://[hidden]@127.0.0.1" in str(caught.value)


def _arrivals(fault: Fault, seen: list[float]) -> Fault:
    async def run(exchange: Exchange) -> None:
        seen.append(time.time())
        await fault(exchange)

    return run


@pytest.mark.parametrize("dated", [False, True])
async def test_retry_after_is_honoured_in_seconds_and_as_a_date(
    dated: bool, faulty: Faulty
) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    asked = format_datetime(until, usegmt=True) if dated else "0.5"
    seen: list[float] = []
    model, _ = faulty(_arrivals(status(429, retry_after=asked), seen), _arrivals(say("ok"), seen))
    async with asyncio.timeout(6):
        await model.ainvoke(HI)
    assert seen[1] >= (until.timestamp() if dated else seen[0] + 0.5)


async def test_a_longer_wait_than_the_deadline_is_not_waited_for(faulty: Faulty) -> None:
    model, server = faulty(always=status(429, retry_after="3600"))
    with pytest.raises(EndpointError, match="asks to wait 3600 s"):
        async with asyncio.timeout(5):
            await model.ainvoke(HI)
    assert len(server.requests) == 1


async def test_bytes_that_drip_for_ever_end_at_the_deadline(faulty: Faulty) -> None:
    model, server = faulty(always=drip, request_timeout_s=0.5)
    with pytest.raises(EndpointError, match=r"not done after 0.5 s .*MERCHGRAPH_REQUEST_TIMEOUT_S"):
        async with asyncio.timeout(5):
            await model.ainvoke(HI)
    assert len(server.requests) == 1


async def test_a_server_that_is_not_there_is_named(faulty: Faulty) -> None:
    _, server = faulty()
    server.__exit__()
    with pytest.raises(EndpointError) as caught:
        await chat_model("vllm/x").ainvoke(HI)
    assert server.url in str(caught.value)
    assert "start it, or change MERCHGRAPH_VLLM_BASE_URL" in str(caught.value)


async def test_a_stream_arrives_chunk_by_chunk_and_its_usage_is_on_the_ledger(
    faulty: Faulty,
) -> None:
    model, server = faulty(stream("good", " day"))
    with collect() as calls:
        assert await _words(model) == ["good", " day"]
    assert server.bodies[0]["stream"] is True
    [call] = calls
    assert (call.prompt_tokens, call.cached_tokens, call.completion_tokens) == (10, 4, 3)


@pytest.mark.parametrize(
    "fault",
    [
        status(429),
        drop,
        stall,
        stream(end="drop"),
        stream(end="eof"),
        stream(end="stall"),
        stream(end="error"),
        body(b"<html>", kind="text/html"),
    ],
)
async def test_a_stream_that_fails_before_its_first_chunk_is_tried_again(
    fault: Fault, faulty: Faulty
) -> None:
    model, server = faulty(fault, stream("good"))
    async with asyncio.timeout(5):
        with collect() as calls:
            assert await _words(model) == ["good"]
    assert len(server.requests) == 2
    assert [(call.tries, call.failed) for call in calls] == [(2, False)]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("drop", "ended without a finish reason|peer closed|Connection reset"),
        ("eof", "ended without a finish reason"),
        ("stall", "silent for 0.3 s"),
        ("error", "engine died"),
    ],
)
async def test_a_stream_that_breaks_off_is_never_passed_off_as_whole(
    end: str, reason: str, faulty: Faulty
) -> None:
    model, server = faulty(always=stream("good", " day", end=end))
    words: list[str] = []

    async def read() -> None:
        async for chunk in model.astream(HI):
            words.append(str(chunk.content))

    with collect() as calls, pytest.raises(EndpointError, match=f"2 chunks .*{reason}"):
        await asyncio.wait_for(read(), 5)
    assert words == ["good", " day"]
    assert len(server.requests) == 1
    assert [(call.tries, call.failed) for call in calls] == [(1, True)]


async def test_a_stream_that_nobody_reads_on_gives_its_slot_back(faulty: Faulty) -> None:
    model, _ = faulty(always=stream("good", end="stall"), stall_timeout_s=30)
    chunks = model.astream(HI)
    assert (await anext(chunks)).content == "good"
    assert model.endpoint.limiter.in_flight == 1
    await chunks.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0.05)
    assert model.endpoint.limiter.in_flight == 0


async def test_a_cancelled_request_frees_its_slot_and_is_on_the_ledger(faulty: Faulty) -> None:
    model, _ = faulty(always=slow(30, say("late")), stall_timeout_s=30)
    with collect() as calls, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await model.ainvoke(HI)
    assert model.endpoint.limiter.in_flight == 0
    assert [call.failed for call in calls] == [True]
