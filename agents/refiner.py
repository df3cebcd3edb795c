"""Refiner Agent: the next version of a text that failed some checks; CARTS and copywriting share it.

It reads every requirement and not just the failed ones, since mending one breaks another (arXiv
2504.10391; the wording is ours).
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

from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import ask

LONGEST = 300
"""Characters of one part of a reply, for servers that constrain, and of a draft in a prompt: far above
any limit that a text is checked for, so that no text is cut to fit."""
TOKENS = 160
"""Of one part: its longest text in a language of short tokens."""


class Shot(BaseModel):
    """A revision that was done well, shown to the model as an earlier turn of the conversation.

    Attributes:
        text: the version that was wrong.
        faults: what of it was.
        better: the version that is right.
    """

    model_config = ConfigDict(frozen=True)

    text: dict[str, str]
    faults: tuple[str, ...]
    better: dict[str, str]


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
        shots: Sequence[Shot] = (),
        longest: int = LONGEST,
    ) -> dict[str, str]:
        """The next version.

        Args:
            system: the method's system prompt.
            about: what the text is written from, as the writer was told: a server has it in its cache.
            text: part -> text of the version to be rewritten.
            rules: every requirement, one sentence each.
            faults: the feedback of what failed.
            shots: revisions to learn from; a small model needs them, a large one is not harmed.
            longest: characters of a part, for servers that constrain; well above what is allowed.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        messages: list[BaseMessage] = [SystemMessage(system)]
        told = prompt("refine/rules", about=about, rules=_lines(rules)) + "\n\n"
        for shot in shots:
            messages += [
                HumanMessage(told + _task(shot.text, shot.faults)),
                AIMessage(json.dumps(shot.better, ensure_ascii=False)),
            ]
            told = ""
        messages.append(HumanMessage(told + _task(text, faults)))
        reply: Any = await ask(
            self.model, messages, parts_schema(tuple(text), longest), agent="refine",
            max_tokens=TOKENS * len(text),
        )  # fmt: skip
        return dict(reply.model_dump())


def _task(text: Mapping[str, str], faults: Sequence[str]) -> str:
    return prompt(
        "refine/revise",
        draft="\n".join(f"{part}: {fenced(words, LONGEST)}" for part, words in text.items()),
        faults=_lines(faults),
        parts=" and ".join(f'"{part}"' for part in text),
    )


@cache
def parts_schema(parts: tuple[str, ...], longest: int = LONGEST) -> type[BaseModel]:
    """A text in parts, each of them a string; the lengths are for servers that constrain."""
    part: Any = (str, Field(json_schema_extra={"minLength": 1, "maxLength": longest}))
    fields: dict[str, Any] = dict.fromkeys(parts, part)
    return create_model("Text", __doc__="A text in its parts.", **fields)


def _lines(sentences: Sequence[str]) -> str:
    # feedback may quote the draft, and that the shop's text
    return "\n".join(f"- {fenced(sentence, LONGEST)}" for sentence in sentences) or "- (nothing)"
