"""ARAG's flow with a scripted model: who writes what, in which order, and what comes out."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from langgraph.errors import GraphRecursionError

from merchgraph.graphs import arag, arag_state
from merchgraph.graphs.arag import Context, Request
from merchgraph.runtime import scripted as double
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.node import RECURSION_LIMIT
from merchgraph.runtime.scripted import Replies, scripted
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.data.shops import shop

pytestmark = pytest.mark.usefixtures("corner")
Scripting = Callable[..., Replies]
SLATE = ["tea", "cake", "soap", "rice"]
FITS = {"tea": 0.3, "cake": 0.9, "soap": 0.1, "rice": 0.6}


async def test_every_agent_writes_on_the_board_in_the_order_of_the_flow(script: Scripting) -> None:
    with scripted(script(FITS)) as model:
        result = await arag.arun(Request(user="ann", candidates=SLATE), Context(model=model, k=2))
    said = [(message.role, type(message.payload).__name__) for message in result.board]
    assert said == [
        ("retrieve", "Retrieved"),
        ("understand", "Understanding"),
        *[("nli", "NliScore")] * 4,
        ("summarize", "Accepted"),
        ("summarize", "ContextSummary"),
        ("rank", "Ranking"),
    ]
    assert [message.seq for message in result.board] == list(range(9))
    assert [message.payload.item for message in result.board[2:6]] == SLATE  # type: ignore[union-attr]


async def test_accepted_items_go_by_the_ranker_and_the_others_by_score(script: Scripting) -> None:
    with scripted(script(FITS)) as model:
        result = await arag.arun(Request(user="ann", candidates=SLATE), Context(model=model, k=2))
    assert [row.item for row in result.ranking] == ["rice", "cake", "tea", "soap"]
    assert [row.accepted for row in result.ranking] == [True, True, False, False]
    assert [row.why for row in result.ranking] == ["fits 0.6", "fits 0.9", "", ""]
    assert [row.rank for row in result.ranking] == [1, 2, 3, 4]
    assert result.recommendations == result.ranking[:2]
    assert [row.score for row in result.ranking] == pytest.approx([0.6, 0.9, 0.3, 0.1], abs=1e-5)
    assert {row.sources for row in result.ranking} == {("slate",)}
    assert result.understanding is not None
    assert result.context is not None
    assert result.context.themes[0].items == ["cake", "rice"]
    assert not result.fallback
    assert not result.errors


async def test_with_the_scope_all_the_ranker_orders_every_candidate(script: Scripting) -> None:
    with scripted(script(FITS)) as model:
        context = Context(model=model, k=1, rank_scope="all")
        result = await arag.arun(Request(user="ann", candidates=SLATE), context)
    assert [row.item for row in result.ranking] == ["soap", "tea", "rice", "cake"]
    assert [row.accepted for row in result.ranking] == [False, False, True, True]


@pytest.mark.parametrize(("theta", "accepted"), [(0.0, 4), (0.5, 2), (0.65, 1), (0.2, 3)])
async def test_theta_is_the_least_score_of_an_accepted_item(
    script: Scripting, theta: float, accepted: int
) -> None:
    with scripted(script(FITS)) as model:
        context = Context(model=model, k=1, theta=theta)
        result = await arag.arun(Request(user="ann", candidates=SLATE), context)
    assert sum(row.accepted for row in result.ranking) == accepted


async def test_where_no_item_is_accepted_the_three_best_stand_in(script: Scripting) -> None:
    with scripted(script(FITS)) as model:
        context = Context(model=model, k=1, theta=1.0)
        result = await arag.arun(Request(user="ann", candidates=SLATE), context)
    assert result.fallback
    assert {row.item for row in result.ranking if row.accepted} == {"cake", "rice", "tea"}
    assert result.ranking[-1].item == "soap"
    (accepted,) = (m.payload for m in result.board if isinstance(m.payload, arag_state.Accepted))
    assert accepted.fallback
    assert accepted.accepted == ["cake", "rice", "tea"]


async def test_candidates_come_from_the_sources_without_the_basket(script: Scripting) -> None:
    with scripted(script()) as model:
        result = await arag.arun(
            Request(user="ann"), Context(model=model, k=2, candidates=5, rationales=False)
        )
    assert {row.item for row in result.ranking} == {"milk", "tea", "cake", "soap", "rice"}
    assert result.ranking[0].sources == ("semantic",)
    assert result.usage_by_agent["nli"].calls == 5


async def test_agents_read_the_last_basket_and_each_earlier_item_once(script: Scripting) -> None:
    with scripted(script()) as model:
        await arag.arun(Request(user="ann", candidates=SLATE), Context(model=model, k=1))
    text = next(str(m[1].content) for agent, _, m in model.script.asked if agent == "understand")
    before, basket = text.split("</shopper>")[0].split("In the basket now")
    assert [before.count("Oat milk"), before.count("Green tea")] == [1, 1]
    assert before.index("Green tea") < before.index("Oat milk")  # the latest purchase counts
    assert "Plum jam" in basket


async def test_nothing_of_the_log_after_the_time_is_read(script: Scripting) -> None:
    with scripted(script()) as model:
        request: Any = {"user": "ann", "candidates": SLATE, "before": "2026-01-03T00:00:00"}
        await arag.graph.ainvoke(request, context=Context(model=model, k=1))
    assert "Plum jam" not in str(model.script.asked)


async def test_runs_are_the_same_whatever_branch_is_first(
    script: Scripting, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(0)

    async def some_time(_: float) -> None:
        await asyncio.sleep(dice.uniform(0, 0.005))

    monkeypatch.setattr(double, "asyncio", SimpleNamespace(sleep=some_time))
    boards, orders = set(), set()
    for _ in range(5):
        with scripted(script(FITS), delay_s=1) as model:
            request = Request(user="ann", candidates=SLATE)
            result = await arag.arun(request, Context(model=model, k=2))
            boards.add(json.dumps([m.model_dump(mode="json") for m in result.board]))
            orders.add(tuple(lane for agent, lane, _ in model.script.asked if agent == "nli"))
    assert len(boards) == 1
    assert len(orders) > 1, "the branches never changed places, so nothing was shown"


async def test_the_ledger_has_every_request(script: Scripting) -> None:
    with scripted(script(FITS)) as model:
        result = await arag.arun(Request(user="ann", candidates=SLATE), Context(model=model, k=2))
    asked = [agent for agent, _, _ in model.script.asked]
    assert result.usage.calls == len(asked) == 1 + 4 + 2 + 1 + 1
    for agent, usage in result.usage_by_agent.items():
        assert usage.calls == asked.count(agent)
    assert sum(usage.prompt_tokens for usage in result.usage_by_agent.values()) > 0
    assert result.usage.failures == 0


async def test_each_agent_may_have_a_model_of_its_own(script: Scripting) -> None:
    every = script()
    ranker = {"rank": every["rank"]}
    others = {key: value for key, value in every.items() if key != "rank"}
    with scripted(others) as small, scripted(ranker) as large:
        context = Context(model=small, models={"rank": large}, k=1)
        await arag.arun(Request(user="ann", candidates=SLATE), context)
    assert [agent for agent, _, _ in large.script.asked] == ["rank"]
    assert "rank" not in {agent for agent, _, _ in small.script.asked}


async def test_a_result_is_json(script: Scripting) -> None:
    with scripted(script()) as model:
        result = await arag.arun(Request(user="ann"), Context(model=model, k=2, candidates=5))
    again = arag.Result.model_validate_json(json.dumps(result.model_dump(mode="json")))
    assert again == result


async def test_a_request_may_be_a_plain_dict_and_settings_too(script: Scripting) -> None:
    with scripted(script()) as model:
        request: Any = {"user": "ann", "candidates": SLATE}
        context: Any = {"model": model, "k": 2}
        state = await arag.graph.ainvoke(request, context=context)
    assert len(arag.result(state, Context(k=2)).recommendations) == 2


async def test_without_a_context_the_default_one_holds(
    script: Scripting, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(script()) as model:
        monkeypatch.setattr(arag_state, "chat_model", lambda name, **_: chat_model(model))
        result = await arag.arun(Request(user="ann"))
    assert len(result.recommendations) == 5


async def test_the_sync_front_works_inside_a_running_loop(script: Scripting) -> None:
    with scripted(script()) as model:
        result = arag.run(Request(user="ann", candidates=SLATE), Context(model=model, k=1))
    assert len(result.ranking) == 4


def test_the_sync_front_works_in_ordinary_code(script: Scripting) -> None:
    with scripted(script()) as model:
        result = arag.run(Request(user="ann", candidates=SLATE), Context(model=model, k=1))
    assert len(result.ranking) == 4


async def test_no_node_blocks_the_event_loop(script: Scripting) -> None:
    with scripted(script(FITS)) as model:
        request, context = Request(user="ann", candidates=SLATE), Context(model=model, k=2)
        await arag.arun(request, context)  # imports made at the first call may block
        with blockbuster_ctx():
            await arag.arun(request, context)


async def test_a_run_has_few_steps_and_a_limit_of_them(script: Scripting) -> None:
    assert arag.graph.config is not None
    assert arag.graph.config["recursion_limit"] == RECURSION_LIMIT
    with scripted(script()) as model:
        request: Any = {"user": "ann", "candidates": SLATE}
        context = Context(model=model, k=1)
        await arag.graph.ainvoke(request, {"recursion_limit": 5}, context=context)
        with pytest.raises(GraphRecursionError):
            await arag.graph.ainvoke(request, {"recursion_limit": 4}, context=context)


async def test_a_shop_may_be_a_mapping_file(
    script: Scripting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arag, "shop", shop)
    (tmp_path / "i.csv").write_text("id,name\n1,Soap\n2,Tea\n3,Jam\n")
    (tmp_path / "e.csv").write_text("u,t,id\nann,2024-01-01 10:00:00,1\n")
    (tmp_path / "mine.yaml").write_text(
        "items: {file: i.csv, columns: {item: id, title: name}}\n"
        "events: {file: e.csv, columns: {user: u, time: t, item: id},"
        " constants: {behaviour: view}, time_format: '%Y-%m-%d %H:%M:%S'}\n"
    )
    with use_settings(cache=tmp_path / "cache"), scripted(script()) as model:
        context = Context(model=model, k=1, data=str(tmp_path / "mine.yaml"))
        result = await arag.arun(Request(user="ann", candidates=["2", "3"]), context)
    assert [row.title for row in result.ranking] == ["Jam", "Tea"]
