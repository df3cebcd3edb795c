"""The graphs that write texts under a real `langgraph dev`: forms, pictures, small runs, mistakes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from langgraph_sdk.client import LangGraphClient

from tests.studio.test_studio import assistant, failure

pytestmark = pytest.mark.timeout(600)
GRAPHS = {
    "carts": ["read", "extract", "plan", "draft", "refine", "arbitrate"],
    "copywriting": ["read", "write", "refine", "select"],
}
LOOP = ["check", "revise"]
MODULE = ["1082185"]
SMALL: dict[str, Any] = {
    "carts": {"drafts": 2, "rounds": 1, "judges": 1, "clusters": 2},
    "copywriting": {"copies": 2, "rounds": 1, "seed": 2},
}
"""Contexts that keep runs of the embedded model to some seconds."""
GIVEN: dict[str, Any] = {"carts": {"items": MODULE}, "copywriting": {"use_case": "b"}}


class Streamed(NamedTuple):
    """A run as Studio followed it.

    Attributes:
        updated: (namespace, node) of every update.
        events: what the nodes told.
    """

    state: Mapping[str, Any]
    updated: list[tuple[str, str]]
    events: list[Mapping[str, Any]]


async def streamed(client: LangGraphClient, graph: str) -> Streamed:
    """A small run with the loop inside it followed too."""
    thread = await client.threads.create()
    updated: list[tuple[str, str]] = []
    events: list[Mapping[str, Any]] = []
    async for part in client.runs.stream(
        thread["thread_id"], graph, input=GIVEN[graph], context=SMALL[graph],
        stream_mode=["updates", "custom"], stream_subgraphs=True,
    ):  # fmt: skip
        kind, _, within = part.event.partition("|")
        assert kind != "error", part.data
        if kind == "updates":
            updated += [(within.partition(":")[0], node) for node in part.data]
        elif kind == "custom":
            events.append(part.data)
    state: Any = (await client.threads.get_state(thread["thread_id"]))["values"]
    return Streamed(state, updated, events)


@pytest.mark.parametrize("graph", GRAPHS)
async def test_the_forms_describe_every_field(client: LangGraphClient, graph: str) -> None:
    found = await assistant(client, graph)
    schemas: Any = await client.assistants.get_schemas(found["assistant_id"])
    request, context = (
        schemas["input_schema"]["properties"],
        schemas["context_schema"]["properties"],
    )
    for name, field in {**request, **context}.items():
        assert field.get("description"), name
    assert context["model"]["default"] == "embedded/smollm2-135m"
    assert (context["patience"]["minimum"], context["patience"]["maximum"]) == (1, 10)
    assert sorted(context["mode"]["enum"]) == ["collect_all", "fail_fast"]


async def test_the_forms_begin_with_something_to_run(client: LangGraphClient) -> None:
    first = {}
    for graph in GRAPHS:
        found = await assistant(client, graph)
        schemas: Any = await client.assistants.get_schemas(found["assistant_id"])
        first[graph] = schemas["input_schema"]["properties"]
    assert len(first["carts"]["items"]["default"]) == 8
    assert first["copywriting"]["use_case"]["default"] == "a"


@pytest.mark.parametrize("graph", GRAPHS)
async def test_the_picture_opens_the_loop(client: LangGraphClient, graph: str) -> None:
    found = await assistant(client, graph)
    flat = await client.assistants.get_graph(found["assistant_id"])
    nodes = {str(node["id"]) for node in flat["nodes"]}
    assert nodes == {"__start__", *GRAPHS[graph], "__end__"}
    opened = await client.assistants.get_graph(found["assistant_id"], xray=True)
    nodes = {str(node["id"]) for node in opened["nodes"]}
    assert {f"refine:{node}" for node in LOOP} < nodes
    arrows = {(edge["source"], edge["target"]) for edge in opened["edges"]}
    assert ("refine:check", "refine:revise") in arrows
    assert ("refine:revise", "refine:check") in arrows


async def test_a_module_is_titled_and_its_loop_is_told_of(client: LangGraphClient) -> None:
    run = await streamed(client, "carts")
    assert run.state["errors"] == []
    assert [one["item"] for one in run.state["goods"]] == MODULE
    refined = {one["id"]: one for one in run.state["refined"]}
    choice = run.state["choice"]
    assert choice["id"] in refined
    assert choice["trimmed"] or choice["title"] == refined[choice["id"]]["text"]["title"]
    outer = [node for within, node in run.updated if not within]
    drafts = {draft["id"] for draft in run.state["drafts"] if draft["id"] in lanes(run)}
    assert outer.count("refine") == len(drafts) == 2
    assert set(outer) == set(GRAPHS["carts"])
    told_of(run, drafts)


async def test_copies_are_written_and_their_loops_are_told_of(client: LangGraphClient) -> None:
    run = await streamed(client, "copywriting")
    assert run.state["case"]["name"] == "Baby care, campaign 10"
    drafts = {draft["id"] for draft in run.state["drafts"]}
    assert drafts
    assert {one["id"] for one in run.state["refined"]} == drafts
    kept = [*run.state["selection"]["accepted"], *run.state["selection"]["duplicates"]]
    assert sorted(kept) == sorted(one["id"] for one in run.state["refined"] if one["passed"])
    assert {node for within, node in run.updated if not within} == set(GRAPHS["copywriting"])
    told_of(run, drafts)


def lanes(run: Streamed) -> set[str]:
    """The drafts of which a round was told."""
    return {event["lane"] for event in run.events if event["event"] == "round"}


def told_of(run: Streamed, drafts: set[str]) -> None:
    """Check that the loop's steps and rounds were streamed as they came."""
    assert lanes(run) == drafts
    rounds = [event for event in run.events if event["event"] == "round"]
    inner = [node for within, node in run.updated if within == "refine"]
    assert inner.count("check") == len(rounds)
    assert inner.count("revise") == len(rounds) - len(drafts)
    recorded = {one["id"]: one["rounds"] for one in run.state["refined"]}
    for event in rounds:
        version = recorded[event["lane"]][event["round"]]
        assert event["text"] == version["text"]
        assert list(event["checks"]) == [found["rule"] for found in version["findings"]]
    assert [event["stopped"] is not None for event in rounds].count(True) == len(drafts)


@pytest.mark.parametrize(
    ("graph", "given", "context", "told"),
    [
        ("carts", {"items": []}, {}, "The module has no items"),
        ("carts", {"items": ["beer"]}, {}, "'beer'"),
        ("carts", {"items": ["1082185", "1082185"]}, {}, "names the item '1082185' twice"),
        ("carts", {"items": "beer"}, {}, "The setting items is 'beer', but: "),
        ("carts", {}, {"drafts": 0}, "drafts\n  Input should be greater than or equal to 1"),
        ("carts", {}, {"model": "smol"}, "The model name 'smol' is not known"),
        ("carts", {}, {"data": "nope"}, "The shop 'nope' is not known"),
        ("copywriting", {"use_case": "d"}, {}, "'d'"),
        ("copywriting", {"use_case": {"name": "Tea"}}, {}, "The setting use_case"),
        ("copywriting", {}, {"mode": "some"}, "Input should be 'fail_fast' or 'collect_all'"),
        ("copywriting", {}, {"copies": 51}, "copies\n  Input should be less than or equal to 50"),
        ("copywriting", {}, {"model": "smol"}, "The model name 'smol' is not known"),
    ],
    ids=str,
)
async def test_a_mistake_is_said(
    client: LangGraphClient, graph: str, given: Any, context: dict[str, Any], told: str
) -> None:
    assert told in await failure(client, given, context, graph)
