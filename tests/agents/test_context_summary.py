from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merchgraph.agents.context_summary import ContextSummarizer, ContextSummary, Theme
from merchgraph.agents.nli import Judged, NliScore
from merchgraph.agents.shopper import Candidate, Shopper
from merchgraph.runtime.errors import ModelReplyError
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.scripted import scripted


def reply(*themes: tuple[str, list[Any]], summary: str = "All in all.") -> str:
    named = [{"text": text, "numbers": numbers} for text, numbers in themes]
    return json.dumps({"themes": named, "summary": summary})


async def test_numbers_become_the_ids_of_the_items_offered(
    shopper: Shopper, judged: Callable[[int], list[Judged]]
) -> None:
    with scripted({"summarize": [reply(("sweet", ["3", "1"]), ("dry", ["2"]))]}) as model:
        found = await ContextSummarizer(chat_model(model)).summarize(shopper, judged(3))
    assert found == ContextSummary(
        themes=[Theme(text="sweet", items=["a2", "a0"]), Theme(text="dry", items=["a1"])],
        summary="All in all.",
    )


async def test_an_item_named_twice_and_a_theme_said_twice_count_once(
    shopper: Shopper, judged: Callable[[int], list[Judged]]
) -> None:
    said = reply(("sweet", ["2", "2", "1"]), ("dry", []), ("sweet", ["3"]))
    with scripted({"summarize": [said]}) as model:
        found = await ContextSummarizer(chat_model(model)).summarize(shopper, judged(3))
    assert found.themes == [
        Theme(text="sweet", items=["a1", "a0"]),
        Theme(text="dry", items=[]),
    ]


@pytest.mark.parametrize("number", ["0", "4", "-1", "a0", "01", " 1", 1, "", "1.0"])
async def test_a_number_that_was_not_offered_is_sent_back_then_refused(
    shopper: Shopper, judged: Callable[[int], list[Judged]], number: Any
) -> None:
    wrong, right = reply(("sweet", [number])), reply(("sweet", ["1"]))
    with scripted({"summarize": [wrong, right]}) as model:
        found = await ContextSummarizer(chat_model(model)).summarize(shopper, judged(3))
    assert found.themes[0].items == ["a0"]
    with scripted({"summarize": [wrong, wrong]}) as model, pytest.raises(ModelReplyError):
        await ContextSummarizer(chat_model(model)).summarize(shopper, judged(3))


async def test_a_summary_that_runs_over_is_cut(
    shopper: Shopper, judged: Callable[[int], list[Judged]]
) -> None:
    said = reply(("t" * 999, ["1"]), summary="s" * 9999)
    with scripted({"summarize": [said]}) as model:
        found = await ContextSummarizer(chat_model(model)).summarize(shopper, judged(1))
    assert len(found.themes[0].text) < 100
    assert len(found.summary) < 500
    assert found.summary.endswith("…")


@settings(max_examples=40)
@given(data=st.data(), size=st.integers(1, 30))
async def test_only_items_that_were_offered_are_named(data: st.DataObject, size: int) -> None:
    number = st.integers(1, size).map(str)
    theme = st.tuples(st.text(max_size=9), st.lists(number, max_size=5))
    themes = data.draw(st.lists(theme, max_size=3))
    rows = [
        (Candidate(item=f"a{i}", text="x"), NliScore(item=f"a{i}", score=0.5)) for i in range(size)
    ]
    with scripted({"summarize": [reply(*themes)]}) as model:
        found = await ContextSummarizer(chat_model(model)).summarize(Shopper(user="7"), rows)
    ids = {row.item for row, _ in rows}
    for made in found.themes:
        assert set(made.items) <= ids
        assert len(set(made.items)) == len(made.items)
