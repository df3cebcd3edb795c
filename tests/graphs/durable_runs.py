"""A run of every graph with a scripted model, to be killed in a process of its own and gone on with.

The host imports everything once and forks a process per line that it reads, which kills itself when a
node begins or ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
from pydantic import BaseModel

from merchgraph.graphs import arag, arag_fair, carts, hyper
from merchgraph.graphs.front import structure
from merchgraph.graphs.registry import GRAPHS, module
from merchgraph.runtime.durable import UNANSWERED, Waits, durable
from merchgraph.runtime.scripted import Always, Replies, scripted
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.data.tables import Events, Items, Shop
from merchgraph.tools.fairness.duals import Goal
from merchgraph.tools.fairness.tool import FairRanker
from tests.graphs import carts_shop, hyper_ads, lens_shopper, tea_campaign
from tests.graphs.conftest import replies as arag_replies
from tests.graphs.voice_exchange import turn
from tests.tools.ctr.small_pool import small_pool

BAD = [0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]
MODEL = "scripted/durable"
ROOT = Path(__file__).parents[2]
MOST_BYTES = 200_000
"""Of what a run keeps, while it lasts and after."""
KILLED = -9
Host = subprocess.Popen[str]
Forked = Callable[..., Any]
MIXED = ("Coffee", "No tea, and this is coffee")
"""A copy that breaks rules, so that it is revised."""


class Case(NamedTuple):
    """What one graph is run with."""

    request: dict[str, Any]
    context: dict[str, Any]
    script: Replies
    patch: Callable[[pytest.MonkeyPatch], None] = lambda patch: None


def _arag_shop(patch: pytest.MonkeyPatch) -> None:
    names = [f"item {n}" for n in range(6)]
    items = pl.DataFrame(
        {"item": names, "title": names, "seller": ["big", "small"] * 3, "price": 1.0}
    )
    rows = [("ann", f"{n}", datetime(2026, 1, 1 + n), "purchase", names[n]) for n in range(3)]
    columns = ["user", "session", "time", "behaviour", "item"]
    store = Shop("toy", Items(items), Events(pl.DataFrame(rows, schema=columns, orient="row")))
    goal = Goal(fair="max_min", strength=10, pace=10, horizon=100)
    patch.setattr(arag, "shop", lambda name: store)
    for place in (arag, arag_fair):
        patch.setattr(place, "ranker_of", lambda *_: FairRanker(goal, {"big": 1.0, "small": 1.0}))


def _carts_shop(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(carts, "shop", lambda name: carts_shop.corner_shop())
    patch.setattr(carts, "_embed", carts_shop.vectors)


def _pool(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(hyper, "pool_of", lambda shop_name, seed=0: small_pool())
    patch.setattr(hyper, "AdVectors", hyper_ads.Vectors)


def _plain(request: BaseModel) -> dict[str, Any]:
    return request.model_dump(mode="json", exclude_unset=True)


def cases() -> dict[str, Case]:
    """A run of each graph that comes through every node."""
    copy_script = {
        **tea_campaign.replies(),
        "write": Always(tea_campaign.copies(*tea_campaign.GOOD[:2], MIXED)),
        "refine": Always(tea_campaign.copy(*tea_campaign.GOOD[2])),
    }
    exchange = [turn(BAD), turn(BAD, "Another"), turn(BAD, "A third")]
    line = Always('{"line": "Sorry, should the timer be for ten minutes?"}')
    slate = [f"item {n}" for n in range(6)]
    return {
        "arag": Case({"user": "ann", "candidates": slate}, {"fair": True, "k": 3, "candidates": 6},
                     arag_replies(), _arag_shop),
        "carts": Case({"items": carts_shop.ITEMS}, {"drafts": 3}, carts_shop.script(), _carts_shop),
        "copywriting": Case({"use_case": tea_campaign.CASE.model_dump(mode="json")}, {}, copy_script),
        "hyper": Case(_plain(hyper_ads.AD), {}, hyper_ads.replies(), _pool),
        "behavior_lens": Case(_plain(lens_shopper.ASKED), {"rendering": "text"}, lens_shopper.replies()),
        "voice_repair": Case({"turns": [one.model_dump(mode="json") for one in exchange]}, {},
                             {"repair": line, "refine": line}),
    }  # fmt: skip


class Moment(NamedTuple):
    """When a process kills itself: as soon as a node has started or finished."""

    node: str
    event: str


def run(graph: str, thread: str, moment: Moment | None = None) -> Any:
    """The result of a thread's run, gone on with where it was left; of no thread where that is empty."""
    case, machine = cases()[graph], module(graph)

    def watch(mode: str, data: Any) -> None:
        if mode == "custom" and (data.get("node"), data["event"]) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch, scripted(case.script, name="durable"):
        case.patch(patch)
        request = machine.Request.model_validate(case.request)
        context = machine.Context.model_validate(case.context | {"model": MODEL})
        answer: Any = UNANSWERED
        while True:
            try:
                with durable(thread, answer=answer):
                    return asyncio.run(machine.arun(request, context, watch=watch))
            except Waits as waits:
                answer = "I set it." if waits.wanted[0]["wanted"] == "a person" else ""


def plain(result: BaseModel) -> Any:
    """A result without the time that it took."""
    return _timeless(result.model_dump(mode="json"))


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        times = ("seconds", "waited_s")
        return {name: _timeless(inner) for name, inner in value.items() if name not in times}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


def host() -> None:
    """The host's program: a process per line (graph, thread, moment, settings, file); tells its end."""
    for line in sys.stdin:
        graph, thread, moment, settings, file = json.loads(line)
        pid = os.fork()
        if not pid:
            with use_settings(**settings):
                found = plain(run(graph, thread, Moment(*moment) if moment else None))
            Path(file).write_text(json.dumps(found), encoding="utf-8")
            os._exit(0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        sys.stdout.flush()


def running_host() -> Iterator[Host]:
    """The host's process, for a fixture."""
    program = [sys.executable, "-c", "from tests.graphs.durable_runs import host; host()"]
    with subprocess.Popen(
        program, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        yield running
        running.communicate("")


def forker(host: Host, folder: Path, settings: dict[str, Any]) -> Forked:
    """`forked(graph, thread, moment)`: a run in a process of the host; its exit code and its result."""
    whole = {"cache": str(folder), "log_level": "critical"} | settings
    file = folder / "out.json"

    def forked(*what: Any) -> tuple[int, Any]:
        assert host.stdin
        assert host.stdout
        host.stdin.write(json.dumps([*what, whole, str(file)]) + "\n")
        host.stdin.flush()
        code = int(host.stdout.readline())
        return code, None if code else json.loads(file.read_text())

    return forked


def nodes(graph: str) -> list[str]:
    """The nodes of a graph, of loops inside it too."""
    assert graph in GRAPHS
    return [node for node in structure(module(graph).graph)["nodes"] if not node.startswith("__")]
