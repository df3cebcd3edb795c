"""One `langgraph dev` on loopback for all tests of this folder, as `merchgraph studio` starts it."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from rich.console import Console

from merchgraph.cli import studio
from merchgraph.cli.prepare import prepare_model, prepare_shop

START_S = 60.0


class Server(NamedTuple):
    """A running server."""

    url: str
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    prepare_shop("complete_journey", Console(quiet=True), lambda line: None)
    prepare_model(lambda line: None)
    with launched(tmp_path_factory.mktemp("studio"), stop=signal.SIGTERM) as running:
        yield running


@pytest.fixture
async def client(server: Server) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=server.url) as client:
        yield client


@contextmanager
def launched(
    folder: Path,
    *,
    config: Mapping[str, object] | None = None,
    env: Mapping[str, str] = MappingProxyType({}),
    stop: signal.Signals = signal.SIGKILL,
) -> Iterator[Server]:
    """A server that answers, as `merchgraph studio` starts it.

    Args:
        folder: for its langgraph.json and its log.
        config: in place of the contents of langgraph.json.
        env: what its environment has besides.
        stop: how it is told to end.
    """
    running = Server(f"http://127.0.0.1:{(port := free_port())}", folder / "server.log")
    command = studio.command(folder, port)
    if config is not None:
        (folder / "langgraph.json").write_text(json.dumps(config))
    with running.log_file.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=studio.environment() | dict(env), stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            wait_for(running, process)
            yield running
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, stop)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/ok", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError(f"the server did not start:\n{server.log[-3000:]}")
