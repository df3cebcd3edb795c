from __future__ import annotations

import json

import pytest

from merchgraph.agents.item_ranker import Ranking
from merchgraph.agents.shopper import Candidate, Shopper
from merchgraph.agents.single_prompt import SinglePrompt
from merchgraph.runtime.errors import ModelReplyError
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.scripted import scripted

CANDIDATES = [Candidate(item=f"a{i}", text=f"Product {i}") for i in range(3)]


def reply(*numbers: str) -> str:
    return json.dumps({"ranking": numbers})


async def test_one_call_reads_shopper_and_candidates_and_ranks(shopper: Shopper) -> None:
    with scripted({"single": [reply("3", "1", "2")]}) as model:
        found = await SinglePrompt(chat_model(model)).rank(shopper, CANDIDATES, k=2)
    assert found == Ranking(ranking=["a2", "a0", "a1"], named=3)
    ((agent, _, messages),) = model.script.asked
    assert agent == "single"
    text = str(messages[1].content)
    assert all(part in text for part in (*shopper.long_term, *shopper.session, "2. Product 1"))
    assert "judge" not in text
    assert "fit" not in text


async def test_what_it_leaves_out_follows_as_retrieved(shopper: Shopper) -> None:
    with scripted({"single": [reply("2")]}) as model:
        found = await SinglePrompt(chat_model(model)).rank(shopper, CANDIDATES, k=1)
    assert found == Ranking(ranking=["a1", "a0", "a2"], named=1)


@pytest.mark.parametrize("said", [reply("4"), reply("a1"), reply("1"), reply(*"1231")])
async def test_a_reply_that_is_no_ranking_is_sent_back_then_refused(
    shopper: Shopper, said: str
) -> None:
    with scripted({"single": [said, said]}) as model, pytest.raises(ModelReplyError):
        await SinglePrompt(chat_model(model)).rank(shopper, CANDIDATES, k=2)


async def test_k_may_be_more_than_there_is(shopper: Shopper) -> None:
    with scripted({"single": [reply("1", "3", "2")]}) as model:
        found = await SinglePrompt(chat_model(model)).rank(shopper, CANDIDATES, k=9)
    assert found.ranking == ["a0", "a2", "a1"]
