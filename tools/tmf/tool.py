"""Rank a slate by a language model that sees text, graph and image.

    model = Tmf.load(home("tmf", "complete_journey"))
    model.rank(Past(long_term, session), ["1082185", "995242"])     # a slate, best first; in a second
    model.recommend([past], k=20)                                  # its own shortlist, then as `rank`

A score of `rank` is the mean log-likelihood of an item's label as the answer and, where the model sees
vectors, the fusion's own score plus that likelihood times a weight (`trust.py`); where the weight is 0
the language model is not asked, and a slate takes milliseconds. `scores` has a table of all items, as
every recommender here: below 1 what the household bought most often and then what all do, and between
1 and 2 the best 20 of those by `rank`. A past tells no behaviours: an item counts with its usual one, and
what is asked for is the most common one. Sizes: I items of the catalogue, U pasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.tools import checkpoint
from merchgraph.tools.contract import Past, Ranking, Recommender, Scores
from merchgraph.tools.data.tables import Events, Items
from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.data import Ints, Question, Trail

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from merchgraph.tools.tmf.store import Parts

COMMAND = "merchgraph train tmf"


def tensors_of(name: str) -> ModuleType:
    """A module of this folder that needs torch.

    Raises:
        SetupError: a package is missing.
    """
    try:
        return import_module(f"merchgraph.tools.tmf.{name}")
    except ModuleNotFoundError as error:
        raise SetupError(
            f"TMF needs the package {error.name!r}, which is not installed: "
            f"pip install 'merchgraph[torch]'."
        ) from error


class Opinion(NamedTuple):
    """Of each candidate.

    Attributes:
        likely: (C,) float64 — mean log-likelihood of its label.
        fused: (C,) float64 — the fusion's score; 0 without vectors.
        trust: what the likelihood counts beside it.
    """

    likely: NDArray[np.float64]
    fused: NDArray[np.float64]
    trust: float = 1.0

    @property
    def both(self) -> NDArray[np.float64]:
        """What `rank` orders by."""
        return self.trust * self.likely + self.fused


class Tmf(Recommender):
    """A language model with LoRA and fused item vectors.

    Args:
        config: settings of `fit`.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()

    def with_parts(self, parts: Parts) -> Self:
        """The tool of a training."""
        from merchgraph.tools.tmf.prompt import Prompts

        self._parts, network = parts, parts.network.eval()
        self.items, self.kept, self.behaviours, self.usual, self.known, self.network = parts
        self.prompts = Prompts(network.llm.tokenizer, self.kept, self.behaviours, self.config)
        self._good = {item: n for n, item in enumerate(self.kept.items)}
        return self

    @classmethod
    def load(cls, folder: Path, command: str = COMMAND) -> Self:
        """The model that `train` kept; the language model itself is read from where it came.

        Raises:
            SetupError: no model is there, or the language model is missing.
            DataError: the file is damaged, or of another version.
        """
        config, tensors = checkpoint.load(folder, Config, command)
        store = tensors_of("store")
        config = store.here(config)
        tensors_of("llm").folder_of(config.llm)  # without it no file is to blame
        with checkpoint.fitting(folder, command):
            return cls(config).with_parts(store.unpacked(tensors, config))

    def answer(self, question: Question) -> str:
        """What the language model writes by itself; it need not be a candidate."""
        facts = self.known.facts([question]).to(self.config.device) if self.known else None
        return self.network.answer(self.prompts, question, facts)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What `load` reads."""
        from merchgraph.tools.tmf.store import packed

        self.columns_of([])
        return packed(self._parts)

    def fit(self, items: Items, events: Events) -> Self:
        """Learn from a log; with nothing to learn from, the language model ranks as it is.

        Raises:
            SetupError: a package or the language model is missing.
        """
        lessons = tensors_of("lesson")
        seen = lessons.view(items, events, self.config)
        made = lessons.lesson(seen, self.config)
        if seen.questions:
            with TemporaryDirectory() as folder:
                made.learn((Path(folder), "fit"))
        self.__dict__.update(lessons.model_of(items, seen, made).__dict__)
        return self

    def rank(self, past: Past, candidates: Sequence[str]) -> Ranking:
        """A slate, best first, and the scores; equal ones in the slate's order.

        Raises:
            SetupError: an item that is no good of the model, or nothing was fitted.
        """
        self.columns_of([])
        wrong = [item for item in candidates if item not in self._good]
        if wrong:
            raise SetupError(
                f"{type(self).__name__} cannot rank the item {wrong[0]!r}: it needs "
                f"{self.config.least} purchases or more before the model was trained; leave it out, "
                f"or train again with a lower least."
            )
        if not candidates:
            return Ranking([], [])
        slate = np.array([self._good[item] for item in candidates])
        found = self._values(self.trail(past), slate)
        order = np.argsort(-found, kind="stable")
        return Ranking([candidates[n] for n in order], found[order].tolist())

    def slate(self, past: Past, items: Sequence[str]) -> list[float]:
        """The scores of `rank` in the order asked for; of an item that is no good, the least."""
        known = [item for item in items if item in self._good]
        of = dict(zip(*self.rank(past, known), strict=True))
        least = min(of.values(), default=0.0)
        return [of.get(item, least) for item in items]

    def scores(self, pasts: Sequence[Past]) -> Scores:
        """(U, I) float64 — own counts and popularity below 1; the best 20 by `rank`, 1 to 2."""
        column = self.column
        columns = np.array([column[item] for item in self.kept.items], dtype=np.int64)
        table = np.zeros((len(pasts), len(column)))
        popular = self.kept.counts / (1 + self.kept.counts.max(initial=0))
        for row, past in zip(table, pasts, strict=True):
            if not len(columns):
                continue
            trail = self.trail(past)
            own = popular + np.bincount(trail.items, minlength=len(columns))
            row[columns] = own / (1 + own.max())
            best = self._shortlist(own)
            values = self._values(trail, best)
            shares = np.exp(values - values.max())
            row[columns[best]] = 1 + shares / shares.sum()
        return table

    def trail(self, past: Past) -> Trail:
        """A past as the model takes it; the session is one basket, the last."""
        ids = [*past.long_term, *past.session]
        baskets = [*range(len(past.long_term)), *[len(past.long_term)] * len(past.session)]
        known = [(self._good[i], b) for i, b in zip(ids, baskets, strict=True) if i in self._good]
        items = np.array([item for item, _ in known], dtype=np.int64)
        did = self.usual[items] if len(items) else items
        return Trail(items, did, np.array([basket for _, basket in known], dtype=np.int64))

    def as_tool(self) -> BaseTool:
        """A LangChain tool: what a shopper bought and a slate in, the slate best first out."""
        from langchain_core.tools import StructuredTool

        def rank_slate(bought: list[str], candidates: list[str]) -> list[str]:
            """Candidates in the order in which a shopper is likely to take them.

            Args:
                bought: item ids, oldest first.
                candidates: item ids to order.
            """
            return self.rank(Past(long_term=bought), candidates).items

        return StructuredTool.from_function(rank_slate, parse_docstring=True)

    def _shortlist(self, own: NDArray[np.float64]) -> Ints:
        """The best goods by own counts, of each label one."""
        order = np.argsort(-own, kind="stable")
        return self.kept.distinct(order[: 50 * self.config.slate], self.config.slate)

    def _values(self, trail: Trail, slate: Ints) -> NDArray[np.float64]:
        """(C,) — what `rank` orders by."""
        counts = np.bincount(self.usual, minlength=len(self.behaviours))
        right = np.zeros(len(slate), dtype=np.bool_)
        question = Question(0, trail, int(counts.argmax()), slate, right, "random")
        return self.opinion(question, every=False).both

    def opinion(self, question: Question, *, every: bool = True) -> Opinion:
        """What the language model and the fusion think of each candidate.

        Args:
            question: about the candidates.
            every: whether the language model is asked also where its likelihoods count nothing.
        """
        import torch

        device = self.config.device
        fused, trust = np.zeros(len(question.slate)), 1.0
        likely = np.zeros_like(fused)
        with torch.no_grad():
            facts = self.known.facts([question]).to(device) if self.known else None
            if facts is not None and self.network.fusion is not None:
                fused = self.network.fusion(facts).scores[0].cpu().numpy().astype(np.float64)
                trust = float(self.network.trust)
            if every or trust:
                packed = self.prompts.pack([question], every=True).to(device)
                likely = self.network.likelihoods(packed, facts).cpu().numpy().astype(np.float64)
        return Opinion(likely, fused, trust)
