from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from merchgraph.runtime.embedded_adapter import BASE_NAME, FILE
from merchgraph.tools.tmf import adapter
from merchgraph.tools.tmf.llm import TARGETS, Llm
from merchgraph.tools.tmf.llm import llm as read_llm
from tests.tools.tmf.tmf_toy import quick


def test_an_adapter_is_written_for_both_engines(llm: Path, tmp_path: Path) -> None:
    from gguf import GGUFReader

    config = quick(llm)
    model = made(llm)
    adapter.write(model, tmp_path, config)
    assert (tmp_path / "adapter_model.safetensors").is_file()
    read = GGUFReader(tmp_path / FILE)
    assert read.fields["adapter.lora.alpha"].contents() == config.alpha
    assert read.fields["adapter.type"].contents() == "lora"
    assert read.fields[BASE_NAME].contents() == llm.name
    matrices = {tensor.name: tensor.data for tensor in read.tensors}
    assert len(matrices) == 2 * len(TARGETS) * 2  # A and B of two layers
    own = model.lora()
    (down,) = [w for n, w in own.items() if "layers.1.mlp.down_proj.lora_A" in n]
    np.testing.assert_array_equal(matrices["blk.1.ffn_down.weight.lora_a"], down.detach().numpy())
    (query,) = [w for n, w in own.items() if "layers.0.self_attn.q_proj.lora_B" in n]
    told = matrices["blk.0.attn_q.weight.lora_b"]
    # two heads of 16 rows: row 0, row 8, row 1, row 9 ...
    order = [head * 16 + half * 8 + n for head in range(2) for n in range(8) for half in range(2)]
    np.testing.assert_array_equal(told, query.detach().numpy()[order])


def made(folder: Path) -> Llm:
    model = read_llm(quick(folder))
    for weight in model.lora().values():
        torch.nn.init.normal_(weight)
    return model
