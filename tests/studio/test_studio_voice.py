"""The voice assistant's repair under a real `langgraph dev`: form, picture, a run, a wait, mistakes."""

from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient

from tests.studio.test_studio import assistant

pytestmark = pytest.mark.timeout(600)
GRAPH = "voice_repair"
READY = {"model": "none"}


def turn(p: float, answered: str) -> dict[str, Any]:
    readings = [{"time": n / 4, "p_error": p} for n in range(1, 17)]
    return {"asked": "Play some jazz", "answered": answered, "readings": readings}


async def test_the_form_describes_every_field(client: LangGraphClient) -> None:
    found = await assistant(client, GRAPH)
    schemas: Any = await client.assistants.get_schemas(found["assistant_id"])
    context = schemas["context_schema"]["properties"]
    for name, field in {**schemas["input_schema"]["properties"], **context}.items():
        assert field.get("description"), name
    assert (context["cost_ratio"]["default"], context["repairs"]["maximum"]) == (2.0, 3)


async def test_the_picture_has_the_way_back_to_observing(client: LangGraphClient) -> None:
    found = await assistant(client, GRAPH)
    drawn = await client.assistants.get_graph(found["assistant_id"])
    assert {(edge["source"], edge["target"]) for edge in drawn["edges"]} == {
        ("__start__", "read"), ("read", "observe"), ("observe", "estimate"), ("observe", "__end__"),
        ("estimate", "decide"), ("decide", "observe"), ("decide", "choose"), ("choose", "write"),
        ("choose", "say"), ("choose", "__end__"), ("write", "refine"), ("write", "say"),
        ("refine", "say"), ("say", "observe"), ("say", "hand_over"), ("hand_over", "__end__"),
    }  # fmt: skip


async def test_the_first_click_shows_a_repair_worded_by_the_model_or_by_code(
    client: LangGraphClient,
) -> None:
    state: Any = await client.runs.wait(None, GRAPH, input={})
    assert [decision["action"] for decision in state["decisions"]] == ["repair", "fine"]
    (repair,) = state["repairs"]
    assert repair["line"].endswith("?")
    assert state["errors"] == []


async def test_a_thread_waits_for_the_next_turn_and_then_for_a_person(
    client: LangGraphClient,
) -> None:
    thread = (await client.threads.create())["thread_id"]
    given: Any = {"turns": [turn(0.9, "Playing jars")]}
    state: Any = await client.runs.wait(thread, GRAPH, input=given, context=READY)
    (stop,) = state["__interrupt__"]
    assert stop["value"]["said"] == state["repairs"][0]["line"]
    again: Any = {"resume": turn(0.9, "Playing jabs")}
    await client.runs.wait(thread, GRAPH, command=again, context=READY)
    again = {"resume": turn(0.9, "Playing jam")}
    state = await client.runs.wait(thread, GRAPH, command=again, context=READY)
    (stop,) = state["__interrupt__"]
    assert stop["value"]["wanted"] == "a person"
    state = await client.runs.wait(thread, GRAPH, command={"resume": "On it."}, context=READY)
    assert (state["person_needed"], state["person_said"]) == (True, "On it.")
    assert [r["kind"] for r in state["repairs"]] == ["ask again", "rephrase", "hand over"]


@pytest.mark.parametrize(
    ("given", "context", "told"),
    [
        ({"turns": []}, {}, "The setting turns is [], but: list should have at least 1"),
        ({"turns": [{"asked": "x", "answered": "y"}]}, {}, "turns.0 has neither readings nor"),
        ({"features": "gone.csv", "turns": [{"asked": "x", "answered": "y"}]}, READY,
         "The stream 'gone.csv' cannot be read"),
        ({}, {"cost_ratio": 0}, "cost_ratio"),
    ],
    ids=["no turn", "nothing to see", "no file", "cost"],
)  # fmt: skip
async def test_a_mistake_is_said(
    client: LangGraphClient, given: Any, context: dict[str, Any], told: str
) -> None:
    thread = await client.threads.create()
    state: Any = await client.runs.wait(
        thread["thread_id"], GRAPH, input=given, context=context, raise_error=False
    )
    assert told in state["__error__"]["message"]


async def test_no_step_blocks_the_server(server: Any, client: LangGraphClient) -> None:
    await client.runs.wait(None, GRAPH, input={}, context=READY)
    for trouble in ("BlockingError", "Blocking call to", "Heartbeat"):
        assert trouble not in server.log
