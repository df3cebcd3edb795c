"""The graphs by name: what Studio shows, and what a trace may ask to be run again."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

from merchgraph.runtime.errors import SetupError


class Entry(NamedTuple):
    """A graph's module, which has `graph`, `Request`, `Context` and `arun`, and one line about it."""

    module: str
    about: str


GRAPHS = {
    "arag": Entry(
        "merchgraph.graphs.arag",
        "Rank items for one shopper: retrieve, understand, judge, summarise, rank",
    ),
    "carts": Entry(
        "merchgraph.graphs.carts",
        "Title a module of items: extract, plan, draft, refine, arbitrate",
    ),
    "copywriting": Entry(
        "merchgraph.graphs.copywriting",
        "Write banner copy for a campaign: write, check, revise, select",
    ),
    "hyper": Entry(
        "merchgraph.graphs.hyper",
        "Write the click model of a new ad: retrieve, read, write, validate, normalise, calibrate",
    ),
    "behavior_lens": Entry(
        "merchgraph.graphs.behavior_lens",
        "Foresee a shopper's next purchase from a text or a picture: read, show, predict, weigh",
    ),
    "voice_repair": Entry(
        "merchgraph.graphs.voice_repair",
        "See when a voice assistant erred, and repair it: observe, estimate, decide, choose, write, say",
    ),
}


def module(name: str) -> Any:
    """The module of a graph.

    Raises:
        SetupError: there is no graph of that name.
    """
    if name not in GRAPHS:
        raise SetupError(f"There is no graph {name!r}; there is {', '.join(GRAPHS)}.")
    return import_module(GRAPHS[name].module)
