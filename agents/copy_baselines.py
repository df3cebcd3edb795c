"""Self-Refine for copies: the model criticises its own copy in words and rewrites it by that.

The baseline of the copy suite that has a loop but no evaluators (Self-Refine, arXiv 2303.17651; prompts
are ours). It reads what the writer and the refiner read: the campaign and all that is required.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, Field

from merchgraph.agents.copywriter import LINE, Brief
from merchgraph.agents.refiner import LONGEST, TOKENS, parts_schema
from merchgraph.prompts.load import fenced, listed, prompt
from merchgraph.runtime.structured import ask


class Critique(BaseModel):
    """What an editor says of a copy."""

    critique: Annotated[str, Field(json_schema_extra={"maxLength": LONGEST})]


@dataclass(frozen=True)
class SelfCritic:
    """Both roles of Self-Refine."""

    model: BaseChatModel

    async def criticise(self, brief: Brief, copy: Mapping[str, str]) -> str:
        """What is wrong with a copy, in the model's own words.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        messages = brief.conversation(prompt("self_refine/criticise", **_shown(brief, copy)))
        reply = await ask(self.model, messages, Critique, agent="criticise", max_tokens=TOKENS)
        return reply.critique

    async def rewrite(self, brief: Brief, copy: Mapping[str, str], critique: str) -> dict[str, str]:
        """The next version of a copy.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        task = prompt(
            "self_refine/rewrite",
            critique=fenced(critique, LONGEST),
            parts=" and ".join(f'"{part}"' for part in brief.parts),
            **_shown(brief, copy),
        )
        reply: Any = await ask(
            self.model, brief.conversation(task), parts_schema(brief.parts), agent="rewrite",
            max_tokens=TOKENS * len(brief.parts),
        )  # fmt: skip
        return dict(reply.model_dump())


def _shown(brief: Brief, copy: Mapping[str, str]) -> dict[str, str]:
    lines = [f"{part}: {fenced(text, LONGEST)}" for part, text in copy.items()]
    return {"copy": "\n".join(lines), "rules": listed(list(brief.requirements), LINE)}
