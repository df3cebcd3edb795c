"""A batch whose driver, workers and endpoint are processes that a test kills.

The host imports everything once and forks a driver per line that it reads: a kill costs no import.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl

from merchgraph.runtime import models  # noqa: F401  (imported before the fork)
from merchgraph.runtime.batch import Job, run
from merchgraph.runtime.errors import MerchgraphError
from merchgraph.runtime.settings import use_settings
from tests.runtime.batch_job import job_of, unfinished, written

ROOT = Path(__file__).parents[2]
MODEL = "vllm/echo"
DELAY_S = 0.02


class Echo(BaseHTTPRequestHandler):
    """Says what it is told, as a chat completion."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(DELAY_S)
        said = f"echo of {body['messages'][-1]['content']}"
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": said},
            "finish_reason": "stop",
        }
        reply = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "echo",
            "choices": [choice],
        }
        raw = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Not on the test's own standard error."""


def serve(port: str) -> None:
    """The endpoint's program; says its port when it listens."""
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Echo)
    _say(server.server_port)
    server.serve_forever()


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def host() -> None:
    """The host's program: forks a driver per line (folder, rows, address), and tells how it ended."""
    for line in sys.stdin:
        folder, rows, url = line.split()
        pid = os.fork()
        if not pid:
            os._exit(_drive(Path(folder), int(rows), url))
        _say(pid)
        _say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _drive(folder: Path, rows: int, url: str) -> int:
    try:
        with use_settings(vllm_base_url=url, log_level="critical"):
            asyncio.run(run(job(folder, rows), resume=True))
    except MerchgraphError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def job(folder: Path, rows: int) -> Job:
    return job_of([f"text {n}" for n in range(rows)], folder, size=40, rows=16, model=MODEL)


def program(name: str, *words: str) -> subprocess.Popen[str]:
    code = f"import sys; from tests.runtime.batch_killed import {name}; {name}(*sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


class Endpoint:
    """The endpoint in a process of its own, at the same port after each kill."""

    def __init__(self) -> None:
        self.port = "0"
        self.start()

    def start(self) -> None:
        self.process = program("serve", self.port)
        assert self.process.stdout is not None
        self.port = self.process.stdout.readline().strip()
        assert self.port, "the endpoint did not start"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


class Host:
    """The host's process; `drive` begins a driver, gives a descriptor of it, and `ended` waits for it."""

    def __init__(self) -> None:
        self.process = program("host")

    def drive(self, folder: Path, rows: int, url: str) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{folder} {rows} {url}\n")
        self.process.stdin.flush()
        return os.pidfd_open(self._number())

    def ended(self) -> int:
        return self._number()

    def _number(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())


def soak(folder: Path, kills: int, rows: int, seed: int = 0) -> dict[str, int]:
    """Kill drivers and the endpoint until the count is reached and the batch is done; check throughout.

    Returns:
        what was killed and what came of it.
    """
    chance, host, endpoint = random.Random(seed), Host(), Endpoint()
    counts = dict.fromkeys(("driver", "endpoint", "batches", "sittings", "rows", "shards seen"), 0)
    try:
        while counts["driver"] + counts["endpoint"] < kills:
            work = folder / str(counts["batches"])
            work.mkdir()
            _to_its_end(work, rows, kills, (chance, host, endpoint), counts)
            counts["batches"] += 1
            counts["rows"] += rows
    finally:
        endpoint.kill()
        host.process.kill()
        host.process.communicate()
    return counts


def _to_its_end(
    work: Path,
    rows: int,
    kills: int,
    who: tuple[random.Random, Host, Endpoint],
    counts: dict[str, int],
) -> None:
    chance, host, endpoint = who
    left = kills
    while True:
        driver = host.drive(work, rows, endpoint.url)
        counts["sittings"] += 1
        left = kills - counts["driver"] - counts["endpoint"]
        kill = chance.choice(["driver", "driver", "endpoint"]) if left > 0 else ""
        time.sleep(chance.uniform(0, 0.6))
        if kill == "driver":
            try:
                signal.pidfd_send_signal(driver, signal.SIGKILL)
            except ProcessLookupError:  # it was done before
                kill = ""
        elif kill == "endpoint":
            endpoint.kill()
            time.sleep(chance.uniform(0, 0.5))
            endpoint.start()
        if kill:
            counts[kill] += 1
        os.close(driver)
        code = host.ended()
        assert code in ((0, 2, -9) if kill else (0,)), code
        counts["shards seen"] += _whole_shards(job(work, rows))
        if code == 0 and _all_there(job(work, rows)):
            return


def _whole_shards(job: Job) -> int:
    """Check that every shard that can be seen is whole; how many there are."""
    files = sorted(job.folder.path.glob("*.parquet"))
    for file in files:
        first = int(file.stem.removeprefix("rows-"))
        expected = range(first, min(first + job.folder.size, job.folder.count))
        assert pl.read_parquet(file)["row"].to_list() == list(expected), file
    return len(files)


def _all_there(job: Job) -> bool:
    """Check that each row is there once; False where some of them failed, and may be run again."""
    table = written(job)
    assert table["row"].to_list() == list(range(job.folder.count))
    assert table["id"].to_list() == [f"r{n}" for n in range(job.folder.count)]
    assert unfinished(job) == []
    good = table.filter(pl.col("error").is_null())
    said: list[Any] = [f"TEXT {n}" for n in good["row"]]
    assert good["text"].to_list() == said
    assert (table["error"].is_null() | table["error"].str.starts_with("EndpointError")).all()
    return len(good) == len(table)
