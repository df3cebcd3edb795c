"""The language model: SmolLM2-135M from its packaged .gguf, or a folder that transformers saved.

The packaged weights (Q4_1) are dequantised once, through transformers, to safetensors in the cache.
LoRA (Hu et al. 2021, arXiv 2106.09685) by peft on all seven projections of a block, as LLaRA has it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from merchgraph.runtime.embedded import MODELS, packaged_weights
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import settings
from merchgraph.tools.tmf.config import Config

if TYPE_CHECKING:
    from torch import Tensor

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
INSTALL = "pip install 'merchgraph[torch]'"


class Llm(NamedTuple):
    """A causal language model with LoRA.

    Attributes:
        model: of peft; its LoRA starts as nothing.
        tokenizer: of transformers.
    """

    model: Any
    tokenizer: Any

    @property
    def body(self) -> Any:
        """The decoder without its head: embeddings in, hidden states out."""
        return self.model.base_model.model.model

    @property
    def head(self) -> Any:
        """Hidden states to logits."""
        return self.model.base_model.model.lm_head

    @property
    def words(self) -> Any:
        """Token ids to embeddings."""
        return self.model.get_input_embeddings()

    def lora(self) -> dict[str, Tensor]:
        """The adapter's weights, by name."""
        return {name: w for name, w in self.model.named_parameters() if "lora_" in name}


def llm(config: Config) -> Llm:
    """The model that the settings name, with a new adapter.

    Raises:
        SetupError: a package is missing, or there is no such model.
    """
    try:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ModuleNotFoundError as error:
        raise SetupError(
            f"The language model needs the package {error.name!r}, which is not installed: {INSTALL}."
        ) from error
    folder = folder_of(config.llm)
    with _without_bars():
        base = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    adapter = LoraConfig(
        r=config.rank, lora_alpha=config.alpha, lora_dropout=config.dropout,
        target_modules=list(TARGETS), task_type="CAUSAL_LM",
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 by a name that is to go
        warnings.simplefilter("ignore", FutureWarning)
        torch.manual_seed(config.seed)
        model = get_peft_model(base, adapter)
    return Llm(model.to(config.device), tokenizer)


def folder_of(name: str) -> Path:
    """Where a language model lies as safetensors; a packaged one is made at the first call.

    Raises:
        SetupError: neither a packaged model nor such a folder, or the cache cannot be written.
    """
    if name not in MODELS:
        if (Path(name) / "config.json").is_file():
            return Path(name)
        raise SetupError(
            f"The language model {name!r} is neither {', '.join(MODELS)} nor a folder with a "
            f"config.json; save one by save_pretrained of transformers and name its folder."
        )
    source = packaged_weights(name)
    target = settings().cache_dir / "models" / f"{name}-{source.stat().st_size:x}.safetensors"
    if not target.is_dir():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _dequantise(source, target)
        except OSError as error:
            raise SetupError(
                f"The language model cannot be written to {str(target)!r} ({error}); set "
                f"MERCHGRAPH_CACHE to a folder with room for 600 MB."
            ) from error
    return target


def _dequantise(source: Path, target: Path) -> None:
    """Write a .gguf as a folder of transformers; it appears in one step."""
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with _without_bars():
        model = AutoModelForCausalLM.from_pretrained(
            source.parent, gguf_file=source.name, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(
            source.parent, gguf_file=source.name, local_files_only=True
        )
    part = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        # transformers refuses to save what it read from a quantised file
        tied = model.config.tie_word_embeddings
        weights = {name: t.contiguous() for name, t in model.state_dict().items()
                   if not (tied and name == "lm_head.weight")}  # fmt: skip
        save_file(weights, part / "model.safetensors", {"format": "pt"})
        told = {k: v for k, v in model.config.to_dict().items() if k != "quantization_config"}
        told["architectures"] = [type(model).__name__]
        (part / "config.json").write_text(json.dumps(told, indent=2, default=str))
        tokenizer.save_pretrained(part)
        os.replace(part, target)
    except OSError:
        if not target.is_dir():  # another process may have made it meanwhile
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keep transformers from drawing on the terminal while it loads weights."""
    from transformers.utils import logging

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
