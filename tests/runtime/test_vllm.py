from __future__ import annotations

import json
import os
import socket
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.vllm import Serve, command, started

# a stand-in for the program: it tells its arguments, starts a worker, and answers after `delay` seconds
PROGRAM = """\
#!{python}
import http.server, json, os, subprocess, sys, time
print("arguments", json.dumps(sys.argv[1:]), flush=True)
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("worker", worker.pid, flush=True)
mode = {mode!r}
if mode == "fails":
    print("ValueError: no such model", flush=True)
    worker.kill()
    sys.exit(3)
if mode == "hangs":
    time.sleep(600)
port = int(sys.argv[sys.argv.index("--port") + 1])
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
    def log_message(self, *_):
        pass
if mode == "stubborn":
    import signal
    signal.signal(signal.SIGINT, signal.SIG_IGN)
http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever()
"""


def program(folder: Path, mode: str = "serves") -> str:
    file = folder / "vllm"
    file.write_text(PROGRAM.format(python=sys.executable, mode=mode))
    file.chmod(0o755)
    return str(file)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def adapter(folder: Path, rank: object = 12) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    return folder


def test_the_command_has_what_our_graphs_rely_on(tmp_path: Path) -> None:
    serve = Serve("some/model", program=program(tmp_path), port=8001, more=["--dtype", "float32"])
    line = command(serve)
    assert line[1:3] == ["serve", "some/model"]
    assert {"--enable-prefix-caching", "--enable-prompt-tokens-details"} <= set(line)
    settings = json.loads(line[line.index("--structured-outputs-config") + 1])
    assert settings["disable_any_whitespace"] is True
    assert int(line[line.index("--max-logprobs") + 1]) >= 20
    assert line[-2:] == ["--dtype", "float32"]
    assert "--enable-lora" not in line
    assert serve.base_url == "http://127.0.0.1:8001/v1"


@pytest.mark.parametrize(("rank", "room"), [(1, "1"), (8, "8"), (12, "16"), (512, "512")])
def test_adapters_are_served_with_room_for_their_rank(tmp_path: Path, rank: int, room: str) -> None:
    given = {"small": adapter(tmp_path / "a", 1), "tuned": adapter(tmp_path / "b", rank)}
    line = command(Serve("m", given, program=program(tmp_path)))
    assert line[line.index("--max-lora-rank") + 1] == room
    begin = line.index("--lora-modules") + 1
    assert line[begin : begin + 2] == [f"small={tmp_path / 'a'}", f"tuned={tmp_path / 'b'}"]


@pytest.mark.parametrize(
    ("text", "told"),
    [(None, "has no"), ("{", "no LoRA configuration"), ("[]", "no LoRA configuration"),
     ('{"r": 0}', "has the rank 0; vLLM serves 1 to 512"), ('{"r": 513}', "has the rank 513"),
     ('{"r": "8"}', "has the rank '8'")],
)  # fmt: skip
def test_what_is_no_adapter_is_refused(tmp_path: Path, text: str | None, told: str) -> None:
    if text is not None:
        (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(SetupError, match=told):
        command(Serve("m", {"tuned": tmp_path}, program=program(tmp_path)))


def test_a_missing_vllm_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SetupError, match="'/no/vllm' is no program; run `pip install"):
        command(Serve("m", program="/no/vllm"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(SetupError, match="vLLM is not installed; run `pip install 'merchgraph"):
        command(Serve("m"))


def test_a_server_answers_and_is_gone_afterwards(tmp_path: Path) -> None:
    said: list[str] = []
    serve = Serve("m", port=free_port(), program=program(tmp_path))
    with started(serve, said.append) as process:
        with urllib.request.urlopen(f"http://127.0.0.1:{serve.port}/health") as answer:
            assert answer.status == 200
        worker = int(next(line for line in said if line.startswith("worker")).split()[1])
        assert alive(worker)
    assert process.poll() is not None
    assert not alive(worker)
    assert json.loads(said[0].removeprefix("arguments "))[:2] == ["serve", "m"]


def test_a_server_that_does_not_end_by_itself_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("merchgraph.runtime.vllm.STOP_S", 0.3)
    serve = Serve("m", port=free_port(), program=program(tmp_path, "stubborn"))
    begin = time.monotonic()
    with started(serve, lambda line: None) as process:
        pass
    assert process.poll() is not None
    assert time.monotonic() - begin < 20


def test_a_server_that_fails_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    serve = Serve("m", port=free_port(), program=program(tmp_path, "fails"))
    with (
        pytest.raises(SetupError, match=r"(?s)ended with code 3 before.*no such model"),
        started(serve, lambda line: None),
    ):
        pass


def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    said: list[str] = []
    serve = Serve("m", port=free_port(), program=program(tmp_path, "hangs"), patience_s=2)
    with (
        pytest.raises(SetupError, match="did not answer within 2 s; give a large model more"),
        started(serve, said.append),
    ):
        pass
    worker = int(next(line for line in said if line.startswith("worker")).split()[1])
    assert not alive(worker)


def test_a_taken_port_is_told_before_a_model_is_loaded(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        serve = Serve("m", port=other.getsockname()[1], program=program(tmp_path))
        with (
            pytest.raises(SetupError, match=r"cannot listen on 127.0.0.1:\d+ \(.*choose another"),
            started(serve, lambda line: None),
        ):
            pass
