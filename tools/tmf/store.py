"""A trained model as named arrays, and back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from merchgraph.tools.checkpoint import as_bytes, as_texts
from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.data import Ints
from merchgraph.tools.tmf.goods import Goods
from merchgraph.tools.tmf.graph import Relations
from merchgraph.tools.tmf.items import Known
from merchgraph.tools.tmf.llm import llm
from merchgraph.tools.tmf.network import Network
from merchgraph.tools.tmf.pictures import Pictures

Arrays = dict[str, NDArray[Any]]
OWN = "own/"


class Parts(NamedTuple):
    """What a trained tool is made of.

    Attributes:
        items: of the catalogue.
        kept: the goods among them.
        behaviours: their names.
        usual: (goods,) the behaviour that each item is met with most often.
        known: vectors of the goods; None for text alone.
        network: what was trained.
    """

    items: tuple[str, ...]
    kept: Goods
    behaviours: tuple[str, ...]
    usual: Ints
    known: Known | None
    network: Network


def here(config: Config) -> Config:
    """The settings on this machine: what was trained on a GPU answers on a CPU where there is none, in
    float32, since bfloat16 is slow on most of them."""
    if config.device == "cuda" and not torch.cuda.is_available():
        return config.model_copy(update={"device": "cpu", "precision": "float32"})
    return config


def packed(model: Parts) -> Arrays:
    """Everything but the language model."""
    kept = model.kept
    found: Arrays = {
        "items": as_bytes(model.items), "goods": as_bytes(kept.items),
        "labels": as_bytes(kept.labels), "behaviours": as_bytes(model.behaviours),
        "counts": kept.counts, "usual": model.usual,
    }  # fmt: skip
    for name, tensor in model.network.own().items():
        found[OWN + name] = tensor.detach().cpu().numpy()
    if model.known is not None:
        known, graph = model.known, model.known.relations
        found |= {
            "text": known.text.astype(np.float16), "graph": graph.vectors,
            "degrees": graph.degrees, "scale": graph.scale,
            "pictures": known.pictures.vectors, "picture_of": known.pictures.of,
        }  # fmt: skip
    return found


def unpacked(arrays: Arrays, config: Config) -> Parts:
    """What was packed."""
    labels, items = as_texts(arrays["labels"]), as_texts(arrays["goods"])
    none, zeros = ("",) * len(items), np.zeros(len(items), np.int64)
    kept = Goods(
        items=tuple(items), labels=tuple(labels), texts=none, types=none, images=none,
        groups=zeros, departments=zeros, price=zeros.astype(np.float64), counts=arrays["counts"],
    )  # fmt: skip
    known = _known(arrays, config)
    network = Network(llm(config), known.widths if known else None, config)
    network.restore(
        {name.removeprefix(OWN): torch.from_numpy(array.copy())
         for name, array in arrays.items() if name.startswith(OWN)}
    )  # fmt: skip
    behaviours = tuple(as_texts(arrays["behaviours"]))
    items_of = tuple(as_texts(arrays["items"]))
    return Parts(items_of, kept, behaviours, arrays["usual"], known, network)


def _known(arrays: Arrays, config: Config) -> Known | None:
    if "graph" not in arrays:
        return None
    graph = Relations(arrays["graph"], arrays["degrees"], arrays["scale"])
    if len(graph.scale) != 2 * len(graph.vectors) + 2:
        raise ValueError(f"'scale' has {len(graph.scale)} numbers")
    pictures = Pictures(arrays["pictures"], arrays["picture_of"], ())
    text = arrays["text"].astype(np.float32)
    return Known(text, graph, graph.table, pictures, config.history)
