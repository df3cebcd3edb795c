"""A CLIP model with random weights, as sentence-transformers saves one: 40 kB, spells words by letter."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any


def save_clip(folder: Path) -> Path:
    """Write the model; gives its folder."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    letters = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    words = [*letters, "<|startoftext|>", "<|endoftext|>"]
    raw, made = folder / "raw", folder / "clip"
    raw.mkdir(parents=True)
    (raw / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(words)}))
    (raw / "merges.txt").write_text("#version: 0.2\n")
    layers: dict[str, Any] = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "projection_dim": 12,
    }  # fmt: skip
    text = {
        "vocab_size": len(words),
        "bos_token_id": len(words) - 2,
        "eos_token_id": len(words) - 1,
    }
    vision = {"image_size": 16, "patch_size": 8}
    config = CLIPConfig(
        text_config={**layers, **text}, vision_config={**layers, **vision}, projection_dim=12
    )
    CLIPModel(config).save_pretrained(raw)
    size = {"height": 16, "width": 16}
    images = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=size)
    tokens = CLIPTokenizer(vocab=str(raw / "vocab.json"), merges=str(raw / "merges.txt"))
    processor: Any = CLIPProcessor
    processor(image_processor=images, tokenizer=tokens).save_pretrained(raw)
    SentenceTransformer(modules=[Transformer(str(raw))]).save(str(made))
    return made
