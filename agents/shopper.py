"""What agents are told: a shopper and candidates, as texts. The first part of every ARAG prompt."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from merchgraph.prompts.load import fenced, listed, prompt


def _cut(limit: int) -> AfterValidator:
    def cut(text: str) -> str:
        text = " ".join(text.split())
        return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"

    return AfterValidator(cut)


# A reply that runs over is cut, not refused: the limit goes into the schema, for servers that
# constrain, but is no reason to ask again.
Phrase = Annotated[str, _cut(60), Field(json_schema_extra={"maxLength": 60})]
Sentence = Annotated[str, _cut(70), Field(json_schema_extra={"maxLength": 70})]
Paragraph = Annotated[str, _cut(200), Field(json_schema_extra={"maxLength": 200})]


REMARK = 320
"""Longest reason or facts in a prompt, in characters: two sentences, one of which names a title."""


class Shopper(BaseModel):
    """The user context u = (C_lt, C_st) of ARAG: item texts, oldest first.

    Attributes:
        user: the shop's id; never shown to a model.
        long_term: texts of earlier interactions.
        session: texts of the interactions of now.
    """

    model_config = ConfigDict(frozen=True)

    user: str
    long_term: tuple[str, ...] = ()
    session: tuple[str, ...] = ()


class Candidate(BaseModel):
    """An item that may be recommended.

    Attributes:
        item: its id.
        text: T(i), what a model reads.
        facts: what the shop's log says of it and this shopper, as a sentence; "" for nothing.
    """

    model_config = ConfigDict(frozen=True)

    item: str
    text: str
    facts: str = ""


def conversation(shopper: Shopper | None, task: str) -> list[BaseMessage]:
    """The messages of one request: what all requests of a run share first, then the task.

    Args:
        shopper: whose basket it is; None is the neutral shopper, of whom nothing is known.
        task: what is asked.
    """
    about = _about(shopper) if shopper else prompt("arag/nobody")
    return [SystemMessage(prompt("arag/system")), HumanMessage(f"{about}\n\n{task}")]


@lru_cache(maxsize=128)  # a run of 20 candidates needs it 43 times: more work than all its calls
def _about(shopper: Shopper) -> str:
    long_term, session = listed(list(shopper.long_term)), listed(list(shopper.session))
    return prompt("arag/shopper", long_term=long_term, session=session)


def on_offer(candidates: Sequence[Candidate]) -> str:
    """Candidates that nobody has judged, as a prompt's part."""
    lines = [
        f"{number}. {fenced(candidate.text)}{told(candidate.facts)}"
        for number, candidate in enumerate(candidates, start=1)
    ]
    return prompt("arag/offered", items="\n".join(lines))


def told(remark: str) -> str:
    """A remark on a product, at the end of its line; "" where there is none."""
    return f" | {fenced(remark, REMARK)}" if remark else ""


def in_order_offered(numbers: Sequence[str], offered: Sequence[str]) -> list[str]:
    """The ids behind a reply's numbers ("1" is the first offered), each once, in the reply's order."""
    return list(dict.fromkeys(offered[int(number) - 1] for number in numbers))
