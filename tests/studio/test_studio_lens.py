"""BehaviorLens under a real `langgraph dev`: its form, its picture, a run, mistakes."""

from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient

from tests.studio.test_studio import assistant

pytestmark = pytest.mark.timeout(600)
GRAPH = "behavior_lens"
PAST = {
    "user": "7",
    "events": [
        {"item": "Milk", "when": "2026-01-01"},
        {"item": "Bread", "when": "2026-01-02"},
        {"item": "Milk", "when": "2026-01-08"},
    ],
}
GIVEN: dict[str, Any] = {"user": "7", "history": PAST, "candidates": ["Milk", "Tea", "Soap"]}


async def failed(client: LangGraphClient, given: Any, context: Any) -> str:
    thread = await client.threads.create()
    state: Any = await client.runs.wait(
        thread["thread_id"], GRAPH, input=given, context=context, raise_error=False
    )
    message: str = state["__error__"]["message"]
    return message


async def test_the_form_describes_every_field(client: LangGraphClient) -> None:
    found = await assistant(client, GRAPH)
    schemas: Any = await client.assistants.get_schemas(found["assistant_id"])
    context = schemas["context_schema"]["properties"]
    for name, field in {**schemas["input_schema"]["properties"], **context}.items():
        assert field.get("description"), name
    assert context["rendering"]["default"] == "text"
    assert "scatter" in context["rendering"]["enum"]
    assert (context["size"]["minimum"], context["size"]["maximum"]) == (2, 20)


async def test_the_picture_has_the_two_questions_side_by_side(client: LangGraphClient) -> None:
    found = await assistant(client, GRAPH)
    drawn = await client.assistants.get_graph(found["assistant_id"])
    assert {(edge["source"], edge["target"]) for edge in drawn["edges"]} == {
        ("__start__", "read"), ("read", "show"), ("show", "predict"), ("show", "weigh"),
        ("predict", "__end__"), ("weigh", "__end__"),
    }  # fmt: skip


async def test_a_given_history_and_a_shopper_of_the_log_are_both_answered(
    client: LangGraphClient,
) -> None:
    state: Any = await client.runs.wait(None, GRAPH, input=GIVEN)
    assert set(state["odds"]) == {"Milk", "Tea", "Soap"}
    assert state["prediction"]["item"] in state["odds"]
    state = await client.runs.wait(None, GRAPH, input={"user": "1"}, context={"rendering": "ranks"})
    assert len(state["offered"]) == 10
    assert state["shown"]["text"].startswith("1. ")
    assert state["errors"] == []


@pytest.mark.parametrize(
    ("given", "context", "told"),
    [
        ({"user": "nobody"}, {}, "The user 'nobody' is not in complete_journey"),
        (GIVEN | {"candidates": ["Milk"]}, {}, "The setting candidates is ['Milk'], but: "),
        (GIVEN, {"rendering": "scatter"}, "'embedded/smollm2-135m' takes no pictures"),
        (GIVEN, {"variants": ["gaps"]}, "The rendering 'text' has no variant 'gaps'"),
    ],
    ids=["user", "candidates", "picture", "variant"],
)
async def test_a_mistake_is_said(
    client: LangGraphClient, given: Any, context: dict[str, Any], told: str
) -> None:
    assert told in await failed(client, given, context)


async def test_no_step_blocks_the_server(server: Any, client: LangGraphClient) -> None:
    await client.runs.wait(None, GRAPH, input=GIVEN)
    for trouble in ("BlockingError", "Blocking call to", "Heartbeat"):
        assert trouble not in server.log
