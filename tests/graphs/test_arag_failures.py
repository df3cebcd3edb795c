"""What a run does without: an agent that fails costs its own part, a person's mistake ends the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from merchgraph.graphs import arag
from merchgraph.graphs.arag import Context, Request
from merchgraph.graphs.front import checked
from merchgraph.runtime.errors import EndpointError, SetupError
from merchgraph.runtime.scripted import Always, Replies, scripted
from merchgraph.runtime.settings import use_settings
from merchgraph.tools import candidates

pytestmark = pytest.mark.usefixtures("corner")
Scripting = Callable[..., Replies]
SLATE = ["tea", "cake", "soap", "rice"]
FITS = {"tea": 0.3, "cake": 0.9, "soap": 0.1, "rice": 0.6}
GONE = EndpointError("The model server did not answer.")
NONSENSE = Always("I'd rather not say")


async def ran(replies: Replies, **settings: Any) -> arag.Result:
    with scripted(replies) as model:
        context = Context(model=model, k=2, **settings)
        return await arag.arun(Request(user="ann", candidates=SLATE), context)


def failures(result: arag.Result) -> list[tuple[str, str, str]]:
    return [(error.node, error.lane, error.kind) for error in result.errors]


@pytest.mark.parametrize(
    ("fault", "kind"), [(Always(GONE), "EndpointError"), (NONSENSE, "ModelReplyError")]
)
async def test_an_item_that_cannot_be_judged_comes_last_and_is_not_lost(
    script: Scripting, fault: Always, kind: str
) -> None:
    result = await ran(script({"tea": 0.3, "soap": 0.1, "rice": 0.6}, nli__cake=fault))
    assert [row.item for row in result.ranking] == ["rice", "tea", "soap", "cake"]
    last = result.ranking[-1]
    assert (last.score, last.label, last.accepted, last.why) == (None, None, False, "")
    assert failures(result) == [("nli", "cake", kind)]


async def test_a_judge_without_reasons_keeps_its_scores(script: Scripting) -> None:
    def no_reason(messages: Any) -> Any:
        return {"Yes": 0.9, "No": 0.1} if len(messages) == 2 else "because!"

    result = await ran(script(FITS, nli__cake=Always(no_reason)), theta=0.7)
    assert result.ranking[0].item == "cake"
    assert result.ranking[0].score == pytest.approx(0.9, abs=1e-5)
    assert failures(result) == [("nli", "cake", "ModelReplyError")]
    assert result.usage_by_agent["nli"].repairs == 1


async def test_a_server_that_dies_before_the_reason_leaves_the_score(script: Scripting) -> None:
    result = await ran(script(FITS, nli__cake=[{"Yes": 0.9, "No": 0.1}, GONE]), theta=0.7)
    assert result.ranking[0].score == pytest.approx(0.9, abs=1e-5)
    assert failures(result) == [("nli", "cake", "EndpointError")]
    assert result.usage.failures == 1
    assert result.usage.calls == 1 + 5 + 1 + 1


async def test_without_an_understanding_the_run_goes_on(script: Scripting) -> None:
    result = await ran(script(FITS, understand=Always(GONE)))
    assert result.understanding is None
    assert [row.item for row in result.ranking] == ["rice", "cake", "tea", "soap"]
    assert failures(result) == [("understand", "", "EndpointError")]


async def test_without_a_summary_the_ranker_still_ranks_the_accepted(script: Scripting) -> None:
    result = await ran(script(FITS, summarize=NONSENSE))
    assert result.context is None
    assert [row.item for row in result.ranking] == ["rice", "cake", "tea", "soap"]
    assert [row.accepted for row in result.ranking] == [True, True, False, False]
    assert failures(result) == [("summarize", "", "ModelReplyError")]


async def test_without_a_ranker_the_scores_rank(script: Scripting) -> None:
    result = await ran(script(FITS, rank=NONSENSE))
    assert [row.item for row in result.ranking] == ["cake", "rice", "tea", "soap"]
    assert result.ranking[0].why == "fits 0.9"
    assert failures(result) == [("rank", "", "ModelReplyError")]


async def test_with_every_judge_failed_the_retrieved_order_stands(script: Scripting) -> None:
    result = await ran(script(nli=Always(GONE)))
    assert result.fallback
    assert {row.item for row in result.ranking if row.accepted} == set(SLATE[:3])
    assert result.ranking[-1].item == "rice"
    assert [row.score for row in result.ranking] == [None] * 4


async def test_everything_but_one_judge_may_fail(script: Scripting) -> None:
    lanes = {f"nli__{item}": Always(GONE) for item in SLATE[1:]}
    broken = {agent: Always(GONE) for agent in ("understand", "summarize", "rank")}
    result = await ran(script(**broken, **lanes))
    assert [row.item for row in result.ranking] == SLATE
    nodes = [node for node, _, _ in failures(result)]
    assert nodes == ["understand", "nli", "nli", "nli", "summarize", "rank"]


async def test_a_run_in_which_nobody_answers_is_an_error_with_its_cause(script: Scripting) -> None:
    with pytest.raises(SetupError, match="did not answer"):
        await ran({agent: Always(GONE) for agent in script()})


async def test_a_used_up_budget_is_said_once_nobody_can_answer(script: Scripting) -> None:
    with use_settings(token_budget=1), scripted(script()) as model:
        model.limiter.spend(5)
        context = Context(model=model, k=1)
        with pytest.raises(SetupError, match="budget"):
            await arag.arun(Request(user="ann", candidates=SLATE), context)


async def test_the_calls_of_a_failed_branch_are_on_the_ledger(script: Scripting) -> None:
    result = await ran(script(FITS, rank=NONSENSE))
    assert result.usage_by_agent["rank"].calls == 2
    assert result.usage_by_agent["rank"].repairs == 1


@pytest.mark.parametrize(
    ("request_", "settings", "told"),
    [
        ({"user": "zoe"}, {}, ["'zoe'", "'ann'", "corner"]),
        ({"user": "ann", "before": "2026-01-01"}, {}, ["'ann'", "2026-01-01", "later time"]),
        ({"candidates": ["tea", "jam", "tea"]}, {"k": 1}, ["'tea' twice", "once"]),
        ({"candidates": ["tea", "ham"]}, {"k": 1}, ["'ham'", "not in the catalogue"]),
        ({"session": ["ham"]}, {}, ["'ham'", "not in the catalogue"]),
        ({"candidates": ["tea"]}, {"k": 2}, ["k is 2", "1 candidates", "lower k"]),
        ({"candidates": []}, {"k": 1}, ["k is 1", "0 candidates"]),
        ({"session": [], "long_term": []}, {}, ["neither", "give a session"]),
        ({"user": ""}, {}, ["user", "''", "at least 1 character"]),
        ({"before": "yesterday"}, {}, ["before", "'yesterday'"]),
        ({}, {"model": "abacus/9"}, ["'abacus/9'", "PROVIDER/MODEL", "embedded"]),
        ({}, {"models": {"rank": "gpt"}}, ["'gpt'", "PROVIDER/MODEL"]),
        ({}, {"k": 6, "candidates": 5}, ["k is 6", "5 candidates", "lower k to 5"]),
        ({}, {"k": 0}, ["k is 0", "greater than or equal to 1"]),
        ({}, {"theta": 1.5}, ["theta is 1.5", "less than or equal to 1"]),
        ({}, {"kk": 3}, ["'kk'", "there are model, models, k,"]),
        ({}, {"sources": []}, ["sources is []", "at least 1 item"]),
        ({}, {"sources": ["psychic"]}, ["sources.0 is 'psychic'", "'semantic'"]),
        ({}, {"models": {"chef": "x/y"}}, ["chef", "'understand'"]),
    ],
)
async def test_a_mistake_is_named_with_the_value_and_the_remedy(
    script: Scripting, request_: Mapping[str, Any], settings: Mapping[str, Any], told: list[str]
) -> None:
    async def run(model: str) -> None:
        request = checked(Request, {"user": "ann", **request_})
        await arag.arun(request, checked(Context, {"model": model, **settings}))

    with scripted(script()) as model, pytest.raises(SetupError) as failure:
        await run(model)
    message = str(failure.value)
    assert all(word in message for word in told), message
    assert message.endswith((".", "?")), message
    assert "\n" not in message
    assert not model.script.asked


async def test_a_mistake_in_a_plain_dict_is_said_as_well(script: Scripting) -> None:
    request: Any = {"user": 7, "candidates": "tea"}
    with scripted(script()) as model, pytest.raises(SetupError, match="user is 7"):
        await arag.graph.ainvoke(request, context=Context(model=model))


async def test_sources_that_find_nothing_are_an_error(
    script: Scripting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(candidates.SOURCES, "semantic", lambda *_: [])
    with scripted(script()) as model, pytest.raises(SetupError, match="no candidate"):
        await arag.arun(Request(user="ann"), Context(model=model))


async def test_fewer_candidates_than_wanted_are_ranked_all_the_same(script: Scripting) -> None:
    with scripted(script()) as model:
        context = Context(model=model, k=15, candidates=40)
        result = await arag.arun(Request(user="ann"), context)
    assert len(result.recommendations) == len(result.ranking) == 11


async def test_a_reason_that_nobody_wants_is_not_asked_for(script: Scripting) -> None:
    result = await ran(script(FITS), rationales=False)
    assert result.usage_by_agent["nli"].calls == 4
    assert {row.why for row in result.ranking} == {""}
