"""A vLLM server with the flags that our graphs rely on: started, waited for, stopped.

    with started(Serve(model="Qwen/Qwen3-8B"), say=print) as base_url:
        ...                                  # it answers; at the end it and its workers are gone

What the flags are for (tried with vLLM 0.32):

- prefix caching: prompts begin with what they share, so most of a run's prompt tokens are cached;
- the structured-output backend without free whitespace: small models fill it until the token limit;
- cached tokens in the usage, which the ledger counts;
- LoRA modules, each a model by its own name, `vllm/NAME`, with room for the largest rank among them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import IO, NamedTuple

from merchgraph.runtime.errors import SetupError

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""LoRA ranks that vLLM makes room for."""
STRUCTURED = {"backend": "xgrammar", "disable_any_whitespace": True}
LEAST_LOGPROBS = 20
"""Log-probabilities a token that `choose` may ask for."""
LAST_LINES = 12
"""Lines of the log that a failed start is told with."""
POLL_S = 0.5
STOP_S = 30.0
"""Seconds that a server has to end by itself."""


class Serve(NamedTuple):
    """What is served.

    Attributes:
        model: a model's name on a hub, or a folder.
        adapters: name -> folder of a LoRA adapter (peft's files).
        host, port: where.
        more: further arguments of `vllm serve`, as they are.
        program: the `vllm` to start; "" looks beside this Python, then on the path.
        patience_s: seconds until it must answer; a large model takes minutes to load.
    """

    model: str
    adapters: Mapping[str, Path] = {}
    host: str = "127.0.0.1"
    port: int = 8000
    more: Sequence[str] = ()
    program: str = ""
    patience_s: float = 1800.0

    @property
    def name(self) -> str:
        """What requests call the model."""
        more = list(self.more)
        if "--served-model-name" in more[:-1]:
            return more[more.index("--served-model-name") + 1]
        return self.model

    @property
    def base_url(self) -> str:
        """For `MERCHGRAPH_VLLM_BASE_URL`."""
        reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        return f"http://{reached}:{self.port}/v1"


def command(serve: Serve) -> list[str]:
    """The command line.

    Raises:
        SetupError: there is no vLLM, or an adapter that cannot be one.
    """
    found = [
        _program(serve.program), "serve", serve.model, "--host", serve.host, "--port", str(serve.port),
        "--enable-prefix-caching", "--enable-prompt-tokens-details",
        "--structured-outputs-config", json.dumps(STRUCTURED),
        "--max-logprobs", str(LEAST_LOGPROBS),
    ]  # fmt: skip
    if serve.adapters:
        rank = max(_rank(name, folder) for name, folder in serve.adapters.items())
        modules = [f"{name}={folder}" for name, folder in serve.adapters.items()]
        found += ["--enable-lora", "--max-lora-rank", str(_room(rank)), "--lora-modules", *modules]
    return [*found, *serve.more]


@contextmanager
def started(serve: Serve, say: Callable[[str], None]) -> Iterator[subprocess.Popen[str]]:
    """The server's process, once it answers; stopped with all that it started at the end.

    Args:
        serve: what is served.
        say: gets each line of its log.

    Raises:
        SetupError: it cannot start, ends, or does not answer in time; with the end of its log.
    """
    line = command(serve)
    _free(serve.host, serve.port)
    quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    process = subprocess.Popen(
        line, env=quiet | os.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    last: deque[str] = deque(maxlen=LAST_LINES)
    assert process.stdout is not None
    reading = Thread(target=_read, args=(process.stdout, last, say), daemon=True)
    reading.start()
    try:
        _wait(serve, process, last, reading)
        yield process
    finally:
        stop(process)
        reading.join(POLL_S)


def stop(process: subprocess.Popen[str]) -> None:
    """End a server and its workers: asked first, then made to."""
    for asked, patience in ((signal.SIGINT, STOP_S), (signal.SIGKILL, POLL_S)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, asked)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    process.wait()


def _program(given: str) -> str:
    beside = Path(sys.executable).parent / "vllm"
    found = shutil.which(given) if given else shutil.which(beside) or shutil.which("vllm")
    if not found:
        wanted = f"{given!r} is no program" if given else "vLLM is not installed"
        raise SetupError(
            f"{wanted}; run `pip install 'merchgraph[vllm]'` on a machine with a GPU, or name the vllm "
            "of another environment by --vllm."
        )
    return found


def _rank(name: str, folder: Path) -> int:
    """Of a LoRA adapter."""
    file = folder / "adapter_config.json"
    try:
        rank = json.loads(file.read_text())["r"]
    except OSError as error:
        raise SetupError(
            f"The adapter {name!r} has no {str(file)!r} ({error.strerror}); name a folder that peft "
            "saved."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f"{str(file)!r} is no LoRA configuration (it has no rank r); name a folder that peft saved."
        ) from error
    if type(rank) is not int or not 1 <= rank <= RANKS[-1]:
        raise SetupError(
            f"The adapter {name!r} has the rank {rank!r}; vLLM serves 1 to {RANKS[-1]}."
        )
    return rank


def _room(rank: int) -> int:
    return next(room for room in RANKS if room >= rank)


def _free(host: str, port: int) -> None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise SetupError(
            f"vLLM cannot listen on {host}:{port} ({error.strerror or error}); choose another --port or "
            "--host, or end what listens there."
        ) from error


def _read(stream: IO[str], last: deque[str], say: Callable[[str], None]) -> None:
    with stream:
        for line in stream:
            text = line.rstrip()
            last.append(text)
            say(text)


def _wait(serve: Serve, process: subprocess.Popen[str], last: deque[str], reading: Thread) -> None:
    end = time.monotonic() + serve.patience_s
    health = serve.base_url.removesuffix("/v1") + "/health"
    while time.monotonic() < end:
        if process.poll() is not None:
            reading.join(POLL_S)
            raise SetupError(
                f"vLLM ended with code {process.returncode} before it answered; the end of its log:\n"
                + "\n".join(last)
            )
        with suppress(OSError), urllib.request.urlopen(health, timeout=POLL_S * 4):
            return
        time.sleep(POLL_S)
    raise SetupError(
        f"vLLM did not answer within {serve.patience_s:g} s; give a large model more by --wait. The end "
        "of its log:\n" + "\n".join(last)
    )
