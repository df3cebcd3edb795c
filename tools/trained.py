"""What trained tools know of items for one shopper; a model is read when it is first asked for.

    trained("complement", shop("complete_journey")).recommend([Past(long_term, session)], k=10)
    signals(store, Past(long_term, session), ["jam", "tea"], ["complement"])["complement"]  # [1.2, 0.1]

Models lie where `merchgraph train` puts them (`checkpoint.home`): one of the whole log, and one for each
time that a log was cut at. A model of the whole log is never asked about an earlier time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.checkpoint import WEIGHTS, command, home
from merchgraph.tools.contract import Past, Recommender
from merchgraph.tools.data.tables import Shop

ToolName = Literal["complement", "gmvo", "grace", "tmf"]
CLASSES: dict[ToolName, str] = {
    "complement": "Complement",
    "gmvo": "Similar",
    "grace": "Generator",
    "tmf": "Tmf",
}
"""Tool -> its class in `merchgraph.tools.TOOL.tool`."""


@runtime_checkable
class ReadsSlates(Protocol):
    """A model that reads a slate as a whole, and has no table of all items worth asking."""

    def slate(self, past: Past, items: Sequence[str]) -> list[float]:
        """One number per item, larger is better; of an unknown item the least."""
        ...


def trained(tool: ToolName, store: Shop, before: datetime | None = None) -> Recommender:
    """A tool's model of a shop; read once a process.

    Args:
        tool: its name.
        store: the shop.
        before: what the model's log was cut at; None is a model of the whole log.

    Raises:
        SetupError: there is no such model; the message has the command that makes it.
    """
    folder = home(tool, store.name, before)
    if not (folder / WEIGHTS).is_file():
        raise SetupError(
            f"The tool {tool!r} has no model of {store.name} in {str(folder)!r}; "
            f"make it: {command(tool, store.name, before)}"
        )
    return _read(tool, folder)


def signals(
    store: Shop,
    past: Past,
    items: Sequence[str],
    tools: Sequence[ToolName],
    before: datetime | None = None,
) -> dict[str, list[float]]:
    """One number per item and tool, larger is better; of an item that a model does not know, its least.

    Keys:
        complement: log odds that it goes into the basket; see `Complement`.
        gmvo: chances that it is taken in place of what the shopper bought, added up; see `Similar`.
        grace: log probability that it comes next; see `Generator`.
        tmf: log-likelihood by a language model and score of its item vectors, added up; see `Tmf`.

    Raises:
        SetupError: as `trained`.
    """
    found: dict[str, list[float]] = {}
    for tool in tools:
        model = trained(tool, store, before)
        if isinstance(model, ReadsSlates):
            values = model.slate(past, items)
        else:
            row, column = model.scores([asked(tool, past)])[0], model.column
            least = float(row.min())
            values = [float(row[column[item]]) if item in column else least for item in items]
        found[tool] = np.round(values, 6).tolist()  # so that float noise makes no order
    return found


def asked(tool: ToolName, past: Past) -> Past:
    """The past as a tool takes it: what replaces an item is asked of all that was bought."""
    if tool == "gmvo":
        return Past(long_term=[*past.long_term, *past.session])
    return past


@lru_cache(maxsize=8)
def _read(tool: ToolName, folder: Path) -> Recommender:
    module = import_module(f"merchgraph.tools.{tool}.tool")
    model: Recommender = getattr(module, CLASSES[tool]).load(folder)
    return model
