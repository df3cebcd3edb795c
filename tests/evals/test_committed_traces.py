"""The recordings in `evals/traces` give the same numbers today, without model, server or data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest

import merchgraph.evals.suites.arag_shop as arag_shop
import merchgraph.evals.suites.carts_shop as carts_shop
import merchgraph.evals.suites.hyper_launches as hyper_launches
import merchgraph.evals.suites.lens_shop as lens_shop
import merchgraph.graphs.arag as arag
import merchgraph.graphs.behavior_lens as behavior_lens
import merchgraph.graphs.carts as carts
from merchgraph.evals.replay import replay_file
from merchgraph.runtime.trace_file import read

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "evals" / "traces"
DIALOGUE = FOLDER / "voice" / "embedded-smollm2-135m.jsonl.zst"
"""A run of the voice graph; the others are evaluations."""
TRACES = sorted(path for path in FOLDER.rglob("*.jsonl.zst") if path != DIALOGUE)
LARGEST = {"arag": 3_000_000}
"""Bytes that the traces of a suite may take together, where it is not 2 MB."""
PER_CALL = {"lens": 2_100}
"""Bytes, where they are not 2,000; two thirds of the lens suite's runs are baselines without a call."""


def no_data(*_: object, **__: object) -> NoReturn:
    raise AssertionError("a replay asked for the shop's data")


def test_there_are_traces_and_they_are_small() -> None:
    suites = {trace.parent for trace in TRACES}
    assert {suite.name for suite in suites} >= {"arag", "carts", "copy", "hyper", "lens"}
    for suite in suites:
        size = sum(trace.stat().st_size for trace in suite.iterdir())
        assert size <= LARGEST.get(suite.name, 2_000_000)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: f"{path.parent.name}/{path.name}")
async def test_a_committed_trace_replays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (arag, arag_shop, behavior_lens, carts, carts_shop, hyper_launches, lens_shop):
        monkeypatch.setattr(module, "shop", no_data)
    found = await replay_file(path)
    assert [f"{one.run}: {one.told}" for one in found.differences] == []
    assert found.problems == []
    assert not found.unfinished
    assert found.prompts == [], "prompts were changed; record the trace anew if that is meant"
    assert found.report is not None
    assert found.report.n >= 10
    assert found.runs == len(read(path).runs) - 1  # what is fitted beforehand is no system


@pytest.mark.parametrize("path", TRACES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_committed_trace_is_whole_and_small(path: Path) -> None:
    trace = read(path)
    calls = sum(len(run.calls) for run in trace.runs.values())
    assert trace.closed
    assert calls > 500
    assert path.stat().st_size < PER_CALL.get(path.parent.name, 2_000) * calls
    errors: dict[str, Any] = {run.id: run.end.error for run in trace.runs.values() if run.end.error}
    assert errors == {}


async def test_the_committed_dialogue_replays() -> None:
    found = await replay_file(DIALOGUE)
    assert (found.differences, found.problems, found.prompts) == ([], [], [])
    (run,) = read(DIALOGUE).runs.values()
    assert len(run.calls) == 2
    assert [repair["kind"] for repair in run.end.output["repairs"]] == ["ask again"]
    assert [one["action"] for one in run.end.output["decisions"]] == ["repair", "fine"]
