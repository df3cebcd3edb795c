from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Ended
from tests.runtime.test_vllm import adapter, free_port, program


def test_the_command_is_printed_without_a_start(typed: Command, tmp_path: Path) -> None:
    tuned = adapter(tmp_path / "tuned")
    words = f"--vllm {program(tmp_path)} --adapter tuned={tuned} --dry-run -- --dtype float32"
    found = typed("serve", "some/model", *words.split())
    assert found.code == 0
    assert "serve some/model --host 127.0.0.1 --port 8000" in found.out
    assert f"--lora-modules tuned={tuned} --dtype float32" in found.out


@pytest.mark.parametrize(
    ("words", "told"),
    [("--adapter tuned", "--adapter got 'tuned'; expected NAME=FOLDER"),
     ("--adapter =x", "--adapter got '=x'"),
     ("--adapter a=x --adapter a=y", "--adapter names 'a' twice"),
     ("--adapter a=gone", "has no 'gone/adapter_config.json'"),
     ("--vllm /no/vllm", "'/no/vllm' is no program")],
)  # fmt: skip
def test_a_bad_call_is_one_sentence(
    typed: Command, sentence: Callable[[Ended], str], tmp_path: Path, words: str, told: str
) -> None:
    vllm = [] if "--vllm" in words else ["--vllm", program(tmp_path)]
    assert told in sentence(typed("serve", "m", *vllm, *words.split()))


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_it_says_how_to_use_the_server_and_ends_when_asked(
    tmp_path: Path, asked: signal.Signals
) -> None:
    port = free_port()
    line = [sys.executable, "-m", "merchgraph.cli.main", "serve", "some/model", "--port", str(port),
            "--vllm", program(tmp_path)]  # fmt: skip
    said = []
    with subprocess.Popen(line, env=os.environ | {"COLUMNS": "200"}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as process:  # fmt: skip
        assert process.stdout is not None
        for text in process.stdout:
            said.append(text)
            if "--model vllm/some/model" in text:
                process.send_signal(asked)
        assert process.wait(30) == 130
    assert f"export MERCHGRAPH_VLLM_BASE_URL=http://127.0.0.1:{port}/v1" in "".join(said)
