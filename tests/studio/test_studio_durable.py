"""Studio's server with threads in the store of the settings: they are there after a restart."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import get_client

from merchgraph.cli import studio
from merchgraph.runtime.settings import use_settings
from tests.studio.conftest import Server, free_port, wait_for

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@contextmanager
def serving(folder: Path, checkpoints: Path) -> Iterator[Server]:
    running = Server(f"http://127.0.0.1:{(port := free_port())}", folder / "server.log")
    with use_settings(checkpoints=str(checkpoints)):
        command = studio.command(folder, port)
    env = studio.environment() | {"MERCHGRAPH_CHECKPOINTS": str(checkpoints)}
    with running.log_file.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            wait_for(running, process)
            yield running
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


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
