from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from merchgraph.agents.shopper import Paragraph, Phrase, Shopper
from merchgraph.agents.user_understanding import Constraints, Understanding, UserUnderstanding
from merchgraph.runtime.errors import ModelReplyError
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.scripted import Text, scripted

FOUND = Understanding(
    long_term=["breakfast"],
    session_goal="something sweet",
    constraints=Constraints(price="low", brand=None, avoid=["meat"]),
    summary="Buys breakfast.",
)


def most(kind: Any) -> int:
    """The length that a reply is cut to."""
    limit: int = TypeAdapter(kind).json_schema()["maxLength"]
    return limit


async def test_a_shopper_is_understood_in_one_call(shopper: Shopper) -> None:
    with scripted({"understand": [FOUND]}) as model:
        assert await UserUnderstanding(chat_model(model)).understand(shopper) == FOUND
    (agent, _, messages), *others = model.script.asked
    assert agent == "understand"
    assert not others
    assert all(text in messages[1].content for text in (*shopper.long_term, *shopper.session))


async def test_the_user_id_is_never_shown(shopper: Shopper) -> None:
    hidden = shopper.model_copy(update={"user": "id-4711"})
    with scripted({"understand": [FOUND]}) as model:
        await UserUnderstanding(chat_model(model)).understand(hidden)
    assert "id-4711" not in str(model.script.asked)


async def test_a_shopper_without_any_item_can_be_asked_about() -> None:
    with scripted({"understand": [FOUND]}) as model:
        await UserUnderstanding(chat_model(model)).understand(Shopper(user="new"))
    assert str(model.script.asked[0][2][1].content).count("(none)") == 2


async def test_texts_that_run_over_are_cut_and_not_refused(shopper: Shopper) -> None:
    long = FOUND.model_dump() | {
        "session_goal": "sweet  and\n" * 50,
        "summary": "s" * 5000,
        "long_term": ["x" * 200],
    }
    with scripted({"understand": [json.dumps(long)]}) as model:
        found = await UserUnderstanding(chat_model(model)).understand(shopper)
    assert (len(found.summary), len(found.long_term[0])) == (most(Paragraph), most(Phrase))
    assert found.session_goal.startswith("sweet and sweet")
    assert len(found.session_goal) <= most(Phrase)
    assert found.summary.endswith("…")


async def test_a_half_reply_is_asked_again_and_two_are_an_error(shopper: Shopper) -> None:
    half = Text('{"long_term": ["br', finish_reason="length")
    with scripted({"understand": [half, FOUND]}) as model:
        assert await UserUnderstanding(chat_model(model)).understand(shopper) == FOUND
    with (
        scripted({"understand": [half, half]}) as model,
        pytest.raises(ModelReplyError, match="'understand' no usable Understanding"),
    ):
        await UserUnderstanding(chat_model(model)).understand(shopper)
