"""Context Summary Agent: S_ctx = LLM_CSA({T(i) : i accepted}), with scores and rationales (ARAG)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, ConfigDict, Field, create_model

from merchgraph.agents.nli import Judged, products
from merchgraph.agents.shopper import (
    Paragraph,
    Phrase,
    Shopper,
    conversation,
    in_order_offered,
)
from merchgraph.prompts.load import prompt
from merchgraph.runtime.structured import ask


class Theme(BaseModel):
    """A group of accepted items and what they have in common."""

    model_config = ConfigDict(frozen=True)

    text: str
    items: list[str]


class ContextSummary(BaseModel):
    """What the accepted items offer to the shopper."""

    model_config = ConfigDict(frozen=True)

    themes: list[Theme]
    summary: str


@dataclass(frozen=True)
class ContextSummarizer:
    """Sums the accepted items up for the ranker."""

    model: BaseChatModel

    async def summarize(self, shopper: Shopper, accepted: Sequence[Judged]) -> ContextSummary:
        """Group and describe the accepted items, of which there is at least one.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        messages = conversation(shopper, prompt("arag/summarize", products=products(accepted)))
        reply: Any = await ask(self.model, messages, _schema(len(accepted)), agent="summarize")
        offered = [candidate.item for candidate, _ in accepted]
        themes: dict[str, Theme] = {}
        for theme in reply.themes:  # of two themes with the same words the first stays
            items = in_order_offered(theme.numbers, offered)
            themes.setdefault(theme.text, Theme(text=theme.text, items=items))
        return ContextSummary(themes=list(themes.values()), summary=reply.summary)


@cache
def _schema(items: int) -> type[BaseModel]:
    """The reply for `items` items: only their numbers can be named."""
    number: Any = Literal[tuple(str(n) for n in range(1, items + 1))]
    theme = create_model(
        "ProductTheme", text=(Phrase, ...), numbers=(list[number], Field(max_length=5))
    )
    return create_model(
        "ProductSummary",
        __doc__="What these products offer to the shopper.",
        themes=(list[theme], Field(max_length=3)),  # type: ignore[valid-type]
        summary=(Paragraph, ...),
    )
