from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.agents.behavior_reasoner import WORDS, BehaviorReasoner, Shown
from merchgraph.runtime.errors import ModelReplyError
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.scripted import Always, Replies, scripted
from merchgraph.runtime.seeing import picture_part

TEXT = Shown(kind="text", text='item "Milk" was purchased at 2026-01-01.')
TWENTY = {f"id {n}": f"Item {n}" for n in range(20)}


async def test_a_letter_stands_for_the_item_in_its_place() -> None:
    script: Replies = {
        "predict": ['{"explanation": "Due.", "prediction": "T"}'],
        "weigh": [{"C": 0.5, "T": 0.25, "x": 0.25}],
    }
    with scripted(script) as model:
        agent = BehaviorReasoner(chat_model(model))
        found = await agent.predict(TEXT, TWENTY)
        odds = await agent.weigh(TEXT, TWENTY)
    assert (found.item, found.explanation) == ("id 19", "Due.")
    assert list(odds) == list(TWENTY)
    assert odds["id 2"] == pytest.approx(2 / 3, abs=1e-4)
    assert odds["id 19"] == pytest.approx(1 / 3, abs=1e-4)


@pytest.mark.parametrize("letter", ["C", "AB", "", "Milk", "id 0"])
async def test_what_was_not_offered_cannot_be_named(letter: str) -> None:
    reply = f'{{"explanation": "Due.", "prediction": "{letter}"}}'
    with scripted({"predict": [reply, reply]}) as model, pytest.raises(ModelReplyError):
        await BehaviorReasoner(chat_model(model)).predict(TEXT, {"a": "A", "b": "B"})


@given(st.integers(0, 200))
async def test_an_explanation_has_at_most_80_words(length: int) -> None:
    reply = f'{{"explanation": "{"word " * length}", "prediction": "A"}}'
    with scripted({"predict": [reply]}) as model:
        found = await BehaviorReasoner(chat_model(model)).predict(TEXT, {"a": "A", "b": "B"})
    assert len(found.explanation.split()) == min(length, WORDS)
    assert found.explanation.endswith("…") == (length > WORDS)


async def test_a_picture_is_sent_once_and_not_to_be_counted() -> None:
    pictured = Shown(kind="both", text=TEXT.text, picture="iVBORw0KGgo=")
    with scripted({"weigh": Always({"A": 1.0}), "count": Always({"A": 1.0})}) as model:
        agent = BehaviorReasoner(chat_model(model))
        await agent.weigh(pictured, {"a": "A", "b": "B"})
        await agent.count(pictured, {"a": "A", "b": "B"})
    (_, _, [_, whole]), (_, _, [_, bare]) = model.script.asked
    assert isinstance(whole.content, list)
    assert whole.content[1] == picture_part("iVBORw0KGgo=")
    assert isinstance(bare.content, str)
    texts = [part["text"] for part in whole.content if isinstance(part, dict) and "text" in part]
    assert bare.content == "\n\n".join(texts)
