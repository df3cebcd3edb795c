"""What the CARTS suite reads of a shop: modules, near ones to confuse them with, and verdicts on titles.

Nothing is read before it is asked for: a replay asks for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from merchgraph.evals.metrics.title_judge import Calibration, HeldOutJudge, Reader, calibrate
from merchgraph.evals.metrics.title_pairs import pairs
from merchgraph.evals.metrics.titles import Verdict, broken, rules, support
from merchgraph.evals.suite import Case
from merchgraph.graphs.carts_module import goods_of
from merchgraph.graphs.carts_state import LEAST_CHARACTERS, Goods
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.constraints import Rule
from merchgraph.tools.data.shops import shop
from merchgraph.tools.data.tables import Item, Shop
from merchgraph.tools.embedding import Embedder
from merchgraph.tools.modules import Kind, Module, modules
from merchgraph.tools.text import length, trim

NEAR = 9
"""Other modules that a title's own is looked for among."""
SPARE = 3
"""Modules that are drawn for each one that is tested; the near ones are taken from all of them."""
PAIRS = 600
"""Of label and item, for the judge's fit, and as many for its measure."""


class Told(NamedTuple):
    """What verdicts read of a case; the same for all its titles, whoever wrote them.

    Attributes:
        texts: of the module's items in the catalogue, as judges read them.
        sources: all that the shop says of each item; where a title's words have to stand.
        hard: the rules of a title.
        means: (modules, dimensions) direction of the case's own module, then of each near one.
    """

    texts: list[str]
    sources: list[str]
    hard: list[Rule]
    means: NDArray[np.float32]


@dataclass
class Shelves:
    """The modules of a shop.

    Attributes:
        kinds: of modules; `count` cases of each, of `size` items.
        limit: L, characters of a title.
    """

    data: str
    kinds: Sequence[Kind]
    count: int
    size: int
    limit: int
    seed: int
    _told: dict[str, Told] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def store(self) -> Shop:
        """The shop."""
        return shop(self.data)

    @cached_property
    def drawn(self) -> dict[Kind, list[Module]]:
        """By kind, the tested modules first."""
        return {kind: self._modules(kind) for kind in self.kinds}

    def _modules(self, kind: Kind) -> list[Module]:
        """As many as are wanted, or as a small shop has; at least those that are tested."""
        for spare in range(SPARE, 1, -1):
            with suppress(SetupError):
                wanted = spare * self.count
                return modules(self.store, kind, count=wanted, size=self.size, seed=self.seed)
        return modules(self.store, kind, count=self.count, size=self.size, seed=self.seed)

    def cases(self) -> list[Case]:
        """The first modules of each kind, and the items of those that are near them."""
        every = [module for made in self.drawn.values() for module in made]
        means = np.stack([self._mean(module.items) for module in every])
        place = {module.id: row for row, module in enumerate(every)}
        return [
            Case(
                id=module.id,
                segment=module.kind,
                request={"items": list(module.items)},
                truth={"near": _near(module, every, means @ means[place[module.id]])},
            )
            for made in self.drawn.values()
            for module in made[: self.count]
        ]

    def goods(self, items: Sequence[str]) -> list[Goods]:
        """A module's items as writers read them."""
        return goods_of(self.store, items)

    def calibration(self) -> Calibration:
        """The held-out judge's, fitted on items of other types than those of the tested modules.

        Raises:
            SetupError: the catalogue has too few categories.
        """
        tested = [
            item for made in self.drawn.values() for m in made[: self.count] for item in m.items
        ]
        fit, measure = pairs(self.store.items, tested, count=PAIRS, seed=self.seed)
        return calibrate(self.reader, fit, measure)

    def verdict(self, title: str, case: Case, calibration: Calibration | None) -> Verdict:
        """What is measured of a title; without a calibration no item is judged.

        Args:
            title: of any length; what of it fits the limit is judged and looked for.
            case: whose module it names.
            calibration: of the held-out judge.
        """
        told, seen = self.told(case), shown(title, self.limit)
        truth: dict[str, float] = {}
        if calibration is not None:
            odds = HeldOutJudge(self.reader, calibration).truth(seen, told.texts)
            truth = dict(zip(case.request["items"], odds, strict=True))
        cosines = np.zeros(len(told.means))
        if seen.strip():
            cosines = told.means @ self.embedder.embed([seen])[0]
        return Verdict(
            truth=truth,
            cosines=[round(float(cosine), 6) for cosine in cosines],
            support=support(title, told.sources),
            broken=broken(title, told.hard),
        )

    def told(self, case: Case) -> Told:
        """What verdicts read of a case, made once."""
        if case.id not in self._told:
            items = case.request["items"]
            sources = [_said(fact) for fact in self.store.items.get(items)]
            self._told[case.id] = Told(
                texts=self.texts(items),
                sources=sources,
                hard=rules(LEAST_CHARACTERS, self.limit, sources),
                means=np.stack([self._mean(each) for each in (items, *case.truth["near"])]),
            )
        return self._told[case.id]

    def texts(self, items: Sequence[str]) -> list[str]:
        """The items' texts in the catalogue, as judges read them."""
        return [fact.text for fact in self.store.items.get(items)]

    @cached_property
    def embedder(self) -> Embedder:
        """The one of the shop's retrieval, and of CARTS' clusters."""
        return Embedder()

    @cached_property
    def reader(self) -> Reader:
        """Knows how rare words are in the catalogue."""
        texts = self.store.items.frame["text"].unique(maintain_order=True)
        return Reader.of(texts.to_list(), self.embedder.embed)

    def _mean(self, items: Sequence[str]) -> NDArray[np.float32]:
        """The direction of the mean of the items' vectors."""
        mean = self.embedder.embed(self.texts(items)).mean(axis=0)
        direction: NDArray[np.float32] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        return direction


def _said(fact: Item) -> str:
    return "\n".join(filter(None, (fact.title, fact.category, fact.brand, fact.text)))


def shown(title: str, limit: int) -> str:
    """What of a title a shop would show."""
    return trim(title, limit) if length(title) > limit else title


def kinds_of(names: str, known: Sequence[Kind]) -> list[Kind]:
    """Kinds of modules by their names with commas.

    Raises:
        SetupError: there is no such kind, or none is named.
    """
    named = [name.strip() for name in names.split(",") if name.strip()]
    wrong = [name for name in named if name not in known]
    if wrong or not named:
        told = f"There is no kind of module {wrong[0]!r}" if wrong else "No kind of module is named"
        raise SetupError(f"{told}; there are {', '.join(known)}.")
    return [kind for kind in known if kind in named]


def _near(module: Module, every: Sequence[Module], cosines: NDArray[np.float32]) -> list[list[str]]:
    """The items of the modules nearest to one, of those that share no item with it."""
    own = set(module.items)
    order = sorted(range(len(every)), key=lambda row: (-float(cosines[row]), every[row].id))
    apart = [every[row] for row in order if not own.intersection(every[row].items)]
    return [list(other.items) for other in apart[:NEAR]]
