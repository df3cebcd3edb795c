"""CARTS' flow with a scripted model: what is read, proven, drafted, checked, revised and chosen."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.memory import InMemorySaver

from merchgraph.graphs import carts, carts_titles
from merchgraph.graphs.carts import Context, Request, Result
from merchgraph.runtime.recording import recorded, replayed
from merchgraph.runtime.scripted import Always, Answer, Replies, scripted
from tests.graphs.carts_shop import GOOD, ITEMS, script, true_of
from tests.graphs.carts_shop import corner_carts as corner_carts

pytestmark = pytest.mark.usefixtures("corner_carts")


async def ran(replies: Replies, items: Sequence[str] = ITEMS, **settings: Any) -> Result:
    with scripted(replies) as model:
        return await carts.arun(Request(items=list(items)), Context(model=model, **settings))


async def test_a_module_gets_one_title_that_keeps_every_rule() -> None:
    result = await ran(script())
    assert result.title in {candidate.text for candidate in result.candidates}
    assert result.feasible
    assert not result.trimmed
    assert len(result.candidates) == 5
    assert not result.errors
    assert result.coverage == max(c.coverage or 0 for c in result.candidates if c.points)


async def test_features_need_a_quotation_that_the_text_has() -> None:
    said: list[dict[str, str]] = [
        {"quote": "rye  BREAD", "feature": "rye", "kind": "material", "salience": "high"},
        {"quote": "sourdough", "feature": "rye", "kind": "style", "salience": "high"},
        {"quote": "Rye", "feature": "organic", "kind": "style", "salience": "high"},
        {"quote": "Rye", "feature": "sandwiches", "kind": "use", "salience": "low"},
        {"quote": "Rye", "feature": "best lunch", "kind": "occasion", "salience": "low"},
    ]
    reply = json.dumps({"product_type": "bread", "features": said})
    result = await ran(script(extract__rye=[reply]))
    found = {f.text: (f.kind, f.salience) for f in result.features["rye"] if not f.by_code}
    assert found == {
        "bread": ("type", 1.0), "rye": ("material", 1.0), "sandwiches": ("use", 0.3),
    }  # fmt: skip


async def test_an_item_of_which_nothing_is_proven_has_its_fields_features() -> None:
    lies = json.dumps({"product_type": "gold", "features": []})
    result = await ran(script(extract=Always(lies)))
    assert {f.by_code for found in result.features.values() for f in found} == {True}
    assert [f.text for f in result.features["jam"]] == ["Jam", "Plum jam", "Spreads", "Grocery"]
    assert result.feasible


async def test_items_of_one_text_are_asked_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.graphs.carts_shop import corner_shop

    store = corner_shop({"a": "Red apple", "b": "Red apple", "c": "Red apple"})
    monkeypatch.setattr(carts, "shop", lambda name: store)
    with scripted(script(["Red Apple & Apple"])) as model:
        result = await carts.arun(
            Request(items=["a", "b", "c"]), Context(model=model, drafts=1, rounds=0)
        )
    agents = [agent for agent, _, _ in model.script.asked]
    assert agents == ["extract", "draft", "relevance"]
    assert {len(found) for found in result.features.values()} == {len(result.features["a"])}
    assert result.coverage == 1.0
    details = result.candidates[0].rounds[0].findings[-1].details
    assert list(details) == ["a", "b", "c"]


async def test_drafts_that_are_missing_or_doubled_are_made_by_code() -> None:
    result = await ran(script(["Bread & Tea", "Bread  & tea", ""]), rounds=0)
    assert [c.origin for c in result.candidates] == ["model", *["template"] * 4]
    texts = [c.text for c in result.candidates]
    assert len({text.casefold() for text in texts}) == 5
    assert all(c.feasible for c in result.candidates)


async def test_the_refiner_is_told_what_failed_and_the_uncovered_items() -> None:
    with scripted(script(["Rye Bread for You"])) as model:
        result = await carts.arun(Request(items=ITEMS), Context(model=model, drafts=1, rounds=1))
    (asked,) = [m for agent, _, m in model.script.asked if agent == "refine"]
    text = "\n".join(str(message.content) for message in asked)
    assert "Title is true of 3 of 6 products; cover these too: 'Plum jam' (say 'Spreads')" in text
    assert "10 to 50 characters" in text
    first, second = result.candidates[0].rounds
    assert second.text == {"title": "Bread, Spreads & Tea"}
    assert (second.score or 0) > (first.score or 0)
    assert [f.rule for f in first.findings] == [
        "length", "style", "supported words", "evidence", "relevance",
    ]  # fmt: skip


async def test_coverage_is_the_weighted_share_of_items_the_title_is_true_of() -> None:
    equal = await ran(script(["Rye Bread for You"]), drafts=1, rounds=0)
    assert equal.coverage == pytest.approx(3 / 6)
    placed = await ran(script(["Rye Bread for You"]), drafts=1, rounds=0, weights="position")
    w = [1.0, 0.6309298, 0.5, 0.4306766, 0.3868528, 0.3562072]
    assert placed.coverage == pytest.approx(sum(w[:3]) / sum(w))


@pytest.mark.parametrize(
    ("feedback", "draft", "told"),
    [
        (["length"], "Rye Bread for You", False),
        (["relevance"], "Rye Bread for You", True),
        (["length"], "Bread", True),
        (["relevance"], "Bakery, Grocery & Gold", False),
        (["length", "relevance"], "Rye Bread for You", True),
    ],
)
async def test_feedback_can_be_withheld(feedback: list[str], draft: str, told: bool) -> None:
    everything = Always({"Yes": 1.0}) if "Grocery" in draft else Always(true_of)
    with scripted(script([draft], relevance=everything)) as model:
        context = Context(model=model, drafts=1, rounds=2, feedback=feedback)  # type: ignore[arg-type]
        result = await carts.arun(Request(items=ITEMS), context)
    asked = [str(m[-1].content) for agent, _, m in model.script.asked if agent == "refine"]
    assert bool(asked) == told
    for text in asked:
        faults = text.split("What is wrong")[1]
        assert ("products" in faults) == ("relevance" in feedback)
    assert result.candidates[0].rounds[0].findings[-1].rule == "relevance"


async def test_without_features_the_writer_reads_the_items() -> None:
    with scripted({k: v for k, v in script(GOOD).items() if k != "extract"}) as model:
        context = Context(model=model, without=["features"])
        result = await carts.arun(Request(items=ITEMS), context)
    (asked,) = [str(m[-1].content) for agent, _, m in model.script.asked if agent == "draft"]
    assert re.search(r"Rye bread \| Bakery . Bread . Dark bread", asked)
    assert not result.clusters
    assert "evidence" not in {f.rule for f in result.candidates[0].rounds[0].findings}
    assert result.feasible


async def test_without_arbitration_the_highest_coverage_wins() -> None:
    titles = ["Bread & Rolls", "Bread, Spreads & Tea", "Honey for You"]
    replies = script(titles, arbitrate=[])
    result = await ran(replies, drafts=3, rounds=0, without=["arbitration"])
    assert result.title == "Bread, Spreads & Tea"
    assert {c.points for c in result.candidates} == {None}


async def test_arbiters_are_heard_where_they_agree_and_else_the_highest_coverage_wins() -> None:
    titles = ["Bread & Rolls", "Bread, Spreads & Tea", "Honey for You"]

    def likes(messages: Sequence[BaseMessage]) -> Answer:
        [line] = [row for row in str(messages[-1].content).splitlines() if "Honey for" in row]
        return {label: 0.8 if line.startswith(label) else 0.1 for label in "ABC"}

    agreed = await ran(script(titles, arbitrate=Always(likes)), drafts=3, rounds=0)
    assert agreed.title == "Honey for You"
    assert agreed.agreement is not None
    assert agreed.agreement >= 0.7
    apart = await ran(script(titles), drafts=3, rounds=0)  # each likes another one: the first
    assert apart.agreement == 0.0
    assert apart.title == "Bread, Spreads & Tea"
    assert {c.points for c in apart.candidates} == {3.0}


async def test_the_writers_sample_and_the_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    context = Context(model="embedded/smollm2-135m", seed=7)
    assert context.agent_model("draft").temperature == 0.7
    assert [context.agent_model("refine", n).seed for n in (1, 2)] == [8, 9]
    for agent in ("extract", "relevance", "arbitrate"):
        assert context.agent_model(agent).temperature == 0.0


async def test_a_model_of_its_own_for_the_judge() -> None:
    others = {key: value for key, value in script().items() if key != "relevance"}
    with scripted(others) as writer, scripted({"relevance": Always(true_of)}) as judge:
        context = Context(model=writer, models={"relevance": judge})
        await carts.arun(Request(items=ITEMS), context)
    assert {agent for agent, _, _ in judge.script.asked} == {"relevance"}


async def test_the_ledger_has_every_request() -> None:
    with scripted(script()) as model:
        result = await carts.arun(Request(items=ITEMS), Context(model=model))
    asked = [agent for agent, _, _ in model.script.asked]
    assert result.usage.calls == len(asked)
    for agent, usage in result.usage_by_agent.items():
        assert usage.calls == asked.count(agent)
    assert asked.count("arbitrate") == 3


async def test_a_result_is_json() -> None:
    result = await ran(script())
    assert Result.model_validate_json(json.dumps(result.model_dump(mode="json"))) == result


async def test_a_thread_that_runs_again_starts_afresh() -> None:
    graph = carts.build().compile(checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "1"}}
    everything: Any = {"items": ITEMS}
    three: Any = {"items": ITEMS[:3]}
    with scripted(script()) as model:
        await graph.ainvoke(everything, thread, context=Context(model=model))
        state = await graph.ainvoke(three, thread, context=Context(model=model, drafts=2))
    again = carts.result(state)
    assert list(again.features) == ITEMS[:3]
    assert [c.id for c in again.candidates] == ["1", "2", "template"]
    assert [one.id for one in state["refined"]] == ["1", "2", "template"]
    details = again.candidates[0].rounds[0].findings[-1].details
    assert list(details) == ITEMS[:3]
    assert again.usage.calls == 3 + 1 + 2 * 2 * 3 + 2


async def test_a_run_is_replayed_without_a_shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, request = tmp_path / "carts.jsonl.zst", Request(items=ITEMS)
    with scripted(script(), name="writer") as model:
        context = Context(model=model)
        with recorded(file):
            first = await carts.arun(request, context)
    for name in ("shop", "_embed"):
        monkeypatch.setattr(carts, name, lambda *_: pytest.fail("a replay needs neither"))
    with replayed(file):
        again = await carts.arun(request, context)
    assert again.title == first.title
    assert again.candidates == first.candidates


async def test_worked_examples_are_made_once_in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = carts_titles.by_template

    def counted(*args: Any, **more: Any) -> list[str]:
        made.append(1)
        return real(*args, **more)

    monkeypatch.setattr(carts_titles, "by_template", counted)
    with scripted(script(["Rye Bread for You", "Plum Jam for You"])) as model:
        await carts.arun(Request(items=ITEMS), Context(model=model, drafts=2, rounds=2))
    asked = [messages for agent, _, messages in model.script.asked if agent == "refine"]
    shown = {tuple(str(one.content) for one in m if one.type == "ai") for m in asked}
    assert len(asked) >= 2
    assert [len(examples) for examples in shown] == [2]
    assert len(made) == 1


async def test_no_node_blocks_the_event_loop() -> None:
    with scripted(script()) as model:
        context = Context(model=model)
        await carts.arun(Request(items=ITEMS), context)  # imports made at the first call may block
        with blockbuster_ctx():
            await carts.arun(Request(items=ITEMS), context)


def test_the_sync_front_works_in_ordinary_code() -> None:
    with scripted(script()) as model:
        assert (
            carts.run(Request(items=ITEMS, name="Shelf 1"), Context(model=model)).name == "Shelf 1"
        )


async def test_the_seed_orders_the_titles_that_arbiters_see() -> None:
    def seen(replies: list[list[BaseMessage]]) -> list[str]:
        return [str(m[-1].content).split("<titles>")[1].split("</titles>")[0] for m in replies]

    orders = []
    for seed in (0, 0, 1):
        with scripted(script()) as model:
            await carts.arun(Request(items=ITEMS), Context(model=model, rounds=0, seed=seed))
        orders.append(seen([m for agent, _, m in model.script.asked if agent == "arbitrate"]))
    assert orders[0] == orders[1] != orders[2]
    assert len(set(orders[0])) == 3


async def test_a_title_that_the_refiner_took_over_from_an_example_is_by_code() -> None:
    def copied(messages: Sequence[BaseMessage]) -> str:
        return str([one.content for one in messages if one.type == "ai"][-1])

    replies = script(["Rye Bread for You"], relevance=Always({"No": 1.0}), refine=Always(copied))
    result = await ran(replies, drafts=1, rounds=1)
    (candidate,) = result.candidates
    assert candidate.text != "Rye Bread for You"
    assert candidate.origin == "template"
