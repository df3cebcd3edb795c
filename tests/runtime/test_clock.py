"""The node's time limit: the queue in front of an endpoint does not count, the work does."""

import asyncio
import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import Send

from merchgraph.runtime.errors import MerchgraphError
from merchgraph.runtime.ledger import Call
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.node import RunError, add_node
from merchgraph.runtime.scripted import Always, scripted
from merchgraph.runtime.structured import choose

BRANCHES = 8


class State(TypedDict, total=False):
    model: str
    done: Annotated[list[str], operator.add]
    calls: Annotated[list[Call], operator.add]
    errors: Annotated[list[RunError], operator.add]


async def run(limit_s: float, delay_s: float, cap: int) -> dict[str, Any]:
    async def judge(state: State, runtime: Any) -> dict[str, Any]:
        await choose(chat_model(state["model"]), [], ["Yes", "No"], agent="judge")
        return {"done": ["judged"]}

    def late(state: State, error: MerchgraphError, context: Any) -> dict[str, Any]:
        return {"done": ["late"]}

    builder = StateGraph(State)
    add_node(builder, "judge", judge, fallback=late, timeout_s=limit_s)
    with scripted({"judge": Always({"Yes": 1.0})}, delay_s=delay_s, cap=cap) as model:
        sends = [Send("judge", {"model": str(model)}) for _ in range(BRANCHES)]
        builder.add_conditional_edges(START, lambda state: sends, ["judge"])
        state: dict[str, Any] = await builder.compile().ainvoke({"model": str(model)})
    return state


async def test_a_queue_longer_than_the_limit_stops_no_branch() -> None:
    state = await run(limit_s=0.25, delay_s=0.1, cap=1)  # the last one queues for 0.7 s
    assert state["done"] == ["judged"] * BRANCHES
    assert max(call.waited_s for call in state["calls"]) > 0.25


async def test_work_longer_than_the_limit_still_stops_the_branch() -> None:
    state = await run(limit_s=0.1, delay_s=5, cap=BRANCHES)
    assert state["done"] == ["late"] * BRANCHES
    assert {error.kind for error in state["errors"]} == {"NodeFailure"}


async def test_a_branch_that_is_cancelled_while_it_queues_gives_up_cleanly() -> None:
    running = asyncio.create_task(run(limit_s=5, delay_s=0.2, cap=1))
    await asyncio.sleep(0.05)
    running.cancel()
    outcome = (await asyncio.gather(running, return_exceptions=True))[0]
    assert isinstance(outcome, asyncio.CancelledError)
