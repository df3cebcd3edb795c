"""Held-out judge of copies: what the loop's evaluators ask, asked by another model in other words.

It drives no loop and only reports; it sees neither the campaign's brief nor the loop's prompts, so that a
copy which was tuned to those gains nothing from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import choose

Aspect = Literal["topic", "coherence", "tone", "personal"]
LONGEST = 300
"""Of a copy's part and of a guideline in a prompt, in characters."""


@dataclass(frozen=True)
class CopyJudge:
    """Judges one aspect of one copy at a time."""

    model: BaseChatModel

    async def judge(self, aspect: Aspect, what: str, copy: Mapping[str, str]) -> float:
        """P(Yes), in [0, 1].

        Args:
            aspect: which question.
            what: the topic, the tone, the readers; coherence needs none.
            copy: part -> text.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        known = {} if aspect == "coherence" else {"what": fenced(what, LONGEST)}
        task = prompt(
            "copy_judge/question",
            copy="\n".join(fenced(text, LONGEST) for text in copy.values()),
            question=prompt(f"copy_judge/{aspect}", **known),
        )
        messages = [SystemMessage(prompt("copy_judge/system")), HumanMessage(task)]
        odds = await choose(self.model, messages, ("Yes", "No"), agent="judge")
        return odds["Yes"]
