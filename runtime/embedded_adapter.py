"""A LoRA adapter on an embedded model: `embedded/smollm2-135m+PATH`.

    named("smollm2-135m+out")       # ("smollm2-135m", Path("out/adapter/adapter.gguf"))

PATH is a .gguf in llama.cpp's form of an adapter, or a folder with an `adapter.gguf` in it or in its
folder `adapter`, such as one that `merchgraph train tmf` made. The engine refuses matrices of other
shapes; a model of the same shapes is told apart by the name that the adapter carries, if it has one.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from merchgraph.runtime.errors import SetupError

FILE = "adapter.gguf"
INSIDE = ("", FILE, f"adapter/{FILE}")
"""Where an adapter may lie, from what was named."""
BASE_NAME = "general.base_model.0.name"
MAKE = "`merchgraph train tmf --out FOLDER` makes one, to be named 'embedded/{base}+FOLDER'"


class Named(NamedTuple):
    """What a name tells: the packaged model, and an adapter's file or None."""

    base: str
    adapter: Path | None


def named(name: str) -> Named:
    """The parts of a name.

    Raises:
        SetupError: there is no such adapter.
    """
    base, plus, where = name.partition("+")
    if not plus:
        return Named(base, None)
    for inside in INSIDE:
        file = Path(where).expanduser() / inside
        if where and file.is_file():
            return Named(base, file)
    raise SetupError(
        f"The model 'embedded/{name}' has no adapter: {where!r} is neither a .gguf nor a folder with "
        f"an {FILE}; {MAKE.format(base=base)}."
    )


def check(found: Named) -> None:
    """Whether the file is an adapter, and of this model as far as it tells.

    Raises:
        SetupError: it is not, or the package gguf is not installed.
    """
    if found.adapter is None:
        return
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise SetupError(missing("gguf")) from error
    remedy = MAKE.format(base=found.base)
    try:
        fields = GGUFReader(found.adapter).fields
        kind = fields["adapter.type"].contents() if "adapter.type" in fields else None
        base = fields[BASE_NAME].contents() if BASE_NAME in fields else found.base
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise SetupError(
            f"The adapter {str(found.adapter)!r} cannot be read ({error}); {remedy}."
        ) from error
    if kind != "lora":
        raise SetupError(f"The file {str(found.adapter)!r} is no LoRA adapter; {remedy}.")
    if base != found.base:
        raise SetupError(
            f"The adapter {str(found.adapter)!r} belongs to the model {base!r}, not to "
            f"{found.base!r}; {remedy}."
        )


def refused(found: Named) -> str:
    """What is told where the engine does not start with an adapter."""
    return (
        f"The engine does not take the adapter {str(found.adapter)!r} on {found.base!r}: its matrices "
        f"are those of another model, or the file is damaged; {MAKE.format(base=found.base)}."
    )


def missing(package: str) -> str:
    """What is told where a package of the engine is not installed."""
    return (
        f"The embedded engine needs the package {package}, which is not installed; "
        "run `pip install 'merchgraph[local]'`, or choose a model of a server, such as 'vllm/NAME'."
    )
