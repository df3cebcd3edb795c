"""A vision model that is small enough for any machine: LLaVA's architecture, with weights made up.

    write(folder)      # config, tokenizer and picture processor; `vllm serve FOLDER --load-format dummy`

It knows no language and sees nothing: what it is for is to have a real server take the pictures apart.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = ("Red", "Green", "Blue", "Black")
"""One token each, as in the vocabularies of real models."""
SIDE, PATCH = 112, 14
PICTURE_TOKENS = (SIDE // PATCH) ** 2
CONTEXT = 8192
SPECIAL = ("<pad>", "<s>", "</s>", "<image>")
TEMPLATE = """\
{% for message in messages %}{{ message['role'] }}: \
{% if message['content'] is string %}{{ message['content'] }}\
{% else %}{% for part in message['content'] %}\
{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}\
{% endfor %}{% endif %}</s>{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"""


def write(folder: Path) -> None:
    """Write the model's files but its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    size = _tokenizer(folder)
    _json(folder / "config.json", _config(size))
    pictures = {
        "image_processor_type": "CLIPImageProcessor", "do_resize": True, "do_center_crop": True,
        "do_rescale": True, "do_normalize": True, "do_convert_rgb": True, "resample": 3,
        "rescale_factor": 1 / 255, "size": {"height": SIDE, "width": SIDE},
        "crop_size": {"height": SIDE, "width": SIDE},
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
    }  # fmt: skip
    _json(folder / "preprocessor_config.json", pictures | {"processor_class": "LlavaProcessor"})
    _json(folder / "processor_config.json", {
        "processor_class": "LlavaProcessor", "image_token": "<image>", "patch_size": PATCH,
        "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1,
    })  # fmt: skip
    (folder / "chat_template.jinja").write_text(TEMPLATE)


def _config(vocabulary: int) -> dict[str, Any]:
    # heads of 64: vLLM has no kernel for smaller ones on a processor
    width = {"hidden_size": 128, "intermediate_size": 128, "num_hidden_layers": 2,
             "num_attention_heads": 2}  # fmt: skip
    text = width | {
        "model_type": "llama", "num_key_value_heads": 2, "vocab_size": vocabulary,
        "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-5,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
    }  # fmt: skip
    vision = width | {"model_type": "clip_vision_model", "image_size": SIDE, "patch_size": PATCH,
                      "projection_dim": 64}  # fmt: skip
    return {
        "architectures": ["LlavaForConditionalGeneration"], "model_type": "llava",
        "image_token_index": SPECIAL.index("<image>"), "image_seq_length": PICTURE_TOKENS,
        "vision_feature_layer": -2, "vision_feature_select_strategy": "default",
        "projector_hidden_act": "gelu", "text_config": text, "vision_config": vision,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "torch_dtype": "float32",
    }  # fmt: skip


def _tokenizer(folder: Path) -> int:
    """A token for each byte, and one for each of some words; gives how many there are."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *letters])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<pad>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    made.add_tokens([AddedToken(word, special=False) for word in WORDS])
    made.save(str(folder / "tokenizer.json"))
    pad, begin, end, image = SPECIAL
    _json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": begin, "eos_token": end,
        "pad_token": pad, "model_max_length": CONTEXT, "clean_up_tokenization_spaces": False,
        "image_token": image, "extra_special_tokens": {"image_token": image},
    })  # fmt: skip
    return int(made.get_vocab_size())


def _json(file: Path, told: dict[str, Any]) -> None:
    file.write_text(json.dumps(told, indent=1))
