"""LLM-HYPER under a real `langgraph dev`: its form, its picture, a run, mistakes."""

from itertools import pairwise
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient

from tests.studio.test_studio import assistant, failure

pytestmark = pytest.mark.timeout(900)
GRAPH = "hyper"
STEPS = ["retrieve", "read", "write", "validate", "normalise", "calibrate", "store"]
SMALL: dict[str, Any] = {"by": "levels", "shots": 0}
"""One token per feature: the shortest run of the embedded model."""
TEA = {"id": "tea", "text": "Green tea, 20 bags"}


async def test_the_form_describes_every_field_and_begins_with_something_to_run(
    client: LangGraphClient,
) -> None:
    found = await assistant(client, GRAPH)
    schemas: Any = await client.assistants.get_schemas(found["assistant_id"])
    request = schemas["input_schema"]["properties"]
    context = schemas["context_schema"]["properties"]
    for name, field in {**request, **context}.items():
        assert field.get("description"), name
    assert request["text"]["default"]
    assert context["model"]["default"] == "embedded/smollm2-135m"
    assert sorted(context["by"]["enum"]) == ["levels", "writing"]
    assert (context["share"]["minimum"], context["share"]["maximum"]) == (0, 1)


@pytest.mark.parametrize("xray", [False, True])
async def test_the_picture_has_every_step_in_its_order(client: LangGraphClient, xray: bool) -> None:
    found = await assistant(client, GRAPH)
    drawn = await client.assistants.get_graph(found["assistant_id"], xray=xray)
    arrows = {(edge["source"], edge["target"]) for edge in drawn["edges"]}
    line = ["__start__", *STEPS, "__end__"]
    assert arrows == set(pairwise(line))


async def test_a_run_has_one_branch_per_feature_where_levels_are_chosen(
    client: LangGraphClient,
) -> None:
    thread = await client.threads.create()
    updated: list[str] = []
    async for part in client.runs.stream(
        thread["thread_id"], GRAPH, input=TEA, context=SMALL, stream_mode=["updates"]
    ):
        assert part.event != "error", part.data
        if part.event == "updates":
            updated += list(part.data)
    state: Any = (await client.threads.get_state(thread["thread_id"]))["values"]
    features = len(state["retrieved"]["terms"])
    assert features == 49
    assert updated == ["retrieve", "read", *["write"] * features, *STEPS[3:]]
    assert (state["errors"], state["stored"], state["seen"]) == ([], None, None)
    assert len(state["parts"]) == len(state["checked"]["weights"]) == features
    near = state["calibration"]
    assert near["predicted"] == pytest.approx(near["wanted"], rel=1e-3)


@pytest.mark.parametrize(
    ("given", "context", "told"),
    [
        ({"text": ""}, {}, "The setting text is ''"),
        ({"text": 7}, {}, "The setting text is 7"),
        ({"text": "tea", "image": "none.png"}, {}, "The image 'none.png' cannot be read"),
        ({}, {"share": 2}, "share\n  Input should be less than or equal to 1"),
        ({}, {"shots": 6}, "shots is 6, but only 5 neighbours"),
        ({}, {"by": "numbers"}, "Input should be 'writing' or 'levels'"),
        ({}, {"model": "smol"}, "The model name 'smol' is not known"),
        ({}, {"data": "nope"}, "The shop 'nope' is not known"),
        ({}, {"data": "online_retail"}, "online_retail"),
        ({}, {"clip": "nowhere"}, "The embedding model 'nowhere' is neither"),
    ],
    ids=str,
)
async def test_a_mistake_is_said(
    client: LangGraphClient, given: Any, context: dict[str, Any], told: str
) -> None:
    assert told in await failure(client, given, context, GRAPH)
