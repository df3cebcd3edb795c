"""NLI Agent: s_NLI(i, u), how far an item's text supports what the shopper is after (ARAG).

It reads the raw context u, not S_user, since it runs beside the User Understanding Agent. The score is
continuous: one token, entail / neutral / contradict said as Yes / Maybe / No, and
s = P(entail) + P(neutral) / 2. The paper publishes neither scale nor prompt; these are our design.

A weak model likes some products for everybody. Calibrated, the score tells what the shopper adds to that:
sigmoid(logit s(i, u) - logit s(i, nobody)), where nobody is a shopper of whom nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.agents.shopper import (
    REMARK,
    Candidate,
    Sentence,
    Shopper,
    conversation,
    on_offer,
    told,
)
from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import FLOOR, ask, choose

Label = Literal["entail", "neutral", "contradict"]
LABELS: dict[str, str] = {"entail": "Yes", "neutral": "Maybe", "contradict": "No"}


class NliScore(BaseModel):
    """One item's judgement.

    Attributes:
        score: s_NLI in [0, 1]; None where the item could not be judged.
        label: what the judge said, as are the three odds: not calibrated.
        prior: s(i, nobody), where the score is calibrated by it.
        rationale: the judge's reason, for items that are kept.
    """

    model_config = ConfigDict(frozen=True)

    item: str
    score: float | None = Field(ge=0, le=1)
    label: Label | None = None
    entail: float = 0.0
    neutral: float = 0.0
    contradict: float = 0.0
    prior: float | None = None
    rationale: str = ""

    @property
    def raw(self) -> float | None:
        """P(entail) + P(neutral) / 2, what the judge said; None where it said nothing."""
        return None if self.label is None else min(1.0, self.entail + self.neutral / 2)


class Rationale(BaseModel):
    """The reason of a judgement."""

    reason: Sentence


@dataclass(frozen=True)
class Nli:
    """Judges one item at a time."""

    model: BaseChatModel

    async def score(
        self, shopper: Shopper, candidate: Candidate, *, calibrate: bool = False
    ) -> NliScore:
        """How far the shopper's context supports the item.

        Args:
            shopper: the context u.
            candidate: the item.
            calibrate: take the item's prior off, at the price of one call more. That call is the same
                for all shoppers.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        odds = await choose(self.model, _question(shopper, candidate), LABELS, agent="nli")
        label: Label = max(get_args(Label), key=lambda name: odds[name])
        found = NliScore(
            item=candidate.item,
            score=_support(odds),
            label=label,
            entail=odds["entail"],
            neutral=odds["neutral"],
            contradict=odds["contradict"],
        )
        if not calibrate:
            return found
        # after the other, not beside it: a server with one slot keeps one prefix at a time
        prior = await self.prior(candidate)
        score = 1 / (1 + math.exp(logit(prior) - logit(_support(odds))))
        return found.model_copy(update={"score": score, "prior": prior})

    async def prior(self, candidate: Candidate) -> float:
        """s(i, nobody): what the judge says of the item where nothing is known of the shopper.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        return _support(await choose(self.model, _question(None, candidate), LABELS, agent="prior"))

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


def logit(p: float) -> float:
    """log(p / (1 - p)), of a probability that is kept off 0 and 1."""
    kept = min(max(p, FLOOR), 1 - FLOOR)
    return math.log(kept / (1 - kept))


def _support(odds: Mapping[str, float]) -> float:
    return min(1.0, odds["entail"] + odds["neutral"] / 2)


def _question(shopper: Shopper | None, candidate: Candidate) -> list[BaseMessage]:
    task = prompt("arag/nli", item=fenced(candidate.text))
    if shopper is not None and candidate.facts:  # of nobody there are no facts
        task += "\n" + prompt("arag/evidence", facts=fenced(candidate.facts, REMARK))
    return conversation(shopper, task)


Judged = tuple[Candidate, NliScore]


def products(judged: Sequence[Judged]) -> str:
    """Judged items as a prompt's part, which the summary and the ranking begin with alike.

    Where no item has a score, nothing is said of a judge.
    """
    if all(score.score is None for _, score in judged):
        return on_offer([candidate for candidate, _ in judged])
    lines = [
        f"{number}. {_fit(score)}: {fenced(candidate.text)}{told(score.rationale)}{told(candidate.facts)}"
        for number, (candidate, score) in enumerate(judged, start=1)
    ]
    return prompt("arag/products", items="\n".join(lines))


def _fit(score: NliScore) -> str:
    # before the text: a title that claims a fit of its own comes too late
    return "fit unknown" if score.score is None else f"fit {score.score:.2f}"
