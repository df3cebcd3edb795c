"""Whatever a server sends, a request ends with an answer or with one sentence."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from pydantic import BaseModel

from merchgraph.runtime import limits
from merchgraph.runtime.errors import MerchgraphError
from merchgraph.runtime.limits import retry_after_s
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.structured import ask, choose
from tests.chaos.model import Reply
from tests.fuzz.wild import as_json, changed, other, spoilt
from tests.runtime.faulty_server import JSON, SSE, Exchange, FaultyServer, body

# LangChain dumps a reply of another form with a warning before it stumbles over it
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
HI = [HumanMessage("hi")]
ODDS = json.loads(Reply("Yes", top=[("Yes", -0.1), ("No", -2.5)]).raw)
CHUNKS = [
    {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "x", "choices": [
        {"index": 0, "delta": {"role": "assistant", "content": "good"}, "finish_reason": "stop"}]},
]  # fmt: skip
MANY = settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
CHOICE = ("choices", 0)


class Said(BaseModel):
    """A sentence."""

    text: str


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: None)
    monkeypatch.setattr(limits, "FIRST_WAIT_S", 0.0)


class Parrot:
    """A server that sends the same bytes to everybody."""

    def __init__(self) -> None:
        self.sent, self.kind = b"", JSON

    async def __call__(self, exchange: Exchange) -> None:
        await body(self.sent, kind=self.kind)(exchange)

    def sends(
        self, sent: bytes, kind: str, asks: Callable[[], Coroutine[Any, Any, object]]
    ) -> None:
        """To a request that may fail in one way only."""
        self.sent, self.kind = sent, kind
        with suppress(MerchgraphError):
            asyncio.run(asyncio.wait_for(asks(), 10))


@pytest.fixture(scope="module")
def parrot() -> Iterator[Parrot]:
    parrot = Parrot()
    with FaultyServer(always=parrot) as server:
        quick = {"attempts": 1, "stall_timeout_s": 1}
        with use_settings(vllm_base_url=server.url, **quick) as changed:
            pass  # for all contexts: a fixture's own ends with it
        with pytest.MonkeyPatch.context() as patching:
            patching.setattr("merchgraph.runtime.settings._from_environment", lambda: changed)
            yield parrot


async def asked() -> None:
    model = chat_model("vllm/fuzzed")
    model.endpoint.follows_schema = True
    try:
        await choose(model, HI, ("Yes", "No"), agent="a")
    finally:
        await ask(model, HI, Said, agent="a")


async def streamed() -> None:
    async for chunk in chat_model("vllm/fuzzed").astream(HI):
        assert isinstance(chunk.content, str | list)


@MANY
@example(tree=changed(ODDS, (*CHOICE, "message"), None))
@example(tree=changed(ODDS, (*CHOICE, "message"), "gone"))
@example(tree=changed(ODDS, (*CHOICE, "message", "role"), "robot"))
@example(tree=changed(ODDS, CHOICE, {}))
@given(tree=other(ODDS))
def test_a_reply_of_any_form_is_read_or_refused(parrot: Parrot, tree: Any) -> None:
    parrot.sends(as_json(tree), JSON, asked)


@settings(MANY, max_examples=60)
@given(sent=spoilt(as_json(ODDS)), kind=st.sampled_from([JSON, "text/html", "x", SSE]))
def test_a_reply_of_any_bytes_is_read_or_refused(parrot: Parrot, sent: bytes, kind: str) -> None:
    parrot.sends(sent, kind, asked)


@settings(MANY, max_examples=60)
@example(events=[None])
@example(events=changed(CHUNKS, (0, "choices", 0, "delta"), "x"))
@example(events=changed(CHUNKS, (0, "choices"), 3))
@given(events=other(CHUNKS))
def test_a_stream_of_any_events_is_read_or_refused(parrot: Parrot, events: Any) -> None:
    listed = events if isinstance(events, list) else [events]
    sent = b"".join(b"data: " + as_json(event) + b"\n\n" for event in listed)
    parrot.sends(sent + b"data: [DONE]\n\n", SSE, streamed)


class Refused(Exception):
    """What a client raises, as far as `retry_after_s` looks at it."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.response = type("Response", (), {"headers": {"retry-after": value}})()


PIECES = ["Mon, ", "01 ", "Jan ", "2024 ", "9999 ", "00:00:00 ", "25:61:00 ", "GMT", "-0000", "nan",
          "inf", "1e999", "-5", "+99999999999999", " ", "1_0"]  # fmt: skip


@settings(max_examples=500)
@example("01 Jan 01 00:00:00 +99999999999999")
@given(st.one_of(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.text(max_size=20)))
def test_a_wait_of_any_text_is_seconds_or_none(value: str) -> None:
    found = retry_after_s(Refused(value))
    assert found is None or found >= 0


def test_a_good_wait_is_read() -> None:
    from datetime import UTC, datetime, timedelta

    assert retry_after_s(Refused("2.5")) == 2.5
    late = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert retry_after_s(Refused(late)) == pytest.approx(90, abs=3)
