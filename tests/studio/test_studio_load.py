"""24 runs at once under `merchgraph studio`: every one ends well, and none holds up the others' loop."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import numpy as np
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from pydantic import BaseModel, TypeAdapter
from rich.console import Console

from merchgraph.cli import studio
from merchgraph.cli.prepare import prepare_shop
from merchgraph.cli.studio import AT_ONCE
from merchgraph.graphs.registry import GRAPHS, module
from tests.chaos.faults import Chaos, ChaosServer
from tests.graphs.lens_shopper import ASKED
from tests.graphs.voice_exchange import turn
from tests.runtime.faulty_server import slow
from tests.studio.conftest import Server, launched

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
REPLY_S = 0.05
"""Of the model to any request."""
MODEL = "vllm/calm"
BLOCKS = '''
"""A graph that blocks the loop: proof that the server would see it."""
import time
from typing import TypedDict
from langgraph.graph import START, StateGraph

class State(TypedDict):
    x: int

async def sleeps(state: State) -> State:
    time.sleep(0.01)
    return {"x": 1}

graph = StateGraph(State).add_node(sleeps).add_edge(START, "sleeps").compile()
'''
FLUSH_S = 11.0
"""The server writes what it holds every ten seconds."""
TROUBLES = ("BlockingError", "blocking call", "Heartbeat", "Traceback")
"""What the server's log says of a loop that was held up, or of a run that broke."""


class Ended(NamedTuple):
    """A run as its client saw it."""

    graph: str
    state: Mapping[str, Any]
    seconds: float


def asked(graph: str, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """(request, context) of a graph's run; no two runs ask the model the same."""
    texts = {
        "arag": ({"user": str(number + 1)}, {"candidates": 10, "k": 3}),
        "carts": ({"name": f"Module {number}"}, {"drafts": 3, "rounds": 1}),
        "copywriting": ({"use_case": "abc"[number % 3]}, {"seed": number, "copies": 3, "rounds": 1}),
        "hyper": ({"text": f"Green tea, {number + 20} bags"}, {}),
        "behavior_lens": (ASKED.model_dump(mode="json") | {"user": str(number)}, {}),
        "voice_repair": ({"turns": [turn(0.9, f"No. {n}").model_dump(mode="json") for n in range(4)]},
                         {}),
    }  # fmt: skip
    request, context = texts[graph]
    return request, {"model": MODEL, **context}


async def run(client: LangGraphClient, graph: str, number: int) -> Ended:
    """One run to its end; what waits for a person or a turn is answered."""
    request, context = asked(graph, number)
    began = time.monotonic()
    thread = (await client.threads.create())["thread_id"]
    state: Any = await client.runs.wait(thread, graph, input=request, context=context)
    while waits := state.pop("__interrupt__", None):
        resume = "I set it." if waits[0]["value"]["wanted"] == "a person" else ""
        state = await client.runs.wait(thread, graph, command={"resume": resume}, context=context)
    return Ended(graph, state, time.monotonic() - began)


def result(ended: Ended, number: int) -> BaseModel:
    """A run's result, of the types that its graph names."""
    machine = module(ended.graph)
    hints = get_type_hints(machine.graph.builder.state_schema)
    state = {
        name: TypeAdapter(hints[name]).validate_python(value) for name, value in ended.state.items()
    }
    context = machine.Context.model_validate(asked(ended.graph, number)[1])
    found: BaseModel = machine.result(state, context)
    return found


@contextmanager
def serving(folder: Path, url: str) -> Iterator[Server]:
    """The server of `merchgraph studio`, with one more graph."""
    config: Any = studio.config()
    config["graphs"]["blocks"] = {"path": str(folder / "blocks.py") + ":graph"}
    (folder / "blocks.py").write_text(BLOCKS)
    with launched(folder, config=config, env={"MERCHGRAPH_VLLM_BASE_URL": url}) as running:
        yield running


def most_open(log: str) -> int:
    """Runs that the server ever worked on at once."""
    most = now = 0
    for line in log.splitlines():
        now += ("Starting background run" in line) - ("Background run succeeded" in line)
        most = max(most, now)
    return most


async def all_at_once(client: LangGraphClient, first: int) -> None:
    """Run every graph four times, check what came of it, and tell how long it took."""
    graphs = [list(GRAPHS)[n % len(GRAPHS)] for n in range(AT_ONCE)]
    began = time.monotonic()
    runs = [run(client, graph, first + n) for n, graph in enumerate(graphs)]
    ended = await asyncio.gather(*runs)
    wall, seconds = time.monotonic() - began, [one.seconds for one in ended]
    for number, one in enumerate(ended, first):
        made: Any = result(one, number)
        assert made.errors == [], one.graph
    p50, p95 = np.percentile(seconds, [50, 95])
    sys.stdout.write(f"{AT_ONCE} runs in {wall:.1f} s; of a run p50 {p50:.1f} s, p95 {p95:.1f} s\n")


async def test_24_runs_at_once_end_well_and_block_nothing(tmp_path: Path) -> None:
    prepare_shop("complete_journey", Console(quiet=True), lambda line: None)
    calm = Chaos("none", hurt=lambda good, before: slow(REPLY_S, good))
    with ChaosServer(calm) as model, serving(tmp_path, model.url) as server:
        async with get_client(url=server.url) as client:
            await all_at_once(client, 0)  # loads shops and vectors
            await all_at_once(client, AT_ONCE)
            await asyncio.sleep(FLUSH_S)  # its threads are put on disk meanwhile
            assert [word for word in TROUBLES if word in server.log] == []
            assert most_open(server.log) > AT_ONCE / 2
            failed: Any = await client.runs.wait(None, "blocks", input={"x": 0}, raise_error=False)
        assert failed["__error__"]["error"] == "BlockingError"
        assert "BlockingError" in server.log
