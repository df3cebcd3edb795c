"""One real vLLM for all tests of a session, started as `merchgraph serve` starts it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from merchgraph.runtime.vllm import Serve, started

PROGRAM = os.environ.get("MERCHGRAPH_LIVE_VLLM", "")
MODEL = Path(os.environ.get("MERCHGRAPH_LIVE_MODEL", ""))
NAME, TUNED = "smollm2-135m", "tuned"
CONTEXT = 4096
"""Tokens of the served window."""
PATIENCE_S = 400.0


class Live(NamedTuple):
    """A running server."""

    url: str
    log: list[str]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def served(adapter: Path, port: int) -> Serve:
    """SmolLM2 and an adapter of it, on a CPU."""
    more = ["--served-model-name", NAME, "--dtype", "bfloat16", "--max-model-len", str(CONTEXT),
            "--enforce-eager", "--enable-force-include-usage"]  # fmt: skip
    return Serve(str(MODEL), {TUNED: adapter}, port=port, more=more, program=PROGRAM,
                 patience_s=PATIENCE_S)  # fmt: skip


def adapter_into(folder: Path) -> Path:
    """A LoRA adapter of SmolLM2 with made-up weights, as peft saves it, in a folder."""
    from safetensors.numpy import save_file

    rank, rng = 8, np.random.default_rng(0)
    config = json.loads((MODEL / "config.json").read_text())
    width, tensors = config["hidden_size"], {}
    for layer in range(config["num_hidden_layers"]):
        place = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        for part, shape in (("lora_A", (rank, width)), ("lora_B", (width, rank))):
            made = rng.normal(scale=0.1, size=shape).astype(np.float32)
            tensors[f"{place}.{part}.weight"] = made
    save_file(tensors, folder / "adapter_model.safetensors")
    told = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 16, "bias": "none",
            "target_modules": ["q_proj"], "base_model_name_or_path": str(MODEL)}  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(told))
    return folder


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adapter of the session."""
    return adapter_into(tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="session")
def live(adapter: Path) -> Iterator[Live]:
    """The server; its environment variables keep it offline and small."""
    with pytest.MonkeyPatch.context() as patching:
        for name, value in (("HF_HUB_OFFLINE", "1"), ("VLLM_CPU_KVCACHE_SPACE", "1")):
            patching.setenv(name, os.environ.get(name, value))
        said: list[str] = []
        serve = served(adapter, free_port())
        with started(serve, said.append):
            yield Live(serve.base_url, said)
