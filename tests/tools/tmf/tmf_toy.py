"""A language model of some thousand weights, vectors of texts by their words, and a shop with habits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from merchgraph.tools.tmf.config import Config

WIDTH = 8


def tiny_llm(folder: Path) -> Path:
    """A Llama of two layers with a token per byte, in a folder as transformers saves it."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: n for n, letter in enumerate([*letters, "<end>"])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    made: Any = PreTrainedTokenizerFast
    made(tokenizer_object=raw, eos_token="<end>").save_pretrained(folder)
    shape = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=len(vocabulary) - 1, pad_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(shape).save_pretrained(folder)
    return folder


def quick(llm: Path, **changes: object) -> Config:
    """Settings that train in a second."""
    usual: dict[str, object] = {
        "llm": str(llm), "least": 1, "weeks": 4, "history": 3, "slate": 4, "positives": 2,
        "words": 3, "width": 8, "heads": 2, "graph_width": 4, "graph_steps": 3, "rank": 2,
        "fuse_steps": 2, "warm_steps": 2, "align_steps": 1, "joint_steps": 2, "batch": 2,
    }  # fmt: skip
    return Config.model_validate(usual | changes)


class Words:
    """In place of the embedder: a vector per text, alike where words are."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, 8) float32."""
        rows = np.zeros((len(texts), WIDTH), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[sum(word.encode()) % WIDTH] += 1
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.maximum(lengths, 1e-9), np.float32)
