"""All graphs, and what they rely on, against a real vLLM over SmolLM2-135M.

    make test-live

makes an environment with vLLM for CPUs and runs this; on another machine set MERCHGRAPH_LIVE_VLLM (the
program) and MERCHGRAPH_LIVE_MODEL (a folder with SmolLM2-135M-Instruct). The model knows little: what is
proven is the path, and nothing is said of answers.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Literal

import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, Field

from merchgraph.runtime.errors import EndpointError, MerchgraphError
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.structured import ask, choose, follows_schema
from merchgraph.runtime.vllm import started
from tests.chaos.cases import CASES
from tests.live.conftest import MODEL, NAME, PROGRAM, TUNED, Live, free_port, served
from tests.live.prefix import metric

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not PROGRAM or not MODEL.is_dir(),
        reason="MERCHGRAPH_LIVE_VLLM and MERCHGRAPH_LIVE_MODEL name no vLLM",
    ),
    pytest.mark.timeout(900),
]
ASKED = [SystemMessage("You sort groceries."), HumanMessage("Is oat milk a drink?")]


class Sorted(BaseModel):
    """A form that the model would not write by itself."""

    aisle: Literal["drinks", "bread", "household"]
    sure: int = Field(ge=0, le=9)


def model(name: str = NAME) -> Any:
    return chat_model(f"vllm/{name}")


async def test_it_follows_schemas_and_gives_odds(live: Live) -> None:
    with use_settings(vllm_base_url=live.url):
        assert await follows_schema(model())
        found = await ask(model(), ASKED, Sorted, agent="test")
        odds = await choose(model(), ASKED, ["Yes", "No", "Maybe"], agent="test")
    assert found.aisle in ("drinks", "bread", "household")
    assert set(odds) == {"Yes", "No", "Maybe"}
    assert sum(odds.values()) == pytest.approx(1)
    assert min(odds.values()) > 0


async def test_a_stream_gives_the_same_text_in_pieces(live: Live) -> None:
    with use_settings(vllm_base_url=live.url):
        chat = model()
        whole = (await chat.ainvoke(ASKED, max_tokens=24, temperature=0)).content
        pieces = [part.content async for part in chat.astream(ASKED, max_tokens=24, temperature=0)]
    assert len([piece for piece in pieces if piece]) > 3
    assert "".join(pieces) == whole


async def test_an_adapter_is_a_model_of_its_own(live: Live) -> None:
    with use_settings(vllm_base_url=live.url):
        plain = await choose(model(), ASKED, ["Yes", "No"], agent="test")
        tuned = await choose(model(TUNED), ASKED, ["Yes", "No"], agent="test")
    assert abs(plain["Yes"] - tuned["Yes"]) > 1e-3


@pytest.mark.parametrize("name", CASES)
def test_every_graph_runs(live: Live, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    case.patch(monkeypatch)
    context = case.graph.Context(model=f"vllm/{NAME}", **case.settings)
    with use_settings(vllm_base_url=live.url):
        result = case.graph.run(case.request, context)
    case.check(result)
    assert result.usage.calls > 0
    assert [error for error in result.errors if "EndpointError" in error.kind] == []


async def test_a_prompt_beyond_the_window_is_one_sentence(live: Live) -> None:
    long = [HumanMessage("oat milk " * 5_000)]
    with use_settings(vllm_base_url=live.url), pytest.raises(MerchgraphError) as caught:
        await ask(model(), long, Sorted, agent="test")
    assert "4096" in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_call_that_is_given_up_frees_the_server(live: Live) -> None:
    with use_settings(vllm_base_url=live.url):
        endless = {"max_tokens": 3_000, "extra_body": {"min_tokens": 3_000}}
        call = model().ainvoke([HumanMessage("Count to 1000.")], **endless)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call, 3)
    for _ in range(100):
        if not metric(live.url, "num_requests_running"):
            break
        await asyncio.sleep(0.2)
    assert metric(live.url, "num_requests_running") == 0


async def test_more_calls_than_the_server_takes_at_once_are_all_answered(live: Live) -> None:
    with use_settings(vllm_base_url=live.url, concurrency=128):
        asked = [
            choose(model(), [HumanMessage(f"Is {n} even?")], ["Yes", "No"], agent="test")
            for n in range(200)
        ]
        found = await asyncio.gather(*asked)
    assert all(sum(odds.values()) == pytest.approx(1) for odds in found)


async def test_a_server_that_is_started_again_is_used_again(adapter: Path) -> None:
    serve = served(adapter, free_port())
    with use_settings(vllm_base_url=serve.base_url, attempts=2):
        for _ in range(2):
            with started(serve, lambda line: None):
                assert (await ask(model(), ASKED, Sorted, agent="test")).sure >= 0
            with pytest.raises(EndpointError):
                await ask(model(), ASKED, Sorted, agent="test")


async def test_prompts_that_begin_alike_are_read_once(live: Live) -> None:
    shared = SystemMessage("You sort groceries. " + "Oat milk is a drink. " * 200)
    with use_settings(vllm_base_url=live.url):
        for place, item in enumerate(("rye bread", "ginger tea")):
            asked = [shared, HumanMessage(f"Is {item} a drink?")]
            told = (await model().ainvoke(asked, max_tokens=1)).usage_metadata
            cached = told["input_token_details"].get("cache_read") or 0
            assert (cached > 0.8 * told["input_tokens"]) == (place == 1)
