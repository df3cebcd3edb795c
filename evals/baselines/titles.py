"""Baselines of CARTS: a template, single pass, chain of thought, Self-Refine, the best of many drafts.

All read the items' texts, as the ablation of CARTS without features does, and all but the one that
thinks are asked in that one's words. Nothing revises or chooses them that CARTS does not have: the
best of many is found by its signals in code, feasible first, then the share of items of which the
title says a word, then brevity.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from merchgraph.agents.refiner import Refiner
from merchgraph.agents.title_baselines import ThinkingWriter, TitleCritic
from merchgraph.agents.title_writer import TitleWriter, products, system
from merchgraph.evals.metrics.titles import broken, rules
from merchgraph.graphs.carts_checks import requirements, tidied
from merchgraph.graphs.carts_state import Brief, Context, Goods
from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.errors import ModelReplyError
from merchgraph.runtime.ledger import at
from merchgraph.runtime.models import chat_model
from merchgraph.tools.copy_rules.word_lists import FUNCTION
from merchgraph.tools.features import read_off
from merchgraph.tools.text import stem, stems, trim
from merchgraph.tools.title_template import templates

_EMPTY = frozenset(stem(word) for word in FUNCTION)


@dataclass(frozen=True)
class Bench:
    """One module to be titled, under the settings that CARTS has.

    Attributes:
        goods: its items, at least one.
    """

    goods: Sequence[Goods]
    context: Context

    @property
    def about(self) -> str:
        """The module as writers read it."""
        return products(self.goods)

    @property
    def sources(self) -> list[str]:
        """The items' texts."""
        return [one.text for one in self.goods]

    def template(self) -> str:
        """The type that most items have, with an ending where it is too short, cut where too long."""
        limits = self.context.limits
        hard = rules(limits.least, limits.most, self.sources)
        types = [
            features[0].text
            for one in self.goods
            if (features := read_off(one.item, one.title, one.category, None))
        ]
        [(common, _)] = Counter(types or [self.goods[0].title]).most_common(1)
        found = templates(
            [common], lambda title: 0.0, lambda title: not broken(title, hard), count=1
        )
        return found[0] if found else trim(common, limits.most)

    async def single(self) -> str:
        """One call, at temperature 0."""
        return await self._write(self._model())

    async def thoughtful(self) -> str:
        """One call that thinks before it writes, at temperature 0."""
        return tidied(await ThinkingWriter(self._model()).write(self.about, self.context.limits))

    async def self_refined(self) -> str:
        """A title that its own model criticises and rewrites, J times or until it finds no fault."""
        context, model = self.context, self._model()
        brief = Brief(
            goods=list(self.goods), about=self.about, sources=self.sources, clusters=[],
            weights={one.item: 1.0 for one in self.goods},
        )  # fmt: skip
        title, wanted = await self.single(), requirements(brief, context)
        for _ in range(context.revisions()):
            try:
                faults = await TitleCritic(model).criticise(self.about, title, context.limits)
                if not faults:
                    break
                now = await Refiner(model).revise(
                    system(), self.about, {"title": title}, rules=wanted, faults=faults
                )
            except ModelReplyError:  # the title stands as it was
                break
            title = tidied(now["title"])
        return title

    async def drafts(self, numbers: Sequence[int]) -> list[str]:
        """Titles of one call each, at the temperature of CARTS' writer; a number is a sample.

        A call without a usable reply gives an empty title.
        """

        async def draft(number: int) -> str:
            with at(lane=f"{number}"):
                try:
                    return await self._write(self._model(number))
                except ModelReplyError:
                    return ""

        return list(await asyncio.gather(*map(draft, numbers)))

    def best(self, titles: Sequence[str]) -> str:
        """The best of some titles, at least one; of equals the earliest."""
        limits = self.context.limits
        hard = rules(limits.least, limits.most, self.sources)
        texts = [set(stems(text)) for text in self.sources]

        def value(title: str) -> tuple[bool, float, int]:
            said = set(stems(title)) - _EMPTY
            told = sum(bool(said & text) for text in texts) / len(texts)
            return not broken(title, hard), told, -len(title)

        return max(dict.fromkeys(titles), key=value)

    async def _write(self, model: ChatModel) -> str:
        said = await TitleWriter(model).write(self.about, [], 1, self.context.limits)
        return tidied(said[0]) if said else ""

    def _model(self, number: int | None = None) -> ChatModel:
        context = self.context
        if number is None:
            return chat_model(context.model, deterministic=context.deterministic)
        return chat_model(
            context.model, temperature=context.temperature, seed=_SEEDS * context.seed + number,
            deterministic=context.deterministic,
        )  # fmt: skip


_SEEDS = 1000
"""Samples of one seed of the context, more than are ever drawn."""
