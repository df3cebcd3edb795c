"""Headline Judge Agent: which of two headlines did more readers click?

A model likes a place more than a text, so that it is asked in both orders and the two answers are
averaged; both stay there, so that the liking can be measured.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import choose


class Preference(BaseModel):
    """How probably a headline has more clicks than another one.

    Attributes:
        shown_first: P(it has more), asked with it as the first of the two.
        shown_second: the same, asked with it as the second.
    """

    model_config = ConfigDict(frozen=True)

    shown_first: float = Field(ge=0, le=1)
    shown_second: float = Field(ge=0, le=1)

    @property
    def probability(self) -> float:
        """The mean of both orders."""
        return (self.shown_first + self.shown_second) / 2

    @property
    def place_bias(self) -> float:
        """What the first place is worth, in [-1, 1]; 0 for a judge that reads only the texts."""
        return self.shown_first - self.shown_second


@dataclass(frozen=True)
class PairJudge:
    """Compares two headlines of the same story."""

    model: BaseChatModel

    async def prefer(self, a: str, b: str) -> Preference:
        """How probably `a` has more clicks than `b`.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        first, second = await asyncio.gather(self.first(a, b), self.first(b, a))
        return Preference(shown_first=first, shown_second=1 - second)

    async def first(self, first: str, second: str) -> float:
        """P(the first of the two has more clicks), asked in this order alone.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        task = prompt("copy/headlines", first=fenced(first), second=fenced(second))
        messages = [SystemMessage(prompt("copy/clicks")), HumanMessage(task)]
        odds = await choose(self.model, messages, ("A", "B"), agent="headline")
        return odds["A"]
