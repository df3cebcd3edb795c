"""No node of any graph blocks the event loop: in Studio and in a batch, others run in the same one."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockingError, blockbuster_ctx

from merchgraph.graphs import voice_repair
from merchgraph.graphs.registry import GRAPHS
from merchgraph.graphs.voice_repair import Request, Turn
from merchgraph.runtime.recording import recorded
from merchgraph.tools.reactions.config import Config
from merchgraph.tools.reactions.made import Made, made
from merchgraph.tools.reactions.train import fit_detector
from tests.chaos.cases import CASES, Case
from tests.chaos.faults import Chaos, ChaosServer
from tests.chaos.matrix import quick

MORE: Mapping[str, Mapping[str, Any]] = {
    "behavior_lens": {"rendering": "scatter", "count_picture": True},
    "carts": {"mode": "fail_fast", "without": ["features"]},
    "hyper": {"by": "levels", "store": "weights.jsonl"},
}
"""Settings under which a graph does other work: draws, writes."""
RUNS = [*((name, {}) for name in CASES), *MORE.items()]


@pytest.fixture(autouse=True)
def _no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: None)


def context_of(case: Case, name: str, settings: Mapping[str, Any], folder: Path) -> Any:
    given = {**case.settings, **settings}
    if "store" in given:
        given["store"] = str(folder / given["store"])
    return case.graph.Context(model=f"vllm/calm-{name}", **given)


@pytest.mark.parametrize(("name", "settings"), RUNS, ids=lambda value: str(value))
async def test_no_node_blocks_the_event_loop(
    name: str, settings: Mapping[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    case.patch(monkeypatch)
    with ChaosServer(Chaos("none")) as server, quick(server.url):
        context = context_of(case, f"{name}-{len(settings)}", settings, tmp_path)
        await case.graph.arun(case.request, context)  # imports made at the first call may block
        asked = len(server.requests)
        with blockbuster_ctx():
            result = await case.graph.arun(case.request, context)
        assert not result.errors
        assert len(server.requests) > asked


@pytest.mark.parametrize("name", CASES)
async def test_no_node_blocks_the_event_loop_while_it_is_recorded(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    case.patch(monkeypatch)
    with ChaosServer(Chaos("none")) as server, quick(server.url):
        context = context_of(case, f"{name}-taped", {}, tmp_path)
        await case.graph.arun(case.request, context)
        with recorded(tmp_path / "x.jsonl.zst"), blockbuster_ctx() as watching:
            # a finished run is put on disk in one step before its caller goes on: some milliseconds
            watching.functions["os.write"].can_block_in("runtime/trace_file.py", "append")
            result = await case.graph.arun(case.request, context)
        assert not result.errors


async def test_a_face_on_disk_is_read_beside_the_loop(tmp_path: Path) -> None:
    detector = fit_detector(made(Made(people=3, clips=4, seed=3))[0])
    detector.save(tmp_path / "model", Config(), "")
    features = detector.learnt.face.features
    rows = [",".join(["time", *features])]
    rows += [",".join(map(str, [n / 25, *[0.6] * len(features)])) for n in range(200)]
    (tmp_path / "face.csv").write_text("\n".join(rows))
    turn = Turn(asked="Ten", answered="Two", at=0.5)
    request = Request(turns=[turn], features=str(tmp_path / "face.csv"))
    context = voice_repair.Context(model="none", detector=str(tmp_path / "model"))
    await voice_repair.arun(request, context)
    with blockbuster_ctx():
        assert (await voice_repair.arun(request, context)).decisions[0].readings


def test_every_graph_of_the_registry_is_watched() -> None:
    assert {name for name, _ in RUNS} == set(GRAPHS)


async def test_a_blocking_call_would_be_seen() -> None:
    with blockbuster_ctx(), pytest.raises(BlockingError):
        time.sleep(0.01)  # noqa: ASYNC251 - that is the point
