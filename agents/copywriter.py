"""Copywriter Agent: m different copies for one campaign, in one reply (arXiv 2504.10391, the generator).

`Brief` is what every agent of a campaign is told: its system prompt and its first paragraph are the same
for all of them, so that a server has them in its cache. The paper names the parts of the prompt (role,
cohort, instructions, examples) and not its words; those are ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, Field, create_model

from merchgraph.agents.refiner import LONGEST, TOKENS, parts_schema
from merchgraph.prompts.load import fenced, listed, prompt
from merchgraph.runtime.structured import ask

LINE = 500
"""Longest line of a brief in a prompt, in characters."""


class Brief(BaseModel):
    """A campaign as its agents are told of it; every text is one line.

    Attributes:
        role: who the agents are.
        cohort: who reads the copy.
        offer: what the campaign offers.
        facts: all that may be claimed.
        instructions: how to write.
        requirements: all that is checked, as sentences.
        examples: copies that pass, part -> text.
        parts: the parts of a copy, in their order.
        longest: characters of a part that a server may write; well above what is allowed.
    """

    model_config = ConfigDict(frozen=True)

    role: str
    cohort: str
    offer: str
    facts: tuple[str, ...]
    instructions: tuple[str, ...]
    requirements: tuple[str, ...]
    examples: tuple[Mapping[str, str], ...]
    parts: tuple[str, ...]
    longest: int = LONGEST

    @property
    def system(self) -> str:
        """The system prompt of every request about this campaign."""
        return prompt("copy/system", role=fenced(self.role, LINE))

    @property
    def about(self) -> str:
        """How every request about this campaign begins."""
        return prompt(
            "copy/campaign",
            cohort=fenced(self.cohort, LINE),
            offer=fenced(self.offer, LINE),
            facts=listed(list(self.facts), LINE),
            instructions=listed(list(self.instructions), LINE),
        )

    def conversation(self, task: str) -> list[BaseMessage]:
        """The messages of one request about this campaign."""
        return [SystemMessage(self.system), HumanMessage(f"{self.about}\n\n{task}")]


@dataclass(frozen=True)
class Copywriter:
    """Writes the drafts of a campaign."""

    model: BaseChatModel

    async def write(
        self, brief: Brief, count: int, *, had: Sequence[Mapping[str, str]] = ()
    ) -> list[dict[str, str]]:
        """Different copies, part -> text; as many as the model wrote, `count` at most.

        Args:
            brief: the campaign.
            count: how many copies, those that are there included.
            had: copies that are there; the reply holds the rest. The same conversation, one turn on.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        messages, left = brief.conversation(_task(brief, count)), count - len(had)
        if had:
            before = json.dumps({"copies": [_plain(copy) for copy in had]}, ensure_ascii=False)
            messages += [AIMessage(before), HumanMessage(prompt("copy/more", count=left))]
        reply: Any = await ask(
            self.model, messages, _copies(brief.parts, left, brief.longest), agent="write",
            max_tokens=TOKENS * len(brief.parts) * left,
        )  # fmt: skip
        return [dict(copy.model_dump()) for copy in reply.copies[:left]]


def _task(brief: Brief, count: int) -> str:
    return prompt(
        "copy/write",
        count=count,
        parts=" and ".join(f'"{part}"' for part in brief.parts),
        rules=listed(list(brief.requirements), LINE),
        examples="\n".join(json.dumps(_plain(copy), ensure_ascii=False) for copy in brief.examples),
    )


def _plain(copy: Mapping[str, str]) -> dict[str, str]:
    return {part: fenced(text, LONGEST) for part, text in copy.items()}


@cache
def _copies(parts: tuple[str, ...], count: int, longest: int) -> type[BaseModel]:
    """The reply: a server that constrains writes `count` copies, and fewer are no reason to refuse it."""
    size = Field(json_schema_extra={"minItems": count, "maxItems": count})
    fields: Any = {"copies": (list[parts_schema(parts, longest)], size)}  # type: ignore[misc]
    return create_model("Copies", __doc__="Different copies for one campaign.", **fields)
