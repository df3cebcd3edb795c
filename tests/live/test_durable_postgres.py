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


def test_what_a_run_leaves_is_small(postgres: str) -> None:
    import psycopg

    with use_settings(checkpoints=postgres, log_level="critical"):
        for graph in GRAPHS:
            run(graph, f"{graph} size")
    query = """
        SELECT thread_id, count(*) FROM checkpoints WHERE thread_id LIKE '%% size' AND checkpoint_ns = ''
        GROUP BY thread_id
    """
    blobs = (
        "SELECT max(s) FROM (SELECT sum(length(blob)) s FROM checkpoint_blobs GROUP BY thread_id) t"
    )
    with psycopg.connect(postgres) as kept:
        assert {count for _, count in kept.execute(query).fetchall()} == {1}
        [largest] = kept.execute(blobs).fetchone() or [0]
    assert 0 < largest < MOST_BYTES


def test_a_database_that_went_away_is_told(postgres: str) -> None:
    gone = postgres.replace("/postgres", "/nowhere")
    with (
        use_settings(checkpoints=gone),
        pytest.raises(SetupError, match=r"does not answer: .*nowhere"),
    ):
        run("behavior_lens", "a")
