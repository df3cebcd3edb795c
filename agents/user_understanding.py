"""User Understanding Agent: S_user = LLM_UUA(C_lt, C_st) (ARAG, arXiv 2506.21931)."""

from __future__ import annotations

from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.agents.shopper import Paragraph, Phrase, Shopper, conversation
from merchgraph.prompts.load import prompt
from merchgraph.runtime.structured import ask


class Constraints(BaseModel):
    """What the shopper keeps to."""

    model_config = ConfigDict(frozen=True)

    price: Phrase | None
    brand: Phrase | None
    avoid: list[Phrase] = Field(max_length=3)


class Understanding(BaseModel):
    """What the shopper likes in general and is after right now."""

    model_config = ConfigDict(frozen=True)

    long_term: list[Phrase] = Field(max_length=4)
    session_goal: Phrase
    constraints: Constraints
    summary: Paragraph


@dataclass(frozen=True)
class UserUnderstanding:
    """Sums a shopper up in words. The paper does not publish its schema; this one is our design."""

    model: BaseChatModel

    async def understand(self, shopper: Shopper) -> Understanding:
        """Read the raw history and basket.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        messages = conversation(shopper, prompt("arag/understand"))
        return await ask(self.model, messages, Understanding, agent="understand")
