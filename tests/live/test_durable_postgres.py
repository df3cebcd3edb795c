"""Durable runs in a real Postgres, which is started here from Debian's package postgresql."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from merchgraph.graphs.registry import GRAPHS
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import use_settings
from tests.graphs.durable_runs import (
    KILLED,
    MOST_BYTES,
    Forked,
    Host,
    forker,
    nodes,
    run,
    running_host,
)

START_S = 60.0


def binaries() -> Path | None:
    """The folder of initdb and postgres."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(300),
    pytest.mark.skipif(binaries() is None, reason="needs `apt-get install postgresql`"),
]


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of an empty database."""
    folder = binaries()
    assert folder is not None
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to be root
    with TemporaryDirectory(prefix="pg") as place:
        if user:
            shutil.chown(place, user)
        data = f"{place}/data"
        subprocess.run(
            [folder / "initdb", "-D", data, "-A", "trust", "-U", "merch"],
            user=user, cwd=place, check=True, capture_output=True,
        )  # fmt: skip
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = ("-D", data, "-p", str(port), "-k", place, "-h", "127.0.0.1")
        server = subprocess.Popen(
            [folder / "postgres", *options], user=user, cwd=place, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _wait(port, server)
            yield f"postgresql://merch@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(20)


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    import psycopg

    end = time.monotonic() + START_S
    while time.monotonic() < end:
        assert server.poll() is None, "Postgres did not start"
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="merch", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise AssertionError("Postgres does not answer")


@pytest.fixture(scope="module", name="host")
def _host() -> Iterator[Host]:
    yield from running_host()


@pytest.fixture
def forked(host: Host, postgres: str, tmp_path: Path) -> Forked:
    return forker(host, tmp_path, {"checkpoints": postgres})


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_run_that_is_killed_in_every_node_ends_as_if_nothing_had_been(
    forked: Forked, graph: str
) -> None:
    _, whole = forked(graph, f"{graph} whole", None)
    for node in nodes(graph):
        thread = f"{graph} {node}"
        assert forked(graph, thread, (node, "started"))[0] == KILLED
        assert forked(graph, thread, None) == (0, whole)


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_run_keeps_little(postgres: str, graph: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

    sizes, noted, thread = list[int](), AsyncPostgresSaver.aput_writes, f"{graph} size"
    tables = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
    each = (
        f"SELECT sum(pg_column_size(t.*)) n FROM {one} t WHERE thread_id = %(name)s"
        for one in tables
    )
    size = f"SELECT sum(n)::int FROM ({' UNION ALL '.join(each)}) one"
    steps = "SELECT count(*) FROM checkpoints WHERE thread_id = %(name)s AND checkpoint_ns = ''"

    def ask(query: Any) -> int:
        with psycopg.connect(postgres) as kept:
            [found] = kept.execute(query, {"name": thread}).fetchone() or [0]
        return int(found)

    async def aput_writes(self: AsyncPostgresSaver, *writes: Any) -> None:
        await noted(self, *writes)
        sizes.append(ask(size))

    monkeypatch.setattr(AsyncPostgresSaver, "aput_writes", aput_writes)
    with use_settings(checkpoints=postgres, log_level="critical"):
        run(graph, thread)
    assert len(sizes) > len(nodes(graph))
    assert 0 < ask(size) < MOST_BYTES
    assert max(sizes) < MOST_BYTES
    assert ask(steps) == 1


def test_a_database_that_went_away_is_told(postgres: str) -> None:
    gone = postgres.replace("/postgres", "/nowhere")
    with (
        use_settings(checkpoints=gone),
        pytest.raises(SetupError, match=r"does not answer: .*nowhere"),
    ):
        run("behavior_lens", "a")
