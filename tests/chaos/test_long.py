"""What would take long, or hold up other runs: a probe of a dead server, a reply without end."""

from __future__ import annotations

import asyncio
import json
import ssl
import time

import pytest
from langchain_core.messages import HumanMessage

from merchgraph.runtime.errors import EndpointError, ModelReplyError
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.structured import PROBE, TOO_LONG, ask, follows_schema
from tests.chaos.cases import CASES
from tests.chaos.faults import Chaos, ChaosServer, at_first, by
from tests.chaos.matrix import quick, run
from tests.chaos.model import ENDLESS, Reply
from tests.fuzz.test_replies import Said
from tests.runtime.faulty_server import FaultyServer, say, stall, status

HI = [HumanMessage("hi")]


@pytest.fixture(autouse=True)
def _no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: None)


async def test_who_waits_for_a_probe_that_fails_fails_with_it() -> None:
    with FaultyServer(always=stall) as server, quick(server.url):
        model, began = chat_model("vllm/probed"), time.monotonic()
        ends = await asyncio.gather(
            *(follows_schema(model) for _ in range(20)), return_exceptions=True
        )
        assert [type(end) for end in ends] == [EndpointError] * 20
        assert len({str(end) for end in ends}) == 1
        assert len({id(end) for end in ends}) == 20  # each caller may note what it cost
        assert 1 < len(server.requests) <= 4  # the tries of one probe
        assert time.monotonic() - began < 10


async def test_who_comes_later_probes_again() -> None:
    with FaultyServer(status(400), say(json.dumps({"answer": PROBE}))) as server, quick(server.url):
        model = chat_model("vllm/probed-again")
        with pytest.raises(EndpointError):
            await follows_schema(model)
        assert await follows_schema(model)


async def test_a_reply_far_beyond_its_limit_is_refused_and_not_sent_back() -> None:
    long = say(json.dumps({"text": "buy me now " * 9000}))
    with FaultyServer(always=long) as server, quick(server.url):
        model = chat_model("vllm/long")
        model.endpoint.follows_schema = True
        with pytest.raises(ModelReplyError, match=TOO_LONG):
            await ask(model, HI, Said, agent="a", max_tokens=100)
        assert {len(body["messages"]) for body in server.bodies} == {1}
        most = "x" * (100 * 64 - len('{"text": ""}'))
        server.always = say(json.dumps({"text": most}))
        assert (await ask(model, HI, Said, agent="a", max_tokens=100)).text == most


def test_a_megabyte_does_not_hold_up_the_loop() -> None:
    began = time.process_time()
    cell = run(CASES["voice_repair"], Chaos("a megabyte", say=by(ENDLESS)))
    assert cell.told == "0 of 3 lines by the model"
    assert time.process_time() - began < 5  # of which a rule that read it took 2 s a line


async def test_the_server_sees_how_often_a_request_was_made() -> None:
    chaos = Chaos("two stalls", at_first(stall), say=lambda body: Reply("hello"))
    with ChaosServer(chaos) as server, quick(server.url):
        for _ in range(2):
            reply = await chat_model("vllm/twice").ainvoke(HI)
            assert reply.content == "hello"
        assert len(server.requests) == 4
