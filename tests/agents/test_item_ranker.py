from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merchgraph.agents.context_summary import ContextSummary
from merchgraph.agents.item_ranker import ItemRanker, Ranking, _schema
from merchgraph.agents.nli import Judged, NliScore
from merchgraph.agents.shopper import Candidate, Shopper
from merchgraph.agents.user_understanding import Constraints, Understanding
from merchgraph.runtime.errors import ModelReplyError
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.scripted import scripted
from merchgraph.runtime.structured import json_schema

Judge = Callable[[int], list[Judged]]


def reply(*numbers: Any) -> str:
    return json.dumps({"ranking": numbers})


async def ranked(said: str, offered: list[Judged], k: int) -> Ranking:
    with scripted({"rank": [said]}) as model:
        ranker = ItemRanker(chat_model(model))
        return await ranker.rank(Shopper(user="7"), None, None, offered, k=k)


async def test_the_replys_order_is_the_ranking(judged: Judge) -> None:
    found = await ranked(reply("3", "1", "2"), judged(3), k=2)
    assert found == Ranking(ranking=["a2", "a0", "a1"], named=3)


async def test_what_the_reply_leaves_out_follows_in_the_order_offered(judged: Judge) -> None:
    found = await ranked(reply("4"), judged(5), k=1)
    assert found == Ranking(ranking=["a3", "a0", "a1", "a2", "a4"], named=1)


async def test_of_two_places_the_first_counts(judged: Judge) -> None:
    found = await ranked(reply("2", "3", "2"), judged(3), k=2)
    assert found == Ranking(ranking=["a1", "a2", "a0"], named=2)


@pytest.mark.parametrize("number", ["0", "4", "-1", "a0", "01", 1, None])
async def test_an_unknown_number_is_sent_back_then_refused(judged: Judge, number: Any) -> None:
    wrong, right = reply(number), reply("2")
    with scripted({"rank": [wrong, right]}) as model:
        found = await ItemRanker(chat_model(model)).rank(
            Shopper(user="7"), None, None, judged(3), k=1
        )
    assert found.ranking[0] == "a1"
    with scripted({"rank": [wrong, wrong]}) as model, pytest.raises(ModelReplyError) as failure:
        await ItemRanker(chat_model(model)).rank(Shopper(user="7"), None, None, judged(3), k=1)
    assert failure.value.reply == wrong


async def test_too_few_or_too_many_numbers_are_sent_back(judged: Judge) -> None:
    few, many = reply("1"), reply("1", "2", "3", "3")
    with scripted({"rank": [few, many, many, reply("1", "2")]}) as model:
        ranker = ItemRanker(chat_model(model))
        with pytest.raises(ModelReplyError):
            await ranker.rank(Shopper(user="7"), None, None, judged(3), k=2)
        await ranker.rank(Shopper(user="7"), None, None, judged(3), k=2)


@pytest.mark.parametrize(("size", "k"), [(1, 1), (1, 5), (3, 5), (200, 5), (200, 200)])
async def test_any_number_of_items_and_any_k_will_do(judged: Judge, size: int, k: int) -> None:
    numbers = [str(n) for n in range(size, 0, -1)]
    found = await ranked(reply(*numbers), judged(size), k)
    assert found.ranking == [f"a{i}" for i in range(size)][::-1]
    assert found.named == size


@pytest.mark.parametrize(("size", "k", "most"), [(20, 5, 10), (8, 5, 8), (3, 5, 3), (1, 1, 1)])
async def test_a_server_is_asked_for_two_k_numbers_at_most_and_more_are_taken(
    judged: Judge, size: int, k: int, most: int
) -> None:
    wanted = json_schema(_schema(size, min(k, size)))["properties"]["ranking"]
    assert (wanted["minItems"], wanted["maxItems"]) == (min(k, size), most)
    found = await ranked(reply(*(str(n) for n in range(1, size + 1))), judged(size), k)
    assert found.named == size


async def test_the_ranker_reads_what_the_others_wrote(judged: Judge, shopper: Shopper) -> None:
    nothing = Constraints(price=None, brand=None, avoid=[])
    understanding = Understanding(
        long_term=[], session_goal="a <goal>", constraints=nothing, summary="the\nshopper"
    )
    context = ContextSummary(themes=[], summary="the goods")
    with scripted({"rank": [reply("1")]}) as model:
        ranker = ItemRanker(chat_model(model))
        await ranker.rank(shopper, understanding, context, judged(1), k=1)
    text = str(model.script.asked[0][2][1].content)
    for part in ("a \u2039goal\u203a", "the shopper", "the goods", "Product 0"):
        assert part in text


async def test_a_colleague_who_failed_is_unknown_to_the_ranker(judged: Judge) -> None:
    with scripted({"rank": [reply("1")]}) as model:
        ranker = ItemRanker(chat_model(model))
        await ranker.rank(Shopper(user="7"), None, None, judged(1), k=1)
    assert str(model.script.asked[0][2][1].content).count("(unknown)") == 3


@settings(max_examples=40)
@given(data=st.data(), size=st.integers(1, 40), k=st.integers(1, 50))
async def test_whatever_numbers_come_back_the_ranking_is_a_permutation(
    data: st.DataObject, size: int, k: int
) -> None:
    number = st.integers(1, size).map(str)
    numbers = data.draw(st.lists(number, min_size=min(size, k), max_size=size))
    rows = [
        (Candidate(item=f"a{i}", text="x"), NliScore(item=f"a{i}", score=0.5)) for i in range(size)
    ]
    found = await ranked(reply(*numbers), rows, k)
    ids = [row.item for row, _ in rows]
    assert sorted(found.ranking) == sorted(ids)
    assert found.ranking[0] == ids[int(numbers[0]) - 1]
    assert found.named == len(set(numbers))
    left_out = found.ranking[found.named :]
    assert left_out == [item for item in ids if item in left_out]
