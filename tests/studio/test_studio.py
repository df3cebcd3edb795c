"""Our graphs under a real `langgraph dev`, asked as Studio asks it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient

from merchgraph.cli import studio
from merchgraph.graphs.registry import GRAPHS

pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).parents[2]
STEPS = ["retrieve", "understand", "nli", "summarize", "rank"]
SMALL: dict[str, Any] = {"candidates": 5, "k": 3, "rationales": False}
"""A context that keeps a run of the embedded model to some seconds."""


async def assistant(client: LangGraphClient, graph: str = "arag") -> Any:
    (found,) = await client.assistants.search(graph_id=graph, limit=10)
    return found


def ranking(state: Any) -> tuple[list[str], list[str]]:
    """(the ids on offer, the ids of the ranking on the board)."""
    last = state["board"][-1]
    assert last["role"] == "rank"
    return [offer["item"] for offer in state["offers"]], last["payload"]["ranking"]


def test_the_committed_config_is_what_the_command_serves() -> None:
    assert json.loads((ROOT / "langgraph.json").read_text()) == studio.config()


async def test_every_graph_is_an_assistant_with_its_description(client: LangGraphClient) -> None:
    found = {a["graph_id"]: a for a in await client.assistants.search(limit=100)}
    assert found.keys() == GRAPHS.keys()
    for name, graph in GRAPHS.items():
        assert found[name]["name"] == name
        assert found[name]["description"] == graph.about


@pytest.mark.parametrize("xray", [False, True])
async def test_the_picture_has_every_step_and_arrow(client: LangGraphClient, xray: bool) -> None:
    drawn = await client.assistants.get_graph((await assistant(client))["assistant_id"], xray=xray)
    nodes = [node["id"] for node in drawn["nodes"]]
    shown = list(nodes)
    assert sorted(map(str, shown)) == sorted(["__start__", *STEPS, "fair_rerank", "__end__"])
    arrows = {(edge["source"], edge["target"]) for edge in drawn["edges"]}
    assert arrows == {
        ("__start__", "retrieve"), ("retrieve", "understand"), ("retrieve", "nli"),
        ("understand", "summarize"), ("nli", "summarize"), ("summarize", "rank"),
        ("rank", "__end__"), ("rank", "fair_rerank"), ("fair_rerank", "__end__"),
    }  # fmt: skip


async def test_the_forms_have_defaults_ranges_choices_and_descriptions(
    client: LangGraphClient,
) -> None:
    schemas: Any = await client.assistants.get_schemas((await assistant(client))["assistant_id"])
    request = schemas["input_schema"]["properties"]
    assert request["user"]["default"] == "1"
    form = schemas["context_schema"]["properties"]
    for name, field in {**request, **form}.items():
        assert field["description"], name
    assert form["model"]["default"] == "embedded/smollm2-135m"
    assert (form["k"]["default"], form["k"]["minimum"], form["k"]["maximum"]) == (5, 1, 200)
    assert (form["theta"]["default"], form["theta"]["minimum"], form["theta"]["maximum"]) == (
        0.5, 0, 1,
    )  # fmt: skip
    assert form["rank_scope"]["enum"] == ["accepted", "all"]
    assert form["rank_scope"]["default"] == "accepted"


async def test_the_first_click_succeeds(client: LangGraphClient) -> None:
    thread = await client.threads.create()
    # no context at all: the form untouched
    state = await client.runs.wait(thread["thread_id"], "arag", input={"user": "1"})
    (run,) = await client.runs.list(thread["thread_id"])
    assert run["status"] == "success"
    offered, ranked = ranking(state)
    assert len(offered) == 20
    assert sorted(ranked) == sorted(offered)


async def test_an_empty_input_is_the_default_user(client: LangGraphClient) -> None:
    state: Any = await client.runs.wait(None, "arag", input={}, context=SMALL)
    assert state["shopper"]["user"] == "1"
    offered, ranked = ranking(state)
    assert len(offered) == 5
    assert sorted(ranked) == sorted(offered)


async def test_a_run_streams_its_steps_and_leaves_its_history(client: LangGraphClient) -> None:
    thread = await client.threads.create()
    updated: list[str] = []
    events: list[tuple[str, str]] = []
    spoken = 0
    async for part in client.runs.stream(
        thread["thread_id"], "arag", input={"user": "1"}, context=SMALL,
        stream_mode=["updates", "custom", "messages-tuple"],
    ):  # fmt: skip
        assert part.event != "error", part.data
        if part.event == "updates":
            updated += part.data
            assert all(part.data.values()), "an update that Studio shows as null"
        elif part.event == "custom":
            events.append((part.data["event"], part.data["node"]))
        elif part.event.startswith("messages"):
            spoken += 1
    assert sorted(updated) == sorted([*STEPS, *["nli"] * 4])
    assert sorted(node for kind, node in events if kind == "finished") == sorted(updated)
    assert spoken >= 8
    history = await client.threads.get_history(thread["thread_id"])
    assert [set(state["next"]) for state in reversed(history)] == [
        {"__start__"}, {"retrieve"}, {"understand", "nli"}, {"summarize"}, {"rank"}, set(),
    ]  # fmt: skip
    state: Any = (await client.threads.get_state(thread["thread_id"]))["values"]
    assert [call["agent"] for call in state["calls"]]
    assert state["errors"] == []


async def test_two_runs_at_once_both_succeed(client: LangGraphClient) -> None:
    runs = [
        client.runs.wait(None, "arag", input={"user": user}, context=SMALL) for user in ("1", "2")
    ]
    for user, state in zip(("1", "2"), await asyncio.gather(*runs), strict=True):
        assert isinstance(state, dict)
        assert state["shopper"]["user"] == user
        offered, ranked = ranking(state)
        assert sorted(ranked) == sorted(offered)


async def failure(
    client: LangGraphClient, given: Any, context: dict[str, Any], graph: str = "arag"
) -> str:
    state: Any = await client.runs.wait(
        None, graph, input=given, context=context, raise_error=False
    )
    message: str = state["__error__"]["message"]
    return message


@pytest.mark.parametrize(
    ("context", "told"),
    [
        ({"k": 0}, "k\n  Input should be greater than or equal to 1"),
        ({"k": 30}, "k is 30, but only 20 candidates are judged; lower k to 20"),
        ({"theta": 2}, "theta\n  Input should be less than or equal to 1"),
        ({"rank_scope": "some"}, "Input should be 'accepted' or 'all'"),
    ],
    ids=str,
)
async def test_a_bad_context_is_said(client: LangGraphClient, context: Any, told: str) -> None:
    assert told in await failure(client, {"user": "1"}, context)


@pytest.mark.parametrize(
    ("given", "context", "told"),
    [
        ({"user": "nobody"}, SMALL, "The user 'nobody' is not in complete_journey"),
        ({"user": 1}, SMALL, "The setting user is 1, but: "),
        ({"user": "1"}, SMALL | {"data": "nope"}, "The shop 'nope' is not known"),
        ({"user": "1"}, SMALL | {"model": "gpt"}, "The model name 'gpt' is not known"),
    ],
    ids=["user", "type", "shop", "model"],
)
async def test_a_mistake_is_said(
    client: LangGraphClient, given: Any, context: dict[str, Any], told: str
) -> None:
    assert told in await failure(client, given, context)


async def test_no_step_blocks_the_server(server: Any, client: LangGraphClient) -> None:
    await client.runs.wait(None, "arag", input={"user": "1"}, context=SMALL)
    for trouble in ("BlockingError", "Blocking call to", "Heartbeat"):
        assert trouble not in server.log
