"""CARTS where something is missing: bad requests, agents without an answer, modules without words."""

from __future__ import annotations

from typing import Any

import pytest

from merchgraph.graphs import carts
from merchgraph.graphs.carts import Context, Request, Result
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.scripted import Always, Replies, scripted
from tests.graphs.carts_shop import GOOD, ITEMS, corner_shop, script, titles_of
from tests.graphs.carts_shop import corner_carts as corner_carts

pytestmark = pytest.mark.usefixtures("corner_carts")
GONE = Always(ConnectionRefusedError("gone"))
NO_JSON = Always("I cannot.")


async def ran(replies: Replies, items: list[str] = ITEMS, **settings: Any) -> Result:
    with scripted(replies) as model:
        return await carts.arun(Request(items=items), Context(model=model, **settings))


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([], "The module has no items; name 1 to 50"),
        (["rye", "jam", "rye"], "names the item 'rye' twice"),
        (["rye", "gold"], "'gold' is not in the catalogue"),
        ([f"{n}" for n in range(51)], "has 51 items, but 50 is the most"),
    ],
)
async def test_a_module_that_cannot_be_titled_is_one_clear_sentence(
    items: list[str], told: str
) -> None:
    with pytest.raises(SetupError, match=told):
        await ran({}, items)


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"models": {"refine": "nobody/here"}}, "'nobody/here'"), ({"banned": ["!"]}, "'!'")],
)
async def test_a_mistake_in_the_settings_is_said_before_any_model_is_asked(
    settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(SetupError, match=told):
        await ran({}, **settings)


async def test_an_extractor_without_an_answer_costs_its_own_item_only() -> None:
    result = await ran(script(extract__rye=GONE))
    assert all(f.by_code for f in result.features["rye"])
    assert not all(f.by_code for f in result.features["jam"])
    assert [(e.node, e.lane) for e in result.errors] == [("extract", "rye")]
    assert result.feasible


async def test_a_writer_without_an_answer_leaves_titles_by_code() -> None:
    result = await ran(script(draft=NO_JSON))
    assert {c.origin for c in result.candidates} == {"template"}
    assert result.feasible
    assert [(e.node, e.kind) for e in result.errors] == [("draft", "ModelReplyError")]


async def test_a_run_in_which_nobody_answers_is_no_run() -> None:
    nobody = dict.fromkeys(("extract", "draft", "relevance", "refine", "arbitrate"), GONE)
    with pytest.raises(SetupError, match="gone"):
        await ran(nobody)
    with pytest.raises(SetupError, match="gone"):
        await ran(nobody, without=["features"])


async def test_without_a_judge_titles_have_no_coverage_and_are_feasible_all_the_same() -> None:
    result = await ran(script(relevance=GONE))
    assert result.coverage is None
    assert result.feasible
    assert {e.node for e in result.errors} == {"check"}


async def test_items_that_the_judge_could_not_judge_are_not_covered() -> None:
    def rye_fails(messages: Any) -> Any:
        text = str(messages[-1].content)
        return "no odds" if "Rye bread" in text or len(messages) > 2 else {"Yes": 1.0}

    result = await ran(script(["Bread & Spreads"], relevance=Always(rye_fails)), drafts=1, rounds=0)
    found = result.candidates[0].rounds[0].findings[-1]
    assert "rye" not in found.details
    assert found.score == pytest.approx(5 / 6)


async def test_a_refiner_without_an_answer_leaves_the_draft() -> None:
    result = await ran(script(["Rye Bread for You"], refine=NO_JSON), drafts=1)
    assert result.title == "Rye Bread for You"
    assert result.candidates[0].stopped == "no answer"


async def test_an_arbiter_without_an_answer_has_no_vote() -> None:
    result = await ran(script(arbitrate=NO_JSON), rounds=0)
    best = max(c.coverage or 0 for c in result.candidates if c.feasible)
    assert result.coverage == best
    assert [e.node for e in result.errors] == ["arbitrate"] * 3


async def test_one_candidate_needs_no_arbiter() -> None:
    result = await ran(script(["Bread & Spreads"], arbitrate=[]), drafts=1, rounds=0)
    assert result.title == "Bread & Spreads"


async def test_titles_that_became_the_same_need_no_arbiter() -> None:
    result = await ran(script(GOOD[:2], arbitrate=[]), drafts=2, rounds=0, banned=["spreads"])
    assert result.feasible or result.candidates[-1].origin == "template"


async def test_a_template_stands_in_where_no_candidate_keeps_the_rules() -> None:
    bad = ["Best gold ever", "Cheap silver!!"]
    result = await ran(script(bad, refine=Always('{"title": "GOLD"}')), drafts=2)
    assert result.feasible
    assert not result.trimmed
    assert [c.origin for c in result.candidates] == ["model", "model", "template"]
    assert [c.feasible for c in result.candidates] == [False, False, True]
    assert result.candidates[-1].stopped == "by code"  # in no loop, so in no last round of one
    assert result.title == result.candidates[-1].text


async def test_a_flagged_title_is_cut_where_there_is_no_feasible_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = corner_shop({"odd": "🎉🎉"})
    monkeypatch.setattr(carts, "shop", lambda name: store)
    long = "A wonderful and very long title about nothing that anybody sells"
    for draft in (long, "tiny"):
        result = await ran(
            script([draft], extract=NO_JSON, relevance=Always({"No": 1.0}),
                   refine=Always('{"title": "?"}')),
            ["odd"], drafts=1,
        )  # fmt: skip
        assert (result.feasible, result.trimmed) == (False, True)
        assert len(result.title) <= 50
        assert draft.startswith(result.title)
    assert result.clusters == []


async def test_no_draft_and_no_word_still_end_in_a_flagged_title(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(carts, "shop", lambda name: corner_shop({"odd": "🎉"}))
    result = await ran(script([], relevance=Always({"No": 1.0})), ["odd"], rounds=0)
    assert (result.title, result.feasible, result.trimmed) == ("🎉", False, True)


@pytest.mark.parametrize("count", [1, 50])
async def test_a_module_has_one_to_fifty_items(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    more = {f"x{n}": f"Tea number{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(count)}
    monkeypatch.setattr(carts, "shop", lambda name: corner_shop(more))
    with scripted({**script(), "draft": Always(titles_of(["All the Tea"]))}) as model:
        result = await carts.arun(Request(items=list(more)), Context(model=model, drafts=2))
    assert result.feasible
    assert len(result.features) == count
