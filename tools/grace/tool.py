"""What a shopper takes next, told token by token: GRACE as a recommender.

    generator = Generator.load(home("grace", "complete_journey"))
    generator.next_items([Journey(["milk", "jam"]), Journey(["tea"])], k=10).items
    generator.next_items(journeys, behaviour="discount")      # given what it is bought by
    generator.recommend([past], k=10)                         # for shoppers told by items alone
    generator.slate(past, ["milk", "tea"])                    # one log probability each

A score is a log probability; of a slate it is exact. The search finds the best of the catalogue, and so
the most likely of a shopper's own items; all others are put below them by popularity. A past without
visits is cut into journeys of the usual size. Sizes: C items of the catalogue, U pasts.
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
from merchgraph.tools.grace.config import Config
from merchgraph.tools.grace.data import History, Journey, past
from merchgraph.tools.grace.learn import Learned, learn, prepare
from merchgraph.tools.grace.samples import Batch, collate

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from merchgraph.tools.grace.answer import Answer

COMMAND = "merchgraph train grace"
WIDTH = 10
"""Beams of a behaviour for a list of ten; longer lists take as many as they have places."""
WIDE = 32
"""Beams of a behaviour for the scores of a catalogue."""
BELOW = 2.0
"""How far below the last found item the others begin, in nats."""


class Generator(Recommender):
    """Log probabilities of what comes next.

    Args:
        config: settings of `fit`.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self._learned: Learned | None = None

    @classmethod
    def from_learned(cls, items: tuple[str, ...], learned: Learned | None, config: Config) -> Self:
        """The recommender of a catalogue with this model; None has learned nothing."""
        made = cls(config)
        made.items, made._learned = items, learned
        return made

    @classmethod
    def load(cls, folder: Path, command: str = COMMAND) -> Self:
        """The model that `train` kept.

        Raises:
            SetupError: no model is there, or torch is not installed.
            DataError: the file is damaged, or of another version.
        """
        config, tensors = checkpoint.load(folder, Config, command)
        with checkpoint.fitting(folder, command):
            items = tuple(checkpoint.as_texts(tensors["catalogue"]))
            return cls.from_learned(items, Learned.of(tensors, config), config)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What `load` reads.

        Raises:
            SetupError: nothing was learned.
        """
        return {"catalogue": checkpoint.as_bytes(self.items)} | self._model().tensors()

    def fit(self, items: Items, events: Events) -> Self:
        """Learn from a log; items of fewer events than `least` cannot be told.

        Raises:
            SetupError: torch, or the model of texts, is not installed.
        """
        told = prepare(items, events, self.config)
        self.items, self._learned = tuple(items.frame["item"]), None
        if told.log.goods.items:
            self._learned = learn(told, self.config)[0]
        return self

    @property
    def behaviours(self) -> tuple[str, ...]:
        """What can be asked for as a behaviour.

        Raises:
            SetupError: nothing was learned.
        """
        goods = self._model().goods
        return goods.behaviours[: goods.predicted]

    def next_items(
        self,
        journeys: Sequence[Journey],
        k: int = 10,
        *,
        behaviour: str | None = None,
        fresh: bool = False,
    ) -> Ranking:
        """The k most likely items of the next visit, fewer if fewer are found, and log probabilities.

        Args:
            journeys: visits so far, oldest first.
            k: how many.
            behaviour: what they are bought by; None adds up all.
            fresh: leave out what stands in the visits.

        Raises:
            SetupError: k is below 1, a behaviour that cannot be asked for, or nothing was learned.
        """
        if k < 1:
            raise SetupError(f"k is {k}, but at least 1 item must be asked for.")
        known = self._model().goods
        if behaviour is not None and behaviour not in self.behaviours:
            raise SetupError(
                f"The behaviour {behaviour!r} cannot be asked for; there are "
                f"{', '.join(self.behaviours)}."
            )
        code = None if behaviour is None else known.behaviours.index(behaviour)
        told = past(known, journeys)
        had = set(told.item.tolist()) if fresh else set()
        # some of the beams name what was had
        answers = self._found(told, max(k, WIDE if fresh else WIDTH), code, fresh)
        found = [one for one in answers if one.item not in had][:k]
        return Ranking([known.items[one.item] for one in found], [one.score for one in found])

    def scores(self, pasts: Sequence[Past]) -> Scores:
        """(U, C) float64 — log probabilities of what the search found, less elsewhere."""
        table = np.zeros((len(pasts), len(self.column)))
        if self._learned is None:
            return table
        goods = self._learned.goods
        share = np.zeros(len(self.items))
        share[goods.column] = (1 + goods.counts) / (2 + goods.counts.max())
        for row, one in zip(table, pasts, strict=True):
            found = self._found(self._told(one), WIDE, None)
            least = min((answer.score for answer in found), default=0.0)
            row[:] = least - BELOW + share
            row[goods.column[[answer.item for answer in found]]] = [a.score for a in found]
        return table

    def slate(self, past: Past, items: Sequence[str]) -> list[float]:
        """Log probabilities that these items come next; of one that cannot be told, the least."""
        if self._learned is None or not items:
            return [0.0] * len(items)
        import torch

        from merchgraph.tools.grace.answer import told

        goods = self._learned.goods
        code = {item: n for n, item in enumerate(goods.items)}
        known = [item for item in items if item in code]
        if not known:
            return [0.0] * len(items)
        asked = torch.tensor([[code[item] for item in known]])
        found = told(self._learned.model, self._batch(self._told(past)), asked)[0].tolist()
        of = dict(zip(known, found, strict=True))
        return [of.get(item, min(found)) for item in items]

    def as_tool(self) -> BaseTool:
        """A LangChain tool: visits in, what comes next out, best first."""
        from langchain_core.tools import StructuredTool

        def next_items(visits: list[list[str]], k: int = 10) -> list[str]:
            """Items that a shopper is likely to take at the next visit, best first.

            Args:
                visits: item ids of each visit so far, oldest first.
                k: how many to return.
            """
            return self.next_items([Journey(visit) for visit in visits], k).items

        return StructuredTool.from_function(next_items, parse_docstring=True)

    def _found(
        self, told: History, width: int, behaviour: int | None, fresh: bool = False
    ) -> list[Answer]:
        from merchgraph.tools.grace.answer import Ask, anyhow, listed

        return anyhow(
            listed(self._model().model, self._batch(told), Ask(width, behaviour, fresh))[0]
        )

    def _batch(self, told: History) -> Batch:
        """One at a time and in one order: the same question has the same answer, to the bit."""
        return collate([told], self._model().goods, self.config, np.random.default_rng(0))

    def _told(self, one: Past) -> History:
        """A past without visits, cut into some of the usual size."""
        goods = self._model().goods
        size = max(1, round(goods.size))
        starts = range(0, len(one.long_term), size)
        visits = [Journey(one.long_term[start : start + size]) for start in starts]
        return past(goods, [*visits, *([Journey(one.session)] if one.session else [])])

    def _model(self) -> Learned:
        if self._learned is None:
            _ = self.column  # says that nothing was fitted, if that is so
            raise SetupError(
                f"{type(self).__name__} has learned nothing: no item has {self.config.least} events; "
                f"give a longer log, or a lower least."
            )
        return self._learned
