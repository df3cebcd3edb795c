"""NLI Agent: s_NLI(i, u), how far an item's text supports what the shopper is after (ARAG).

It reads the raw context u, not S_user, since it runs beside the User Understanding Agent. The score is
continuous: one token, entail / neutral / contradict said as Yes / Maybe / No, and
s = P(entail) + P(neutral) / 2. The paper publishes neither scale nor prompt; these are our design.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.agents.shopper import Candidate, Sentence, Shopper, conversation, on_offer
from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import ask, choose

Label = Literal["entail", "neutral", "contradict"]
LABELS: dict[str, str] = {"entail": "Yes", "neutral": "Maybe", "contradict": "No"}


class NliScore(BaseModel):
    """One item's judgement.

    Attributes:
        score: P(entail) + P(neutral) / 2, in [0, 1]; None where the item could not be judged.
        rationale: the judge's reason, for items that are kept.
    """

    model_config = ConfigDict(frozen=True)

    item: str
    score: float | None = Field(ge=0, le=1)
    label: Label | None = None
    entail: float = 0.0
    neutral: float = 0.0
    contradict: float = 0.0
    rationale: str = ""


class Rationale(BaseModel):
    """The reason of a judgement."""

    reason: Sentence


@dataclass(frozen=True)
class Nli:
    """Judges one item at a time."""

    model: BaseChatModel

    async def score(self, shopper: Shopper, candidate: Candidate) -> NliScore:
        """How far the shopper's context supports the item.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        odds = await choose(self.model, _question(shopper, candidate), LABELS, agent="nli")
        label = max(get_args(Label), key=lambda name: odds[name])
        score = min(1.0, odds["entail"] + odds["neutral"] / 2)
        return NliScore(
            item=candidate.item,
            score=score,
            label=label,
            entail=odds["entail"],
            neutral=odds["neutral"],
            contradict=odds["contradict"],
        )

    async def rationale(self, shopper: Shopper, candidate: Candidate, score: NliScore) -> str:
        """Why the item was judged so, in one clause; the same conversation, one turn on.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        answer = LABELS[score.label or "neutral"]
        messages = [
            *_question(shopper, candidate),
            AIMessage(answer),
            HumanMessage(prompt("arag/rationale")),
        ]
        reply = await ask(self.model, messages, Rationale, agent="nli", max_tokens=96)
        return reply.reason


def _question(shopper: Shopper, candidate: Candidate) -> list[BaseMessage]:
    return conversation(shopper, prompt("arag/nli", item=fenced(candidate.text)))


Judged = tuple[Candidate, NliScore]


def products(judged: Sequence[Judged]) -> str:
    """Judged items as a prompt's part, which the summary and the ranking begin with alike.

    Where no item has a score, nothing is said of a judge.
    """
    if all(score.score is None for _, score in judged):
        return on_offer([candidate for candidate, _ in judged])
    lines = [
        f"{number}. {_fit(score)}: {fenced(candidate.text)}{_why(score)}"
        for number, (candidate, score) in enumerate(judged, start=1)
    ]
    return prompt("arag/products", items="\n".join(lines))


def _fit(score: NliScore) -> str:
    # before the text: a title that claims a fit of its own comes too late
    return "fit unknown" if score.score is None else f"fit {score.score:.2f}"


def _why(score: NliScore) -> str:
    return f" | {fenced(score.rationale)}" if score.rationale else ""
