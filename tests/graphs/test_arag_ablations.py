"""ARAG's settings for ablations and weak models: what makes a call, and what agents are told then."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest

from merchgraph.graphs import arag
from merchgraph.graphs.arag import Context, Request
from merchgraph.graphs.arag_state import READERS, Reader
from merchgraph.runtime.errors import EndpointError, SetupError
from merchgraph.runtime.scripted import Always, Replies, ScriptedModel, scripted

pytestmark = pytest.mark.usefixtures("corner")
Scripting = Callable[..., Replies]
SLATE = ["tea", "cake", "soap", "rice"]
FITS = {"tea": 0.3, "cake": 0.9, "soap": 0.1, "rice": 0.6}
GONE = Always(EndpointError("The model server did not answer."))
SINGLE = Always('{"ranking": ["3", "1"]}')


async def ran(replies: Replies, *without: Reader, **settings: Any) -> tuple[arag.Result, list[str]]:
    """The result, and which agents were asked."""
    with scripted(replies) as model:
        context = Context(model=model, k=2, without=list(without), **settings)
        result = await arag.arun(Request(user="ann", candidates=SLATE), context)
    return result, [agent for agent, _, _ in model.script.asked]


def text_for(agent: str, model: ScriptedModel) -> str:
    return next(str(asked[1].content) for name, _, asked in model.script.asked if name == agent)


@pytest.mark.parametrize(
    "without", [some for size in range(3) for some in combinations(READERS, size)], ids=str
)
async def test_an_agent_that_is_left_out_makes_no_call_and_the_others_make_theirs(
    script: Scripting, without: tuple[Reader, ...]
) -> None:
    result, asked = await ran(script(FITS), *without)
    assert set(asked) == {"understand", "nli", "summarize", "rank"} - set(without)
    assert (result.understanding is None) == ("understand" in without)
    assert (result.context is None) == ("summarize" in without)
    assert all((row.score is None) == ("nli" in without) for row in result.ranking)
    assert sorted(row.item for row in result.ranking) == sorted(SLATE)
    assert not result.errors
    assert not result.fallback


async def test_without_a_judge_every_candidate_is_accepted_as_retrieved(script: Scripting) -> None:
    result, _ = await ran(script(), "nli", theta=1.0)
    assert all(row.accepted for row in result.ranking)
    assert [row.item for row in result.ranking] == SLATE[::-1]  # the ranker turns its list around
    result, _ = await ran(script(rank=Always('{"ranking": ["2", "3"]}')), "nli")
    assert [row.item for row in result.ranking] == ["cake", "soap", "tea", "rice"]


async def test_without_a_judge_nobody_is_told_of_one(script: Scripting) -> None:
    with scripted(script()) as model:
        context = Context(model=model, k=2, without=["nli"])
        await arag.arun(Request(user="ann", candidates=SLATE), context)
    for agent in ("summarize", "rank"):
        text = text_for(agent, model)
        assert "2. Lemon cake" in text
        assert "fit" not in text
        assert "judge" not in text


async def test_the_ranker_does_not_know_what_nobody_found_out(script: Scripting) -> None:
    ablations: list[tuple[list[Reader], int]] = [(["understand"], 2), (["summarize"], 1), ([], 0)]
    for without, unknown in ablations:
        with scripted(script()) as model:
            context = Context(model=model, k=2, without=without)
            await arag.arun(Request(user="ann", candidates=SLATE), context)
        assert text_for("rank", model).count("(unknown)") == unknown


async def test_without_all_three_readers_one_prompt_ranks() -> None:
    result, asked = await ran({"single": SINGLE}, *READERS)
    assert asked == ["single"]
    assert [row.item for row in result.ranking] == ["soap", "tea", "cake", "rice"]
    assert result.usage.calls == 1
    again = arag.Result.model_validate_json(json.dumps(result.model_dump(mode="json")))
    assert again == result


async def test_a_single_prompt_that_gives_nonsense_leaves_the_retrieved_order() -> None:
    result, _ = await ran({"single": Always("no idea")}, *READERS)
    assert [row.item for row in result.ranking] == SLATE
    assert [error.node for error in result.errors] == ["rank"]


@pytest.mark.parametrize("without", [("nli",), ("nli", "understand"), READERS], ids=str)
async def test_a_dead_server_ends_the_run_without_a_judge_too(
    script: Scripting, without: tuple[Reader, ...]
) -> None:
    with pytest.raises(SetupError, match="did not answer"):
        await ran({agent: GONE for agent in (*script(), "single")}, *without)


async def test_one_failure_ends_no_run_without_a_judge(script: Scripting) -> None:
    result, _ = await ran(script(understand=GONE), "nli")
    assert [error.node for error in result.errors] == ["understand"]
    assert result.ranking[0].item == "rice"


async def test_calibrated_scores_decide_what_is_accepted(script: Scripting) -> None:
    prior = Always(
        lambda asked: {"Yes": 0.95, "No": 0.05} if "cake" in str(asked) else {"Yes": 0.2, "No": 0.8}
    )
    result, asked = await ran(script(FITS, prior=prior), calibrate=True)
    assert {row.item for row in result.ranking if row.accepted} == {"tea", "rice"}
    assert asked.count("prior") == asked.count("nli") - 2 == 4
    scores = {row.item: row.score for row in result.ranking}
    assert scores["cake"] == pytest.approx((0.9 / 0.1) / (0.9 / 0.1 + 0.95 / 0.05), abs=1e-4)
    assert result.usage_by_agent["prior"].calls == 4


async def test_an_item_without_its_prior_counts_as_not_judged(script: Scripting) -> None:
    even = Always({"Yes": 0.5, "No": 0.5})
    result, _ = await ran(script(FITS, prior=even, prior__cake=GONE), calibrate=True)
    assert result.ranking[-1].item == "cake"
    assert result.ranking[-1].score is None
    assert [(error.node, error.lane) for error in result.errors] == [("nli", "cake")]
