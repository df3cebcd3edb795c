"""Pictures against a real vLLM, with a small vision architecture and made-up weights.

    MERCHGRAPH_LIVE_VLLM=/path/to/vllm pytest tests/live

It takes a vLLM with torchvision beside it, half a minute and no GPU, network or download. The weights
know nothing, so that nothing is said of answers: what is proven is that a real server takes the pictures
as we send them, says what they cost, and follows our schema beside them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from merchgraph.graphs import behavior_lens
from merchgraph.graphs.behavior_lens import Context
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.recording import recorded, replayed
from merchgraph.runtime.seeing import sight
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.charts.render import Kind, Variant
from tests.graphs.lens_shopper import ASKED, CANDIDATES
from tests.live import vision_model

VLLM = os.environ.get("MERCHGRAPH_LIVE_VLLM", "")
SEES = (
    bool(list(Path(VLLM).parents[1].glob("lib/python3*/site-packages/torchvision")))
    if VLLM
    else False
)
"""Whether that vLLM has what it takes pictures apart with; its build for CPUs comes without."""
MODEL = "vllm/made-up-llava"
START_S = 300.0

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not SEES, reason="MERCHGRAPH_LIVE_VLLM names no vllm with torchvision"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a running vLLM."""
    folder = tmp_path_factory.mktemp("vllm")
    vision_model.write(folder / "model")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        VLLM, "serve", str(folder / "model"), "--load-format", "dummy", "--enforce-eager",
        "--dtype", "float32", "--max-model-len", str(vision_model.CONTEXT),
        "--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}',
        "--served-model-name", MODEL.split("/")[1], "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    offline = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | offline, stdout=log, stderr=log,
                                   start_new_session=True)  # fmt: skip
        try:
            wait_for(f"http://127.0.0.1:{port}/v1", process, folder / "server.log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/models", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    raise AssertionError(f"vLLM did not start:\n{log.read_text(errors='replace')[-3000:]}")


def test_a_real_server_takes_pictures_and_made_up_weights_do_not_see(server: str) -> None:
    with use_settings(vllm_base_url=server):
        assert asyncio.run(sight(chat_model(MODEL))) == "takes"


@pytest.mark.parametrize(
    ("kind", "variants"),
    [("scatter", ("dates", "colour")), ("flowchart", ("gaps",)), ("page", ()), ("both", ())],
)
def test_every_picture_is_answered_in_our_schema_and_costs_its_tokens(
    server: str, kind: Kind, variants: tuple[Variant, ...]
) -> None:
    with use_settings(vllm_base_url=server):
        context = Context(model=MODEL, rendering=kind, variants=list(variants), count_picture=True)
        found = behavior_lens.run(ASKED, context)
    assert found.errors == []
    assert found.prediction in CANDIDATES
    assert sum(found.odds.values()) == pytest.approx(1)
    # where two texts become one, the two line breaks between them are tokens of this model too
    assert found.tokens.picture == vision_model.PICTURE_TOKENS - 2
    assert found.tokens.text is not None
    assert found.tokens.text > 300


def test_a_text_costs_no_picture(server: str) -> None:
    with use_settings(vllm_base_url=server):
        found = behavior_lens.run(ASKED, Context(model=MODEL, count_picture=True))
    assert (found.sight, found.tokens.picture, found.errors) == (None, 0, [])
    assert found.prediction in CANDIDATES


def test_a_run_with_a_picture_is_replayed_without_the_server(server: str, tmp_path: Path) -> None:
    context = Context(model=MODEL, rendering="scatter")
    with use_settings(vllm_base_url=server), recorded(tmp_path / "seen.jsonl.zst"):
        first = behavior_lens.run(ASKED, context)
    with use_settings(vllm_base_url="http://127.0.0.1:1/v1"), replayed(tmp_path / "seen.jsonl.zst"):
        assert behavior_lens.run(ASKED, context) == first
