"""Copy evaluators: does a copy convey a topic, hold together, keep a tone, speak to its readers?

Each answers by one token, Yes or No, and P(Yes) is its score; examples of both come before, as turns of
the conversation. The evaluators of arXiv 2504.10391 reason in words before they judge; ours do not: a
probability costs one token, cannot be malformed, and has a threshold. They are gates and no ranking.

A weak model says one of the two to nearly every copy. Calibrated, the score tells what the copy adds to
that: sigmoid(logit P(Yes) - logit P(Yes of a copy without text)). It may put a good example below the
empty copy; then that example is the measure, or the gate would be closed to all. A strong model is better
off without: it denies the empty copy so firmly that whatever it doubts comes out as a Yes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import BaseModel, ConfigDict

from merchgraph.agents.copywriter import LINE, Brief
from merchgraph.agents.nli import logit
from merchgraph.agents.refiner import LONGEST
from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import choose

Kind = Literal["topic", "coherence", "tone", "personal"]
ASKED: dict[Kind, str] = {"topic": "Topic", "tone": "Tone", "personal": "Readers"}
QUOTED = 90
"""Longest part in a feedback, in characters."""


class Guideline(BaseModel):
    """What one evaluator looks for.

    Attributes:
        kind: which evaluator.
        what: the topic, the tone, the readers; "" for coherence.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    what: str = ""


@dataclass(frozen=True)
class CopyEvaluator:
    """Judges one guideline of one copy at a time."""

    model: BaseChatModel

    async def judge(
        self,
        brief: Brief,
        guideline: Guideline,
        copy: Mapping[str, str],
        *,
        neutral: float | None = None,
    ) -> float:
        """How probably the copy meets the guideline, in [0, 1].

        Args:
            brief: the campaign.
            guideline: what to look for.
            copy: part -> text.
            neutral: P(Yes) that is taken off, so that it scores .5; see the method of that name.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        yes = await self._yes(brief, guideline, copy)
        return yes if neutral is None else 1 / (1 + math.exp(logit(neutral) - logit(yes)))

    async def neutral(self, brief: Brief, guideline: Guideline) -> float:
        """P(Yes) of a copy without text, or of the campaign's least liked example where that is lower.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        # one after the other: a server with one slot keeps one prefix at a time
        copies = [dict.fromkeys(brief.parts, ""), *brief.examples]
        return min([await self._yes(brief, guideline, copy) for copy in copies])

    async def _yes(self, brief: Brief, guideline: Guideline, copy: Mapping[str, str]) -> float:
        messages = _conversation(brief, guideline, copy)
        odds = await choose(self.model, messages, ("Yes", "No"), agent=guideline.kind)
        return odds["Yes"]


def _conversation(brief: Brief, guideline: Guideline, copy: Mapping[str, str]) -> list[BaseMessage]:
    """The question, examples with their answers, and the copy last."""
    kind, what = guideline.kind, fenced(guideline.what, LINE) if guideline.what else ""
    question = prompt(f"copy/{kind}", **({"what": what} if what else {}))
    turns: list[str] = []
    for line in prompt(f"copy/{kind}_examples").splitlines():
        answer, about, text = line.split(" | ")
        turns += [_shown(kind, about, text), answer]
    text = "; ".join(f"{part}: {fenced(words, LONGEST)}" for part, words in copy.items())
    turns.append(_shown(kind, what, text))
    messages = brief.conversation(f"{question}\n\n{turns[0]}")
    for number, turn in enumerate(turns[1:]):
        messages.append(HumanMessage(turn) if number % 2 else AIMessage(turn))
    return messages


def _shown(kind: Kind, what: str, copy: str) -> str:
    asked = f'{ASKED[kind]} "{what}": ' if what else ""
    return prompt("copy/copy", asked=asked, copy=copy)


def feedback(guideline: Guideline, copy: Mapping[str, str]) -> str:
    """What a copy lacks that was judged No: what was seen, what is required, the smallest change."""
    parts, verb = list(copy), "does" if len(copy) == 1 else "do"
    seen = " and ".join(f"{part} '{fenced(text, QUOTED)}'" for part, text in copy.items())
    seen = seen[:1].upper() + seen[1:]
    what = fenced(guideline.what, QUOTED)
    where = f"in the {' or the '.join(parts)}"
    return {
        "topic": f"{seen} {verb} not convey: {what} Say it {where}.",
        "coherence": f"{seen} do not belong together; let the {parts[-1]} go on from the {parts[0]}.",
        "tone": f"{seen} {verb} not have the tone asked for ({what}); say the same in that tone.",
        "personal": f"{seen} would do for anybody; speak to the readers ({what}).",
    }[guideline.kind]
