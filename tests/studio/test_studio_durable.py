"""Studio's server with threads in the store of the settings: they are there after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import get_client

from merchgraph.cli import studio
from merchgraph.runtime.settings import use_settings
from tests.studio.conftest import Server, launched

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@contextmanager
def serving(folder: Path, checkpoints: Path) -> Iterator[Server]:
    with use_settings(checkpoints=str(checkpoints)):
        config = studio.config()
    env = {"MERCHGRAPH_CHECKPOINTS": str(checkpoints)}
    with launched(folder, config=config, env=env) as running:
        yield running


async def test_a_thread_is_there_after_the_server_was_killed(tmp_path: Path) -> None:
    file, found = tmp_path / "kept.sqlite", list[Any]()
    with serving(tmp_path, file) as server:
        async with get_client(url=server.url) as client:
            thread = (await client.threads.create())["thread_id"]
            context = {"model": "none"}
            out: Any = await client.runs.wait(thread, "voice_repair", input={}, context=context)
            found.append((await client.threads.get_state(thread))["values"])
        assert "Blocked" not in server.log
    assert out["decisions"]
    assert file.stat().st_size > 0
    with serving(tmp_path, file) as server:
        async with get_client(url=server.url) as client:
            await client.threads.create(thread_id=thread, graph_id="voice_repair")
            found.append((await client.threads.get_state(thread))["values"])
        assert "Blocked" not in server.log
    assert found[0] == found[1]
    assert found[0]["decisions"] == out["decisions"]
