"""A trained model in a folder: weights, what they were trained with, and a card for people.

    <cache>/models/complement/complete_journey/  model.safetensors  config.json  README.md

    save(folder, {"item_in": w, "items": as_bytes(ids)}, config, card)
    config, tensors = load(folder, Config, "merchgraph train complement")
    ids = as_texts(tensors["items"])

The weights' file carries the config in its metadata and appears in one step, so that a reader never meets
the weights of one training with the settings of another; `config.json` is the same, for people.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from shlex import quote as quoted
from typing import Any, TypeVar
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.runtime.files import put
from merchgraph.runtime.settings import settings
from merchgraph.tools.data.shops import BUILT_IN

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
Tensors = Mapping[str, NDArray[Any]]
Config = TypeVar("Config", bound=BaseModel)
Progress = Callable[[int, int, str], None]
"""Told (done, total, what goes on) by a training."""


def quiet(done: int, total: int, told: str) -> None:
    """Nobody listens."""


def home(tool: str, shop: str, before: datetime | None = None) -> Path:
    """Where a tool's model of a shop is kept unless a folder is named: in the cache.

    Args:
        tool: its name.
        shop: the shop's name.
        before: what the log was cut at, for a model that is to know no more; None is the whole log.
    """
    name = shop if before is None else f"{shop}@{before.isoformat()}"
    return settings().cache_dir / "models" / tool / quote(name, safe=" @")


def command(tool: str, shop: str, before: datetime | None = None) -> str:
    """What makes the model of `home`."""
    end = "" if before is None else f" --before {before.isoformat()}"
    data = shop if shop in BUILT_IN else f"the mapping file of {shop}"
    return f"merchgraph train {tool} --data {quoted(data)}{end}"


def save(folder: Path, tensors: Tensors, config: BaseModel, card: str) -> None:
    """Keep a model; an old one in the folder is replaced.

    Args:
        folder: made if it is not there.
        tensors: by name; texts by `as_bytes`.
        config: what the model was trained with.
        card: Markdown for people: data, figures, limits, source.

    Raises:
        SetupError: the folder cannot be written.
    """
    from safetensors.numpy import save as packed

    told = config.model_dump_json()
    whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        put(folder / CARD, card.encode())
        put(folder / CONFIG, json.dumps(json.loads(told), indent=2).encode())
        put(folder / WEIGHTS, packed(whole, {"config": told}))
    except OSError as error:
        raise SetupError(
            f"The model cannot be written to {str(folder)!r} ({error}); name a folder that can be "
            f"written to, with room for it."
        ) from error


def load(folder: Path, kind: type[Config], command: str) -> tuple[Config, dict[str, NDArray[Any]]]:
    """What `save` kept.

    Args:
        folder: of the model.
        kind: class of its config.
        command: what makes the model; said where there is none.

    Raises:
        SetupError: no model is there.
        DataError: the file is damaged, or was written by a version with other settings.
    """
    from safetensors import SafetensorError, safe_open

    file = folder / WEIGHTS
    try:
        with safe_open(file, framework="numpy") as opened:
            told = (opened.metadata() or {}).get("config", "")
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (FileNotFoundError, NotADirectoryError):
        raise SetupError(f"There is no model at {str(file)!r}; make it: {command}") from None
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"The model {str(file)!r} cannot be read ({error}); make it anew: {command}"
        ) from error
    try:
        return kind.model_validate_json(told), tensors
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "its config"
        raise DataError(
            f"The model {str(file)!r} was trained with other settings than this version has "
            f"({where}: {first['msg']}); make it anew: {command}"
        ) from error


def sizes_of(tensors: Tensors, form: Mapping[str, str]) -> dict[str, int]:
    """Check that tensors have the form that a tool expects.

    Args:
        tensors: by name.
        form: name -> sizes, a letter each, and a kind: "IP:f", "I:i" or ":u"; the same letter is the same
            size everywhere. f are finite floats, i whole numbers of 0 or more, u the bytes of texts.

    Returns:
        the sizes by letter.

    Raises:
        ValueError: what is missing or does not fit.
    """
    sizes: dict[str, int] = {}
    for name, told in form.items():
        letters, _, kind = told.partition(":")
        if name not in tensors:
            raise ValueError(f"there is no tensor {name!r}")
        tensor = tensors[name]
        if tensor.dtype.kind not in {"i": "iu"}.get(kind, kind) or tensor.ndim != len(
            letters or "n"
        ):
            raise ValueError(f"{name!r} has the shape {tensor.shape} and the type {tensor.dtype}")
        for letter, size in zip(letters, tensor.shape, strict=False):
            if sizes.setdefault(letter, size) != size:
                raise ValueError(
                    f"{name!r} has the shape {tensor.shape}, where {sizes} are expected"
                )
        if not (np.isfinite(tensor).all() if kind == "f" else (tensor >= 0).all()):
            raise ValueError(f"{name!r} holds a number that cannot be")
    return sizes


@contextmanager
def fitting(folder: Path, command: str) -> Iterator[None]:
    """Tensors that do not fit together, met while a tool is made of them, as a damaged model.

    That something else is missing, a package or another file, is said as it is.

    Raises:
        DataError: they do not; the message names the command that makes the model anew.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, SetupError) as error:
        if isinstance(error, DataError) or isinstance(error.__cause__, (ImportError, OSError)):
            raise
        told = " ".join(str(error).split())  # torch says it in several lines
        raise DataError(
            f"The model in {str(folder)!r} does not fit together ({told}); make it anew: {command}"
        ) from error


def as_bytes(texts: Sequence[str]) -> NDArray[np.uint8]:
    """Texts as a tensor, (N bytes,); each may hold anything."""
    return np.frombuffer(json.dumps(list(texts)).encode(), dtype=np.uint8)


def as_texts(tensor: NDArray[np.uint8]) -> list[str]:
    """What `as_bytes` was given.

    Raises:
        ValueError: the tensor holds something else.
    """
    texts: list[str] = json.loads(tensor.tobytes())
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("what should be texts is something else")
    return texts
