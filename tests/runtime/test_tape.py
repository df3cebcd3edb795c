"""What is recorded is what is replayed: calls, streams, tools, clock, seeds, lanes and repetitions."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, NamedTuple

import pytest
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage
from pydantic import BaseModel

from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.endpoint import Endpoint, response_format
from merchgraph.runtime.errors import ModelReplyError, TapeError
from merchgraph.runtime.ledger import Call, at, collect
from merchgraph.runtime.limits import Limiter
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.playing import now, on_tape, playing, rng, use_tape
from merchgraph.runtime.scripted import Always, Replies, Text, scripted
from merchgraph.runtime.structured import ask, choose, follows_schema
from merchgraph.runtime.tape import Tape
from tests.runtime.tapes import again, stored

Work = Callable[[str], Awaitable[Any]]


class Grade(BaseModel):
    stars: int
    why: str = "so"


GRADES = [Grade(stars=n).model_dump_json() for n in range(9)]


def said(text: str) -> list[BaseMessage]:
    return [HumanMessage(text)]


async def grade(name: str, text: str = "tea", agent: str = "judge") -> Grade:
    return await ask(chat_model(name), said(text), Grade, agent=agent)


class Played(NamedTuple):
    """What work gave, and what it cost, live and in the replay, and the tape between the two."""

    then: Any
    now: Any
    paid: list[Call]
    charged: list[Call]
    tape: Tape


async def played(replies: Replies, work: Work) -> Played:
    """Record work, then replay it when its model is gone."""
    tape = Tape("run", "record")
    with scripted(replies, name="there") as model, use_tape(tape), collect() as paid:
        then = await work(model)
    replay = again(tape)
    with use_tape(replay), collect() as charged:
        found = await work("scripted/there")
    assert replay.unused() == []
    return Played(then, found, paid, charged, tape)


async def test_an_answer_and_its_cost_come_back_without_the_model() -> None:
    found = await played({"judge": [GRADES[4]]}, grade)
    assert found.then == found.now == Grade(stars=4)
    assert found.paid == found.charged
    assert found.paid[0].seconds > 0
    assert found.tape.fresh == 1


async def test_probabilities_come_back_to_the_last_bit() -> None:
    async def work(name: str) -> dict[str, float]:
        return await choose(chat_model(name), said("Tea?"), ["Yes", "No"], agent="nli")

    found = await played({"nli": [{"Yes": 1 / 3, "No": 0.1, "Maybe": 1e-9}]}, work)
    assert repr(found.then) == repr(found.now)
    assert found.then["Yes"] == pytest.approx(10 / 13)


async def test_a_reply_that_had_to_be_repaired_is_repaired_again() -> None:
    replies: Replies = {"judge": ["no JSON", GRADES[2], Text('{"sta', "length"), GRADES[3]]}

    async def work(name: str) -> list[Grade]:
        return [await grade(name, "tea"), await grade(name, "jam")]

    found = await played(replies, work)
    assert found.then == found.now == [Grade(stars=2), Grade(stars=3)]
    assert [call.repair for call in found.charged] == [False, True, False, True]
    assert found.paid == found.charged


async def test_two_unusable_replies_fail_the_same_way() -> None:
    async def work(name: str) -> str:
        with pytest.raises(ModelReplyError) as error:
            await grade(name)
        return f"{error.value} {error.value.reply}"

    found = await played({"judge": ["one", "two"]}, work)
    assert found.then == found.now
    assert found.now.endswith(" two")


async def chunks(name: str, text: str = "tea", read: int = 99) -> list[AIMessageChunk]:
    """The first chunks of a streamed reply, without the ids that LangChain makes up."""
    pieces: list[Any] = []
    with at(agent="writer"):
        async with aclosing(chat_model(name).astream(said(text))) as stream:  # type: ignore[type-var]
            async for chunk in stream:
                pieces.append(chunk.model_copy(update={"id": None}))
                if len(pieces) == read:
                    break
    return pieces


async def test_a_stream_comes_back_chunk_by_chunk_with_usage_and_finish_reason() -> None:
    found = await played({"writer": ["a green tea of spring"]}, chunks)
    assert found.then == found.now
    words = [chunk.content for chunk in found.now if chunk.content]
    assert words == ["a ", "green ", "tea ", "of ", "spring"]
    assert [c.response_metadata for c in found.now if c.response_metadata] == [
        {"finish_reason": "stop"}
    ]
    assert sum(chunk.usage_metadata is not None for chunk in found.now) == 1
    assert found.paid == found.charged


async def test_a_reader_who_stops_early_may_stop_there_again_and_read_no_further() -> None:
    replies = {"writer": ["a green tea of spring"]}

    async def work(name: str) -> list[AIMessageChunk]:
        pieces = await chunks(name, read=2)
        await asyncio.sleep(0.01)  # LangChain leaves it to the loop to close the stream
        return pieces

    found = await played(replies, work)
    assert found.then == found.now
    assert [chunk.content for chunk in found.now] == ["a ", "green "]
    assert [call.completion_tokens for call in found.charged] == [6]  # the server wrote it all
    assert found.paid == found.charged
    with use_tape(again(found.tape)), pytest.raises(TapeError, match="Only the beginning of this"):
        await chunks("scripted/there")


async def test_a_stream_that_is_still_being_closed_when_the_run_ends_is_on_the_tape() -> None:
    found = await played({"writer": ["a green tea"]}, lambda name: chunks(name, read=1))
    assert found.then == found.now
    [line] = stored(found.tape).calls
    assert line.fault is not None
    assert (line.fault.type, len(line.chunks), line.agent) == ("unread", 1, "writer")


async def test_half_a_reply_is_never_served_for_a_whole_one() -> None:
    tape = Tape("run", "record")
    with scripted({"writer": Always("a green tea")}) as model:
        with use_tape(tape):
            await chunks(model, read=1)
        missing = again(tape, "record_missing")
        with use_tape(missing):
            whole = await chunks(model)
    assert [chunk.content for chunk in whole if chunk.content] == ["a ", "green ", "tea"]
    assert missing.fresh == 1


async def test_equal_prompts_in_several_lanes_keep_their_own_answers_in_any_order() -> None:
    lanes = [f"item {n}" for n in range(8)]
    replies = {f"judge@{lane}": [GRADES[n]] for n, lane in enumerate(lanes)}

    async def lane(name: str, branch: str) -> int:
        with at(lane=branch):
            return (await grade(name)).stars

    async def all_of(name: str, order: Sequence[str]) -> dict[str, int]:
        stars = await asyncio.gather(*(lane(name, branch) for branch in order))
        return dict(zip(order, stars, strict=True))

    tape = Tape("run", "record")
    with scripted(replies) as model, use_tape(tape):
        then = await all_of(model, lanes)
    for order in (lanes[::-1], lanes[3:] + lanes[:3]):
        replay = again(tape)
        with use_tape(replay):
            assert await all_of(model, order) == then
        assert replay.unused() == []
    assert then == {name: n for n, name in enumerate(lanes)}


async def test_the_same_prompt_asked_again_gives_its_own_answer() -> None:
    async def work(name: str) -> list[int]:
        return [(await grade(name)).stars for _ in range(3)]

    found = await played({"judge": GRADES[5:8]}, work)
    assert found.then == found.now == [5, 6, 7]
    assert [line.occurrence for line in found.tape.answers] == [0, 1, 2]


class Offer(NamedTuple):
    item: str
    at: datetime
    odds: tuple[float, ...]


async def test_a_tool_is_asked_once_and_its_answer_has_its_type_again() -> None:
    asked: list[int] = []

    def look_up() -> list[Offer]:
        asked.append(1)
        return [Offer("tea", datetime(2026, 1, 2, 3), (0.1 + 0.2, float("inf")))]

    async def work(name: str) -> list[Offer]:
        return await on_tape("look up", look_up, list[Offer], shop="corner", k=2)

    found = await played({}, work)
    assert found.then == found.now == look_up()
    assert len(asked) == 2  # of which one is the line above
    assert await work("") == found.now  # and without a tape it is just done
    assert len(asked) == 3


async def test_the_arguments_of_a_tool_decide_and_its_inner_questions_are_its_own() -> None:
    def double(n: int) -> int:
        assert playing() is None
        now(), rng()
        return 2 * n

    async def work(name: str) -> list[int]:
        return [await on_tape("double", lambda n=n: double(n), int, n=n) for n in (1, 2, 1)]  # type: ignore[misc]

    found = await played({}, work)
    assert found.then == found.now == [2, 4, 2]
    assert len(found.tape.answers) == 3
    with (
        use_tape(again(found.tape)),
        pytest.raises(TapeError, match=r"args\.n: .*\[-\d-\].*\{\+3\+\}"),
    ):
        await on_tape("double", lambda: 6, int, n=3)


async def test_clock_and_dice_are_those_of_the_recording() -> None:
    async def work(name: str) -> list[Any]:
        first = now()
        await asyncio.sleep(0.002)
        return [first, now(), rng().random(), rng().random()]

    found = await played({}, work)
    assert found.then == found.now
    assert len(set(found.now)) == 4
    assert await work("") != found.now


async def test_a_model_made_before_the_replay_probes_no_server() -> None:
    def gone() -> Any:
        raise AssertionError("a replay reached for its server")

    tape = Tape("run", "record")
    with scripted({"judge": [GRADES[1]]}, name="early") as model, use_tape(tape):
        await grade(model)
    server = Endpoint("scripted/early", gone, response_format, Limiter("early", 1))
    early = ChatModel(endpoint=server)
    with use_tape(again(tape)):
        assert await follows_schema(early)
        assert await ask(early, said("tea"), Grade, agent="judge") == Grade(stars=1)
    assert server.follows_schema is None


async def test_what_the_server_could_do_is_remembered_for_the_replay() -> None:
    tape = Tape("run", "record")
    with scripted({"judge": [GRADES[1]]}, name="loose") as model, use_tape(tape):
        endpoint = chat_model(model).endpoint
        endpoint.follows_schema = False  # so the schema goes into the prompt
        then = await grade(model)
    assert "JSON schema" in str(stored(tape).calls[0].request["messages"])
    with use_tape(again(tape)):
        assert await grade("scripted/loose") == then
