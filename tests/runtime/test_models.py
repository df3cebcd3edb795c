import asyncio
import gc
import warnings

import pytest
from langchain_core.messages import HumanMessage
from pydantic import BaseModel, Field

from merchgraph.runtime.endpoint import hosted_format, response_format
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.ledger import collect
from merchgraph.runtime.models import PROVIDERS, chat_model, endpoint
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.structured import json_schema
from tests.runtime.conftest import KEY, Faulty
from tests.runtime.faulty_server import say

HI = [HumanMessage("hi")]


@pytest.mark.parametrize("name", ["gpt-4", "vlm/x", "openai", "vllm/", "/x", ""])
def test_a_name_without_a_known_provider_is_told_the_known_ones(name: str) -> None:
    with pytest.raises(SetupError) as caught:
        chat_model(name)
    assert f"The model name {name!r} is not known; expected PROVIDER/MODEL" in str(caught.value)
    assert all(provider in str(caught.value) for provider in PROVIDERS)


def test_a_hosted_model_without_a_key_names_the_variable() -> None:
    with use_settings(openai_api_key=None), pytest.raises(SetupError) as caught:
        chat_model("openai/gpt-x")
    assert "needs a key for https://api.openai.com/v1; set MERCHGRAPH_OPENAI_API_KEY" in str(
        caught.value
    )


def test_an_unknown_embedded_model_names_the_known_one() -> None:
    with pytest.raises(SetupError, match=r"no embedded model 'big'; there is: smollm2-135m\. For"):
        chat_model("embedded/big")


def test_an_endpoint_is_shared_by_name_and_address(faulty: Faulty) -> None:
    first, _ = faulty()
    assert chat_model("vllm/x", max_tokens=9).endpoint is first.endpoint
    second, _ = faulty()
    assert second.endpoint is not first.endpoint


async def test_a_model_name_may_hold_slashes(faulty: Faulty) -> None:
    _, server = faulty(say("ok"))
    await chat_model("vllm/Qwen/Qwen3-8B").ainvoke(HI)
    assert server.bodies[0]["model"] == "Qwen/Qwen3-8B"


async def test_a_hosted_model_is_asked_at_its_address_with_its_key(faulty: Faulty) -> None:
    model, server = faulty(say("ok"), provider="openai")
    assert (await model.ainvoke(HI)).content == "ok"
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.requests[0].path == "/v1/chat/completions"


async def test_settings_of_a_model_and_of_a_call_reach_the_server(faulty: Faulty) -> None:
    _, server = faulty(always=say("ok"))
    model = chat_model("vllm/x", temperature=0.5, max_tokens=7, seed=11)
    await model.ainvoke(HI, stop=["."])
    await model.ainvoke(HI, max_tokens=9, extra_body={"top_k": 3})
    first, second = server.bodies
    assert (first["temperature"], first["max_completion_tokens"], first["stop"]) == (0.5, 7, ["."])
    assert (second["max_completion_tokens"], second["top_k"]) == (9, 3)
    assert (first["seed"], second["seed"]) == (11, 11)


async def test_no_seed_is_sent_where_none_is_set(faulty: Faulty) -> None:
    _, server = faulty(always=say("ok"))
    await chat_model("vllm/x", temperature=0.5).ainvoke(HI)
    assert "seed" not in server.bodies[0]


async def test_a_price_makes_a_cost_with_cached_tokens_apart(faulty: Faulty) -> None:
    price = {"prompt": 1.0, "completion": 10.0, "cached": 0.5}
    model, _ = faulty(always=say("ok"))
    with collect() as calls:
        await model.ainvoke(HI)
        with use_settings(prices={"vllm/x": price}):
            await model.ainvoke(HI)
        with use_settings(prices={"vllm/x": price | {"cached": None}}):
            await model.ainvoke(HI)
    assert calls[0].cost_usd is None
    assert calls[1].cost_usd == pytest.approx((6 * 1 + 4 * 0.5 + 3 * 10) / 1e6)
    assert calls[2].cost_usd == pytest.approx((10 * 1 + 3 * 10) / 1e6)


async def test_deterministic_switches_the_prompt_cache_off_where_that_is_possible(
    faulty: Faulty,
) -> None:
    _, server = faulty(always=say("ok"))
    model = chat_model("vllm/x", deterministic=True)
    await model.ainvoke(HI)
    assert "cache_prompt" not in server.bodies[0]
    model.endpoint.uncached = {"cache_prompt": False}
    await model.ainvoke(HI)
    assert server.bodies[1]["cache_prompt"] is False


def test_loops_that_follow_each_other_get_clients_that_work_and_leave_none(
    faulty: Faulty,
) -> None:
    model, server = faulty(always=say("ok"))

    async def twice() -> None:
        await model.ainvoke(HI)
        await model.ainvoke(HI)

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an unclosed socket would warn
        for _ in range(3):
            asyncio.run(twice())
            assert len(model.endpoint._clients) == 0
        gc.collect()
    assert len(server.requests) == 6


async def test_the_first_requests_of_a_loop_share_one_client(faulty: Faulty) -> None:
    model, _ = faulty(always=say("ok"))
    opened, real = [], model.endpoint.open

    def counting() -> object:
        opened.append(True)
        return real()

    model.endpoint.open = counting  # type: ignore[assignment]
    await asyncio.gather(*(model.ainvoke(HI) for _ in range(8)))
    assert len(opened) == 1


async def test_a_client_that_could_not_be_opened_is_opened_by_the_next_request(
    faulty: Faulty,
) -> None:
    model, _ = faulty(always=say("ok"))
    real, answers = model.endpoint.open, iter([True])

    def failing_once() -> object:
        if next(answers, False):
            raise SetupError("not installed")
        return real()

    model.endpoint.open = failing_once  # type: ignore[assignment]
    with pytest.raises(SetupError):
        await model.ainvoke(HI)
    assert (await model.ainvoke(HI)).content == "ok"


def test_a_model_can_be_asked_synchronously_again_and_again(faulty: Faulty) -> None:
    model, server = faulty(always=say("ok"))
    with collect() as calls:
        assert [model.invoke(HI).content for _ in range(2)] == ["ok", "ok"]
    assert len(calls) == len(server.requests) == 2


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    model, _ = faulty(say("ok"))
    assert (await model.ainvoke(HI)).content == "ok"


def test_a_hosted_api_gets_no_keyword_that_its_strict_mode_refuses() -> None:
    class Inner(BaseModel):
        minLength: str = Field(max_length=3)

    class Reply(BaseModel):
        maxLength: str = Field(min_length=1, max_length=9)  # a field of that name stays
        inner: list[Inner] = Field(max_length=2)
        brand: Inner | None = None

    form = hosted_format("reply", json_schema(Reply))["response_format"]["json_schema"]
    schema, fields = form["schema"], form["schema"]["properties"]
    assert schema["required"] == ["maxLength", "inner", "brand"]
    assert fields["maxLength"] == {"type": "string"}
    assert fields["inner"]["maxItems"] == 2
    for inner in (fields["inner"]["items"], fields["brand"]["anyOf"][0]):
        assert inner["properties"]["minLength"]["type"] == "string"
        assert "maxLength" not in inner["properties"]["minLength"]
    assert "default" not in fields["brand"]
    assert endpoint("vllm/x").constrain is response_format
    with use_settings(openai_api_key="x"):
        assert endpoint("openai/x").constrain is hosted_format
