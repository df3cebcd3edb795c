"""The command as a person types it, in this process or in one of its own, over a shop of six items."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from merchgraph.cli.main import main
from merchgraph.runtime.settings import use_settings

ITEMS = """\
id,name
milk,Fresh milk
bread,Rye bread
soap,[red]Soap[/] \\
tea,\x1b[2J\x1b]0;owned\x07 Green tea
jam,:apple: jam of a great many words that goes on and on until no column of any table can hold it
salt,Salt \u202eegassem
"""
EVENTS = """\
u,t,id
7,2024-01-02,milk
7,2024-01-03,bread
8,2024-01-02,gone
"""
MAPPING = """\
name: gifts
items: {file: items.csv, columns: {item: id, title: name}}
events: {file: events.csv, columns: {user: u, time: t, item: id}, constants: {behaviour: purchase}}
"""
SLATE = ("soap", "tea", "jam", "salt")


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def gifts(tmp_path: Path) -> Path:
    """The mapping file of a shop: 7 has a history, 8 bought what the catalogue lacks."""
    (tmp_path / "items.csv").write_text(ITEMS, encoding="utf-8")
    (tmp_path / "events.csv").write_text(EVENTS, encoding="utf-8")
    (tmp_path / "gifts.yaml").write_text(MAPPING, encoding="utf-8")
    return tmp_path / "gifts.yaml"


@pytest.fixture
def typed(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Run the command in this process."""
    log = logging.getLogger("merchgraph")
    before = log.handlers, log.level, log.propagate

    def run(*words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["merchgraph", *words])
        capsys.readouterr()
        with use_settings(cache=cache, log_level="error"), pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else int(code is not None), *capsys.readouterr())

    yield run
    log.handlers, log.level, log.propagate = before


@pytest.fixture
def sentence() -> Callable[[Ended], str]:
    """The one sentence of a command that bad input ended, without "error: "."""

    def check(ended: Ended) -> str:
        assert ended.code == 2, ended
        lines = ended.err.splitlines()
        assert len(lines) == 1, ended.err
        assert lines[0].startswith("error: ")
        assert lines[0].endswith((".", "?", "]'"))
        assert "recommend" not in ended.out.lower()
        return lines[0].removeprefix("error: ")

    return check


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "MERCHGRAPH_" not in name}
    return kept | {"COLUMNS": "80"} | variables


@pytest.fixture
def process(cache: Path, tmp_path: Path) -> Command:
    """Run the command in a process of its own; packages named in `hide` cannot be found there."""

    def run(*words: str, hide: tuple[str, ...] = (), timeout: float = 60, **env: str) -> Ended:
        given = environment(MERCHGRAPH_CACHE=str(cache)) | env
        ended = subprocess.run(
            [sys.executable, "-c", hidden(hide), *words],
            capture_output=True, text=True, encoding="utf-8", env=given, cwd=tmp_path,
            timeout=timeout, check=False,
        )  # fmt: skip
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


def hidden(packages: tuple[str, ...]) -> str:
    """The command's program, with some packages gone: to import, to find, and to ask for a version."""
    return f"""
import importlib.machinery, importlib.metadata, sys
gone, found, there = {packages!r}, importlib.machinery.PathFinder.find_spec, importlib.metadata.version
def find_spec(name, path=None, target=None):
    return None if name.split(".")[0] in gone else found(name, path, target)
def version(name):
    if name.replace("-", "_") in gone:
        raise importlib.metadata.PackageNotFoundError(name)
    return there(name)
importlib.machinery.PathFinder.find_spec = find_spec
importlib.metadata.version = version
sys.argv[0] = "merchgraph"
from merchgraph.cli.main import main
main()
"""


@pytest.fixture
def server_of() -> Callable[[int, bytes], AbstractContextManager[str]]:
    """A server that gives one status and body to every request; the value is its address."""

    @contextmanager
    def serve(status: int, body: bytes) -> Iterator[str]:
        class Fixed(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                """Not on the test's own standard error."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Fixed)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            server.server_close()

    return serve


@pytest.fixture
def on_slate(typed: Command, gifts: Path) -> Command:
    """`merchgraph run arag` for user 7 over the slate, one item to recommend, without reasons."""

    def run(model: str, *more: str) -> Ended:
        return typed(
            "run", "arag", "--user", "7", "--data", str(gifts), "--slate", ",".join(SLATE),
            "--k", "1", "--model", model, "--set", "rationales=false", *more,
        )  # fmt: skip

    return run
