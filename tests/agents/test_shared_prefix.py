"""What the requests of one run share comes first, byte for byte: a server's prompt cache lives on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from merchgraph.agents.context_summary import ContextSummarizer, ContextSummary
from merchgraph.agents.item_ranker import ItemRanker
from merchgraph.agents.nli import Judged, Nli, products
from merchgraph.agents.shopper import Shopper
from merchgraph.agents.user_understanding import Constraints, Understanding, UserUnderstanding
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.scripted import scripted

FOUND = Understanding(
    long_term=[],
    session_goal="",
    constraints=Constraints(price=None, brand=None, avoid=[]),
    summary="",
)
REPLIES: dict[str, Any] = {
    "understand": [FOUND],
    "nli": [{"Yes": 1.0}, '{"reason": "so"}'],
    "summarize": ['{"themes": [], "summary": ""}'],
    "rank": ['{"ranking": ["1"]}'],
}

Asked = dict[str, list[BaseMessage]]


def beginning(texts: Sequence[str]) -> str:
    """The longest beginning that all texts share."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))
    return "".join(letters[0] for letters in same)


@pytest.fixture
async def asked(shopper: Shopper, judged: Callable[[int], list[Judged]]) -> Asked:
    """The messages of every kind of request in a run over three items."""
    rows = judged(3)
    candidate, score = rows[0]
    with scripted(REPLIES) as name:
        model = chat_model(name)
        await UserUnderstanding(model).understand(shopper)
        await Nli(model).score(shopper, candidate)
        await Nli(model).rationale(shopper, candidate, score)
        await ContextSummarizer(model).summarize(shopper, rows)
        nothing = ContextSummary(themes=[], summary="")
        await ItemRanker(model).rank(shopper, FOUND, nothing, rows, k=1)
    kinds = ("understand", "nli", "rationale", "summarize", "rank")
    return {kind: messages for kind, (_, _, messages) in zip(kinds, name.script.asked, strict=True)}


async def test_all_requests_of_a_run_begin_with_the_team_and_the_shopper(
    asked: Asked, shopper: Shopper
) -> None:
    assert len({str(messages[0].content) for messages in asked.values()}) == 1
    shared = beginning([str(messages[1].content) for messages in asked.values()])
    block, closing = shared.split("</shopper>")
    assert block.startswith("<shopper>")
    assert all(text in block for text in (*shopper.long_term, *shopper.session))
    assert closing.isspace()


async def test_the_judge_of_each_item_differs_in_the_item_alone(
    shopper: Shopper, judged: Callable[[int], list[Judged]]
) -> None:
    with scripted({"nli": [{"Yes": 1.0}] * 2}) as name:
        for candidate, _ in judged(2):
            await Nli(chat_model(name)).score(shopper, candidate)
    one, two = (str(messages[1].content) for _, _, messages in name.script.asked)
    assert one.replace("Product 0", "Product 1") == two
    # what follows the item is read anew for every item
    assert len(one) - len(beginning([one, two])) < 80


async def test_the_summary_and_the_ranking_share_the_products_too(
    asked: Asked, judged: Callable[[int], list[Judged]]
) -> None:
    both = [str(asked[kind][1].content) for kind in ("summarize", "rank")]
    assert products(judged(3)) in beginning(both)
