import asyncio

import pytest
from langchain_core.messages import HumanMessage
from pydantic import BaseModel

from merchgraph.runtime.errors import EndpointError, ModelReplyError, SetupError
from merchgraph.runtime.ledger import at, collect
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.scripted import Always, Replies, ScriptError, Text, scripted
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.structured import ask, choose

HI = [HumanMessage("hello there")]


class Title(BaseModel):
    text: str


async def _title(model: str, agent: str = "writer") -> str:
    return (await ask(chat_model(model), HI, Title, agent=agent)).text


async def test_answers_are_used_up_in_order() -> None:
    with scripted({"writer": [Title(text="one"), '{"text": "two"}']}) as model:
        assert [await _title(model), await _title(model)] == ["one", "two"]
        assert [agent for agent, _, _ in model.script.asked] == ["writer", "writer"]
        assert model.script.asked[0][2] == HI


async def test_one_request_too_many_is_an_error_that_no_fallback_catches() -> None:
    with scripted({"writer": [Title(text="one")]}) as model:
        await _title(model)
        with pytest.raises(ScriptError, match="request 2 for 'writer', but the script holds 1"):
            await _title(model)


async def test_an_agent_that_the_script_does_not_know_is_named() -> None:
    named = pytest.raises(ScriptError, match=r"agent 'judge', lane 'milk'; .*\['writer'\]")
    with scripted({"writer": Always("x")}) as model, at(lane="milk"), named:
        await _title(model, "judge")


async def test_an_answer_that_nobody_asked_for_is_an_error_at_the_end() -> None:
    left = pytest.raises(ScriptError, match=r"nobody asked for: \{'writer': 1, 'judge': 2\}")
    with left, scripted({"writer": [Title(text="1")] * 2, "judge": ["a", "b"]}) as model:
        await _title(model)


def test_an_error_inside_the_block_is_not_hidden_by_what_is_left_over() -> None:
    with pytest.raises(KeyError), scripted({"writer": ["unused"]}):
        raise KeyError("first")


def test_always_may_answer_nobody() -> None:
    with scripted({"writer": Always("x")}):
        pass


async def test_a_lane_wins_over_its_agent() -> None:
    with scripted({"writer": Always(Title(text="any")), "writer@tea": [Title(text="tea")]}) as m:
        with at(lane="tea"):
            assert await _title(m) == "tea"
        with at(lane="milk"):
            assert await _title(m) == "any"


async def test_always_may_be_a_function_of_the_messages() -> None:
    with scripted({"writer": Always(lambda asked: Title(text=str(asked[-1].content)))}) as model:
        assert await _title(model) == "hello there"


async def test_faults_come_out_as_a_real_endpoints_would() -> None:
    script: Replies = {
        "writer": [ConnectionError("reset"), Title(text="ok")],
        "judge": [KeyError("bug")],
    }
    with scripted(script) as model, collect() as calls:
        assert await _title(model) == "ok"  # a transport fault is tried again
        assert calls[0].tries == 2
        with pytest.raises(KeyError):
            await _title(model, "judge")
    said = pytest.raises(EndpointError, match=r"did not answer \(reset, 2 tries\)")
    with (
        scripted({"writer": Always(ConnectionError("reset"))}) as model,
        use_settings(attempts=2),
        said,
    ):
        await _title(model)


async def test_a_cut_reply_is_said_with_its_reason() -> None:
    cut = Text('{"text": "half', finish_reason="length")
    with (
        scripted({"writer": [cut, cut]}) as model,
        pytest.raises(ModelReplyError, match="broke off"),
    ):
        await _title(model)


async def test_odds_are_answers_of_choose() -> None:
    with scripted({"judge": [{"Yes": 0.75, "No": 0.25, "Sure": 0.0}]}) as model:
        odds = await choose(chat_model(model), HI, ["Yes", "No"], agent="judge")
    assert odds == pytest.approx({"Yes": 0.75, "No": 0.25})


async def test_answers_take_their_delay_and_the_cap_holds() -> None:
    with scripted({"writer": Always(Title(text="x"))}, delay_s=0.02, cap=2) as model:
        await asyncio.gather(*(_title(model) for _ in range(6)))
        assert model.limiter.peak == 2
        assert model.limiter.in_flight == 0


async def test_a_stream_comes_word_by_word_with_usage_at_its_end() -> None:
    with scripted({"": ["one two three", ""]}) as model, collect() as calls:
        stream = chat_model(model).astream(HI)
        chunks = [chunk async for chunk in stream]
        assert [chunk.content for chunk in chunks if chunk.content] == ["one ", "two ", "three"]
        assert "".join([str(c.content) async for c in chat_model(model).astream(HI)]) == ""
    assert [call.completion_tokens for call in calls] == [4, 1]


async def test_the_name_is_known_inside_the_block_only() -> None:
    with scripted({}, name="mine") as model:
        assert model == "scripted/mine"
        assert chat_model("scripted/mine").endpoint.name == "scripted/mine"
    with pytest.raises(SetupError, match="No script is registered as 'scripted/mine'; open one"):
        chat_model(model)


async def test_the_registration_ends_when_the_block_fails() -> None:
    with pytest.raises(ScriptError), scripted({"a": ["unused"]}, name="mine"):
        pass
    with pytest.raises(SetupError):
        chat_model("scripted/mine")


def test_a_scripted_model_can_be_asked_synchronously() -> None:
    with scripted({"": ["hello"]}) as model:
        assert chat_model(model).invoke(HI).content == "hello"


def test_the_bare_client_cannot_be_asked_past_its_endpoint() -> None:
    from merchgraph.runtime.scripted import Script, ScriptedClient

    with pytest.raises(NotImplementedError):
        ScriptedClient(script=Script({})).invoke(HI)
