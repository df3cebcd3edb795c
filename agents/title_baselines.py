"""Agents that the title methods are compared with, and the judge that compares them.

A writer of one title that thinks first, in a field before the title, so that one constrained reply has
both; and the critic of Self-Refine (arXiv 2303.17651): the writer's own model, without tools, whose words
go to the `Refiner` that CARTS has too. Both read the items' texts. The wordings are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from pydantic import AfterValidator, BaseModel, Field

from merchgraph.agents.title_writer import Limits, system
from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import ask, choose

LONGEST, REASONING, FAULT, MOST = 100, 400, 120, 4
"""Characters of a title, a reasoning and a fault, for servers that constrain; faults of a critique."""
Line = Annotated[str, Field(json_schema_extra={"maxLength": LONGEST})]


class Reasoned(BaseModel):
    """A title and the thoughts before it."""

    reasoning: Annotated[str, Field(json_schema_extra={"maxLength": REASONING})]
    title: Line


def _first(faults: list[str]) -> list[str]:
    return [fault for fault in faults if fault.strip()][:MOST]


class Critique(BaseModel):
    """What is wrong with a title; nothing, if it is good enough."""

    faults: Annotated[
        list[Annotated[str, Field(json_schema_extra={"maxLength": FAULT})]],
        AfterValidator(_first),
        Field(json_schema_extra={"maxItems": MOST}),
    ]


@dataclass(frozen=True)
class ThinkingWriter:
    """Writes one title in one call, by chain of thought."""

    model: BaseChatModel

    async def write(self, about: str, limits: Limits) -> str:
        """The title.

        Args:
            about: the module, by `title_writer.products`.
            limits: what the title is told to keep to.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        task = prompt("titles/reason", least=limits.least, most=limits.most)
        # a character may take a token, and a field its name
        tokens = REASONING + LONGEST + 32
        reply = await ask(
            self.model, _messages(about, task), Reasoned, agent="reason", max_tokens=tokens
        )
        return reply.title


@dataclass(frozen=True)
class TitleCritic:
    """Says what is wrong with a title."""

    model: BaseChatModel

    async def criticise(self, about: str, title: str, limits: Limits) -> list[str]:
        """The faults, one sentence each; none where the title is good enough.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        shown = fenced(title, LONGEST)
        task = prompt("titles/criticise", title=shown, least=limits.least, most=limits.most)
        tokens = MOST * FAULT + 32
        reply = await ask(
            self.model, _messages(about, task), Critique, agent="criticise", max_tokens=tokens
        )
        return reply.faults


@dataclass(frozen=True)
class TitleJudge:
    """Judges whether a product belongs under a title; for reports, never inside a loop.

    It asks in other words and in another order than `RelevanceJudge`, which drives CARTS.
    """

    model: BaseChatModel

    async def judge(self, title: str, text: str) -> float:
        """P(the product belongs there), in [0, 1]; not calibrated.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        task = prompt("titles/judge", product=fenced(text), title=fenced(title, LONGEST))
        odds = await choose(self.model, [HumanMessage(task)], ("Yes", "No"), agent="held-out")
        return odds["Yes"]


def _messages(about: str, task: str) -> list[BaseMessage]:
    return [SystemMessage(system()), HumanMessage(f"{about}\n\n{task}")]
