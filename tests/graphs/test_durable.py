"""A run that is killed in any of its nodes goes on and ends as if nothing had been."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from pydantic import BaseModel

from merchgraph.graphs import behavior_lens, voice_repair
from merchgraph.graphs.registry import GRAPHS, module
from merchgraph.runtime.durable import Waits, allowed, durable
from merchgraph.runtime.durable_store import FILE
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.recording import recorded
from merchgraph.runtime.scripted import ScriptedModel, scripted
from merchgraph.runtime.settings import use_settings
from tests.graphs import lens_shopper
from tests.graphs.durable_runs import (
    BAD,
    KILLED,
    MOST_BYTES,
    Forked,
    Host,
    forker,
    nodes,
    plain,
    run,
    running_host,
)
from tests.graphs.voice_exchange import turn


@pytest.fixture(scope="module", name="host")
def _host() -> Iterator[Host]:
    yield from running_host()


@pytest.fixture
def forked(host: Host, tmp_path: Path) -> Forked:
    """`forked(graph, thread, moment)`: a run in a process; its exit code and its result."""
    return forker(host, tmp_path, {})


@pytest.fixture
def model(tmp_path: Path) -> Iterator[ScriptedModel]:
    with use_settings(cache=tmp_path), scripted(lens_shopper.replies()) as model:
        yield model


def lens(model: str, **settings: Any) -> BaseModel:
    context = behavior_lens.Context.model_validate(
        {"model": model, "rendering": "text", **settings}
    )
    return behavior_lens.run(lens_shopper.ASKED, context)


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_run_that_is_killed_in_every_node_ends_as_if_nothing_had_been(
    forked: Forked, graph: str, tmp_path: Path
) -> None:
    _, whole = forked(graph, "whole", None)
    killed, thread = set[str](), "1"
    for place, node in enumerate(nodes(graph)):
        moment = (node, "finished" if place % 2 else "started")
        code, found = forked(graph, thread, moment)
        if code != KILLED:  # the run is past that node
            assert found == whole
            thread = node
            code, _ = forked(graph, thread, moment)
        assert code == KILLED
        killed.add(node)
    assert forked(graph, thread, None) == (0, whole)
    assert killed == set(nodes(graph))
    assert largest(tmp_path / FILE) < MOST_BYTES


@pytest.mark.soak
@pytest.mark.parametrize("graph", GRAPHS)
def test_a_run_that_is_killed_in_any_node_ends_as_if_nothing_had_been(
    forked: Forked, graph: str
) -> None:
    _, whole = forked(graph, "whole", None)
    for node in nodes(graph):
        for event in ("started", "finished"):
            thread = f"{node}/{event}"
            assert forked(graph, thread, (node, event)) == (KILLED, None), thread
            assert forked(graph, thread, None) == (0, whole), thread


def largest(file: Path) -> int:
    """Bytes of the thread that takes most, of those that have ended."""
    size = "sum(length(checkpoint) + length(metadata))"
    query = f"SELECT {size}, count(*) FROM checkpoints GROUP BY thread_id"
    with sqlite3.connect(file) as kept:
        rows: list[tuple[int, int]] = kept.execute(query).fetchall()
        assert kept.execute("SELECT count(*) FROM writes").fetchone() == (0,)
    assert {steps for _, steps in rows} == {1}
    return max(size for size, _ in rows)


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_run_takes_little_on_disk_while_it_lasts(
    graph: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, kept, noted = list[int](), AsyncSqliteSaver.aput, AsyncSqliteSaver.aput_writes

    def measure() -> None:
        sizes.append(sum(file.stat().st_size for file in tmp_path.glob(f"{FILE}*")))

    async def aput(self: AsyncSqliteSaver, *step: Any) -> Any:
        done = await kept(self, *step)
        measure()
        return done

    async def aput_writes(self: AsyncSqliteSaver, *writes: Any) -> None:
        await noted(self, *writes)
        measure()

    monkeypatch.setattr(AsyncSqliteSaver, "aput", aput)
    monkeypatch.setattr(AsyncSqliteSaver, "aput_writes", aput_writes)
    with use_settings(cache=tmp_path, log_level="critical"):
        run(graph, "a")
    assert len(sizes) > 2 * len(nodes(graph))
    assert 0 < max(sizes) < MOST_BYTES


def test_a_run_that_has_ended_is_not_run_again(model: ScriptedModel) -> None:
    with durable("a"):
        first = lens(model)
    asked = len(model.script.asked)
    with durable("a"):
        assert lens(model) == first
    assert len(model.script.asked) == asked > 0
    with durable("b"):
        assert plain(lens(model)) == plain(first)
    assert len(model.script.asked) == 2 * asked


def test_a_thread_holds_one_run(model: ScriptedModel) -> None:
    with durable("a"):
        lens(model)
    with durable("a"), pytest.raises(SetupError, match="holds the run of another context"):
        lens(model, temperature=0.5)
    with durable("a"), pytest.raises(SetupError, match="holds the run of another request"):
        behavior_lens.run(
            lens_shopper.ASKED.model_copy(update={"candidates": ["Milk", "Tea", "Soap"]}),
            behavior_lens.Context.model_validate({"model": model, "rendering": "text"}),
        )
    with durable("a"), pytest.raises(SetupError, match="holds the run of another graph"):
        voice_repair.run(voice_repair.Request(), voice_repair.Context(model="none"))


def test_a_thread_needs_a_name_and_is_not_recorded(model: ScriptedModel, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="has no name"), durable(""):
        pass
    with (
        durable("a"),
        pytest.raises(SetupError, match="is not recorded; leave one of the two out"),
        recorded(tmp_path / "x.jsonl.zst"),
    ):
        lens(model)


def test_a_run_that_waits_goes_on_with_the_answer(tmp_path: Path) -> None:
    request = voice_repair.Request(turns=[turn(BAD)])
    context = voice_repair.Context(model="none")
    with use_settings(cache=tmp_path):
        for _ in range(2):  # waiting has no end
            with durable("a"), pytest.raises(Waits) as waits:
                voice_repair.run(request, context)
            assert waits.value.wanted[0]["wanted"] == "the next turn"
        with durable("a", answer=""):
            assert voice_repair.run(request, context).outcome == "said"


@pytest.mark.parametrize("graph", GRAPHS)
def test_what_comes_back_from_disk_is_typed_and_nothing_is_blocked(
    graph: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with use_settings(cache=tmp_path, log_level="critical"):
        assert run(graph, "a") == run(graph, "a")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    names = allowed(module(graph).graph)
    assert ("merchgraph.runtime.ledger", "Call") in names
    assert not {one for one in names if not one[0].startswith("merchgraph")}


def test_a_place_that_cannot_be_opened_is_told(model: ScriptedModel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database, but a text of some length\n" * 9)
    for place in (tmp_path / "file", tmp_path / "file" / "x.sqlite", tmp_path):
        with (
            use_settings(checkpoints=str(place)), durable("a"),
            pytest.raises(SetupError, match=r"cannot be opened: .*; set MERCHGRAPH_CHECKPOINTS to"),
        ):  # fmt: skip
            lens(model)
    with (
        use_settings(checkpoints="postgresql://ann:secret@127.0.0.1:9/x"), durable("a"),
        pytest.raises(SetupError, match=r"does not answer: .*; start it") as told,
    ):  # fmt: skip
        lens(model)
    assert "secret" not in str(told.value)
