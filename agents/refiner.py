"""Refiner Agent: the next version of a text that failed some checks; CARTS and copywriting share it.

It reads every requirement and not just the failed ones, since mending one breaks another (arXiv
2504.10391; the wording is ours).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, Field, create_model

from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import ask

LONGEST = 300
"""Characters of one part of a reply, for servers that constrain, and of a draft in a prompt: far above
any limit that a text is checked for, so that no text is cut to fit."""
TOKENS = 160
"""Of one part: its longest text in a language of short tokens."""


@dataclass(frozen=True)
class Refiner:
    """Rewrites a text by the feedback of its checks."""

    model: BaseChatModel

    async def revise(
        self,
        system: str,
        about: str,
        text: Mapping[str, str],
        *,
        rules: Sequence[str],
        faults: Sequence[str],
    ) -> dict[str, str]:
        """The next version.

        Args:
            system: the method's system prompt.
            about: what the text is written from, as the writer was told: a server has it in its cache.
            text: part -> text of the version to be rewritten.
            rules: every requirement, one sentence each.
            faults: the feedback of what failed.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        draft = "\n".join(f"{part}: {fenced(words, LONGEST)}" for part, words in text.items())
        task = prompt(
            "refine/revise",
            draft=draft,
            rules=_lines(rules),
            faults=_lines(faults),
            parts=" and ".join(f'"{part}"' for part in text),
        )
        messages = [SystemMessage(system), HumanMessage(f"{about}\n\n{task}")]
        reply: Any = await ask(
            self.model, messages, parts_schema(tuple(text)), agent="refine",
            max_tokens=TOKENS * len(text),
        )  # fmt: skip
        return dict(reply.model_dump())


@cache
def parts_schema(parts: tuple[str, ...]) -> type[BaseModel]:
    """A text in parts, each of them a string."""
    part: Any = (str, Field(json_schema_extra={"maxLength": LONGEST}))
    fields: dict[str, Any] = dict.fromkeys(parts, part)
    return create_model("Text", __doc__="A text in its parts.", **fields)


def _lines(sentences: Sequence[str]) -> str:
    # feedback may quote the draft, and that the shop's text
    return "\n".join(f"- {fenced(sentence, LONGEST)}" for sentence in sentences) or "- (nothing)"
