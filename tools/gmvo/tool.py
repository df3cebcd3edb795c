"""Similar items: what a shopper may take in place of an item, by relevance and value.

    similar = Similar.load(home("gmvo", "complete_journey"))
    similar.similar("1082185", k=8).items          # microseconds; candidates share the item's type
    similar.recommend([past], k=8)                 # for a basket: chances of its items added up

A score is a chance: the share of the candidate among all that is bought in place of the item, weighted by
value as far as the model was trained for it. Answering needs no torch. Sizes: C items of the catalogue,
U pasts, I goods, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools import checkpoint
from merchgraph.tools.contract import Past, Ranking, Recommender, Scores
from merchgraph.tools.data.tables import Events, Items
from merchgraph.tools.gmvo.config import Config
from merchgraph.tools.gmvo.learn import NOTHING, Lists, history, learn, lists

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

COMMAND = "merchgraph train gmvo"
LATEST = 50
"""Of a shopper without a session, how many of the latest long-term items count."""


class Similar(Recommender):
    """Chances of similar items; items that are no goods have none.

    Args:
        config: settings of `fit`.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()

    @classmethod
    def from_lists(cls, items: Items, found: Lists, config: Config) -> Self:
        """The model with these lists."""
        return cls(config)._with(tuple(items.frame["item"]), found)

    @classmethod
    def load(cls, folder: Path, command: str = COMMAND) -> Self:
        """The model that `train` kept.

        Raises:
            SetupError: no model is there.
            DataError: the file is damaged.
        """
        config, tensors = checkpoint.load(folder, Config, command)
        with checkpoint.fitting(folder, command):
            form = {
                "items": ":u",
                "column": "G:i",
                "starts": "S:i",
                "target": "P:i",
                "chance": "P:f",
            }
            checkpoint.sizes_of(tensors, form)
            found = Lists(*(tensors[name] for name in Lists._fields))
            items = tuple(checkpoint.as_texts(tensors["items"]))
            found.check(len(items))
            return cls(config)._with(items, found)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What `load` reads."""
        items = {"items": checkpoint.as_bytes(self.items)}
        return items | self._lists._asdict()

    def fit(self, items: Items, events: Events) -> Self:
        """Learn from a log; with nothing to learn from, first weights rank.

        Raises:
            SetupError: torch, torch_geometric or SciPy is not installed.
        """
        told, ids = history(items, events, self.config), tuple(items.frame["item"])
        if not told.goods.items:
            return self._with(ids, NOTHING)
        now, scores, _ = learn(told, self.config)
        return self._with(ids, lists(now, scores, items))

    def similar(self, item: str, k: int = 8) -> Ranking:
        """The k best in place of an item, and their chances; fewer if the type has fewer.

        Raises:
            SetupError: k is below 1, an item that the catalogue lacks, or nothing was fitted.
        """
        if k < 1:
            raise SetupError(f"k is {k}, but at least 1 item must be asked for.")
        (column,) = self.columns_of([item])
        start, end = self._range(column)
        chances, targets = self._lists.chance[start:end], self._lists.target[start:end]
        best = np.argsort(-chances, kind="stable")[:k]
        return Ranking([self.items[n] for n in targets[best]], chances[best].tolist())

    def scores(self, pasts: Sequence[Past]) -> Scores:
        """(U, C) float64 — sums of chances over the distinct items of the session, else the latest 50."""
        table = np.zeros((len(pasts), len(self.column)))
        for row, past in zip(table, pasts, strict=True):
            asked = past.session or past.long_term[-LATEST:]
            for item in dict.fromkeys(item for item in asked if item in self.column):
                start, end = self._range(self.column[item])
                row[self._lists.target[start:end]] += self._lists.chance[start:end]
        return table

    def as_tool(self) -> BaseTool:
        """A LangChain tool: an item in, what may be taken in its place out, best first."""
        from langchain_core.tools import StructuredTool

        def similar_items(item: str, k: int = 8) -> list[str]:
            """Items of the same type that shoppers take in place of an item, best first.

            Args:
                item: item id.
                k: how many to return.
            """
            return self.similar(item, k).items

        return StructuredTool.from_function(similar_items, parse_docstring=True)

    def _with(self, items: tuple[str, ...], found: Lists) -> Self:
        self.items, self._lists = items, found
        self._good = np.full(len(items), -1)
        self._good[found.column] = np.arange(len(found.column))
        return self

    def _range(self, column: int) -> tuple[int, int]:
        """Where the list of a catalogue's item begins and ends."""
        good = int(self._good[column])
        if good < 0:
            return 0, 0
        return int(self._lists.starts[good]), int(self._lists.starts[good + 1])
