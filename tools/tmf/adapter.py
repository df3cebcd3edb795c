"""The trained adapter by itself, for engines that serve the language model.

    adapter/adapter_model.safetensors   as peft has it: vllm serve MODEL --enable-lora --lora-modules ...
    adapter/adapter.gguf                as llama.cpp has it: chat_model("embedded/smollm2-135m+FOLDER")

An engine knows no item vectors: there the model is the one of text alone. llama.cpp stores the rows of
query and key weights in another order for its rotary positions, so those of B are put into it. It
refuses an adapter of other shapes; the name of the language model tells apart those of the same ones.
"""

from __future__ import annotations

import re
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.embedded_adapter import BASE_NAME, FILE
from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.llm import Llm

NAMES = {
    "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output",
    "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down",
}  # fmt: skip
PLACE = re.compile(r"layers\.(\d+)\..*?(\w+_proj)\.lora_([AB])\.")


def write(llm: Llm, folder: Path, config: Config) -> None:
    """Both forms; the second one for Llama models where the package gguf is installed."""
    llm.model.save_pretrained(folder)
    base = llm.model.config
    if base.model_type == "llama" and find_spec("gguf"):
        heads = base.num_attention_heads, base.num_key_value_heads
        _write_gguf(folder / FILE, tensors(llm, *heads), config)


def tensors(llm: Llm, heads: int, key_heads: int) -> dict[str, NDArray[np.float32]]:
    """The adapter's matrices by llama.cpp's names: A (r, in), B (out, r)."""
    found = {}
    for name, weight in llm.lora().items():
        place = PLACE.search(name)
        assert place is not None, name
        layer, projection, letter = place.groups()
        matrix = weight.detach().cpu().float().numpy()
        if letter == "B" and projection in ("q_proj", "k_proj"):
            matrix = paired(matrix, heads if projection == "q_proj" else key_heads)
        found[f"blk.{layer}.{NAMES[projection]}.weight.lora_{letter.lower()}"] = matrix
    return found


def paired(matrix: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """(out, r) — rows of each head's first and second half in turn."""
    out, rank = matrix.shape
    halves = matrix.reshape(heads, 2, out // heads // 2, rank)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(out, rank))


def _write_gguf(file: Path, matrices: dict[str, NDArray[np.float32]], config: Config) -> None:
    from gguf import GGUFWriter

    writer: Any = GGUFWriter(file, "llama")
    with closing(writer):
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", float(config.alpha))
        writer.add_string(BASE_NAME, Path(config.llm).name)
        for name, matrix in matrices.items():
            writer.add_tensor(name, matrix)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
