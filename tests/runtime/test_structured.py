"""ask(): an object or a typed error, whatever the model says."""

import asyncio
import json
import operator
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel, Field

from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.errors import EndpointError, ModelReplyError
from merchgraph.runtime.ledger import collect
from merchgraph.runtime.structured import PROBE, ask, choose, follows_schema
from tests.runtime.conftest import Faulty
from tests.runtime.faulty_server import Fault, FaultyServer, odds, say, stall, status

HI = [SystemMessage("You rate."), HumanMessage("How good?")]


class Grade(BaseModel):
    """A grade."""

    stars: int = Field(description="how many", ge=1, le=5)
    why: str = ""


GOOD = '{"stars": 4, "why": "ok"}'
OBEYS = say(json.dumps({"answer": PROBE}))
IGNORES = say("Hello! How can I help?")
BAD = say('{"stars": 9, "why": "great"}')


def _said(request: dict[str, Any]) -> list[str]:
    return [message["content"] for message in request["messages"]]


async def _grade(model: BaseChatModel, max_tokens: int = 64) -> Grade:
    async with asyncio.timeout(10):
        return await ask(model, HI, Grade, agent="judge", max_tokens=max_tokens)


async def test_a_server_that_constrains_gets_the_schema_and_no_words_about_it(
    faulty: Faulty,
) -> None:
    model, server = faulty(OBEYS, say(GOOD), say(GOOD))
    assert await _grade(model) == Grade(stars=4, why="ok")
    await _grade(model)
    probe, first, second = server.bodies  # one probe per endpoint, not per call
    form = first["response_format"]["json_schema"]
    assert form["name"] == "Grade"
    assert form["strict"] is True
    assert form["schema"]["required"] == ["stars", "why"]
    assert form["schema"]["additionalProperties"] is False
    assert _said(first) == _said(second) == ["You rate.", "How good?"]
    assert first["temperature"] == 0
    answer = probe["response_format"]["json_schema"]["schema"]["properties"]["answer"]
    assert answer["const"] == PROBE


async def test_a_server_that_ignores_the_schema_is_told_it_in_words(faulty: Faulty) -> None:
    model, server = faulty(IGNORES, say(GOOD))
    assert (await _grade(model)).stars == 4
    assert model.endpoint.follows_schema is False
    _, asked = server.bodies
    assert "response_format" not in asked
    system, user = _said(asked)
    assert system == "You rate."
    question, order = user.split("\n\n")
    assert question == "How good?"
    schema = json.loads(order.split("Its JSON schema: ")[1])
    assert set(schema["properties"]) == {"stars", "why"}


async def test_the_schema_in_words_follows_a_reply_of_the_model_as_a_message(
    faulty: Faulty,
) -> None:
    model, server = faulty(IGNORES, say(GOOD))
    await ask(model, [*HI, AIMessage("four")], Grade, agent="judge")
    assert [message["role"] for message in server.bodies[1]["messages"]][-2:] == [
        "assistant",
        "user",
    ]


async def test_many_first_callers_share_one_probe(faulty: Faulty) -> None:
    model, server = faulty(OBEYS, always=say(GOOD))
    await asyncio.gather(*(_grade(model) for _ in range(8)))
    assert len(server.requests) == 9


async def test_a_probe_that_fails_decides_nothing(faulty: Faulty) -> None:
    model, _ = faulty(status(500), status(500), status(500), OBEYS)
    with pytest.raises(EndpointError):
        await follows_schema(model)
    assert model.endpoint.follows_schema is None
    assert await follows_schema(model)


async def test_a_reply_that_does_not_validate_is_sent_back_with_the_error(faulty: Faulty) -> None:
    model, server = faulty(OBEYS, BAD, say(GOOD))
    with collect() as calls:
        assert (await _grade(model)).stars == 4
    *_, before, repair = _said(server.bodies[2])
    assert before == '{"stars": 9, "why": "great"}'
    assert "stars: Input should be less than or equal to 5" in repair
    assert server.bodies[2]["response_format"] == server.bodies[1]["response_format"]
    # the probe is about the server: whichever run asks first would bear its cost
    assert [(call.agent, call.repair) for call in calls] == [("judge", False), ("judge", True)]


async def test_a_second_bad_reply_is_a_typed_error_that_keeps_it(faulty: Faulty) -> None:
    model, server = faulty(OBEYS, say("no idea"), say("still none"))
    with pytest.raises(ModelReplyError, match="agent 'judge' no usable Grade in two tries: ") as e:
        await _grade(model)
    assert e.value.reply == "still none"
    assert "Invalid JSON" in str(e.value)
    assert len(server.requests) == 3


async def test_a_reply_cut_at_the_limit_is_asked_again_with_twice_as_much(faulty: Faulty) -> None:
    model, server = faulty(OBEYS, say(GOOD[:9], finish="length"), say(GOOD))
    assert (await _grade(model, max_tokens=50)).stars == 4
    limits = [request["max_completion_tokens"] for request in server.bodies[1:]]
    assert limits == [50, 100]
    assert _said(server.bodies[1]) == _said(server.bodies[2])


async def test_a_reply_cut_twice_is_a_typed_error(faulty: Faulty) -> None:
    cut = say(GOOD[:9], finish="length")
    model, _ = faulty(OBEYS, cut, cut)
    with pytest.raises(ModelReplyError, match="it broke off at the token limit"):
        await _grade(model)


async def test_json_cut_in_half_inside_a_whole_reply_is_repaired(faulty: Faulty) -> None:
    model, server = faulty(OBEYS, say(GOOD[:12]), say(GOOD))
    assert (await _grade(model)).stars == 4
    assert "Invalid JSON" in _said(server.bodies[2])[-1]


@pytest.mark.parametrize(
    "text",
    [
        f"<think>5? No: {{4}}</think>\n{GOOD}",
        f"the tag was in the prompt</think>{GOOD}",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```",
        f"<think>hm</think>```json\n{GOOD}```",
        f"  {GOOD}\n",
    ],
)
async def test_thoughts_and_fences_around_an_object_are_taken_off(
    text: str, faulty: Faulty
) -> None:
    model, server = faulty(OBEYS, say(text))
    assert await _grade(model) == Grade(stars=4, why="ok")
    assert len(server.requests) == 2


async def test_a_title_that_quotes_a_think_tag_harms_no_object(faulty: Faulty) -> None:
    model, _ = faulty(OBEYS, say('{"stars": 4, "why": "sold as </think> tea"}'))
    assert (await _grade(model)).why == "sold as </think> tea"


async def test_a_reply_without_content_is_a_bad_reply(faulty: Faulty) -> None:
    model, _ = faulty(OBEYS, say(None), say(None))
    with pytest.raises(ModelReplyError):
        await _grade(model)


class Foreign(BaseChatModel):
    """A model that is not ours."""

    replies: list[str]
    asked: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "foreign"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self.asked.append(kwargs)
        message = AIMessage(self.replies[len(self.asked) - 1])
        return ChatResult(generations=[ChatGeneration(message=message)])


async def test_a_foreign_model_is_taken_at_its_word_and_repaired_like_ours() -> None:
    model = Foreign(replies=["four stars", GOOD])
    assert (await _grade(model)).stars == 4
    assert model.asked[0]["response_format"]["type"] == "json_schema"
    assert len(model.asked) == 2


async def test_choose_asks_a_foreign_model_without_logprobs_for_an_enum() -> None:
    model = Foreign(replies=["Yes", '{"answer": "No"}'])
    assert await choose(model, HI, ["Yes", "No"], agent="judge") == {"Yes": 0, "No": 1}


class State(TypedDict):
    found: Annotated[list[str], operator.add]


class Tokens(AsyncCallbackHandler):
    """A listener on tokens, as Studio has one."""

    async def on_llm_new_token(self, token: Any, **_: Any) -> None:
        raise AssertionError(f"streamed {token!r}")


def _graph(model: ChatModel) -> Any:
    async def rate(state: State) -> State:
        grade = await ask(model, HI, Grade, agent="judge")
        chance = await choose(model, HI, ["Yes", "No"], agent="judge")
        return {"found": [f"{grade.stars} {max(chance, key=lambda key: chance[key])}"]}

    builder = StateGraph(State)
    builder.add_node("rate", rate)
    builder.add_edge(START, "rate")
    builder.add_edge("rate", END)
    return builder.compile()


SCRIPT: Sequence[Fault] = (OBEYS, say(GOOD), odds(("No", -0.1), ("Yes", -2.0)))


async def test_a_listener_on_messages_does_not_turn_answers_into_streams(faulty: Faulty) -> None:
    model, server = faulty(*SCRIPT)
    seen = [
        part
        async for mode, part in _graph(model).astream(
            {"found": []}, {"callbacks": [Tokens()]}, stream_mode=["messages", "values"]
        )
        if mode == "values"
    ]
    assert seen[-1] == {"found": ["4 No"]}
    _never_streamed(server, 3)


def _never_streamed(server: FaultyServer, requests: int) -> None:
    assert len(server.requests) == requests
    assert not any(request.get("stream") for request in server.bodies)


async def test_a_stalled_probe_ends_in_a_sentence(faulty: Faulty) -> None:
    model, _ = faulty(always=stall, attempts=1)
    with pytest.raises(EndpointError, match="stayed silent"):
        await _grade(model)
