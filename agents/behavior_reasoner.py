"""Behavior Reasoner Agent: what a shopper buys next, from a text or a picture of what they bought
(BehaviorLens, arXiv 2511.03845).

The paper's prompts and candidates are not published; these are our design. Everything but the sentence on
how the history is shown is the same for every rendering. A reply reasons before it decides; the
probabilities come from one token of a second call, which writes no reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from string import ascii_uppercase
from typing import Annotated, Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.seeing import picture_part
from merchgraph.runtime.structured import ask, choose

MOST_CANDIDATES = 20
"""As many log-probabilities as hosted servers give."""
WORDS = 80
LONGEST_HISTORY = 12_000
READ = {"both": "text"}
"""Renderings whose text is told of as another one's."""
SEEN = {"both": "scatter"}


def _cut(text: str) -> str:
    words = text.split()
    return " ".join(words) if len(words) <= WORDS else " ".join(words[:WORDS]) + "…"


Explanation = Annotated[str, AfterValidator(_cut), Field(json_schema_extra={"maxLength": 600})]


class Shown(BaseModel):
    """A history as the agent gets it.

    Attributes:
        kind: how it is rendered; names the prompt `as_<kind>`.
        variants: "dates" and "merged" have a prompt of their own, "colour" and "gaps" a sentence more.
        text: "" where there is only a picture.
        picture: a PNG in base64; "" where there is only text.
    """

    model_config = ConfigDict(frozen=True)

    kind: str
    variants: tuple[str, ...] = ()
    text: str = ""
    picture: str = ""


class Prediction(BaseModel):
    """The item that is bought next, and why, in at most 80 words."""

    model_config = ConfigDict(frozen=True)

    item: str
    explanation: str


@dataclass(frozen=True)
class BehaviorReasoner:
    """Picks one of 2 to 20 candidates; what was not offered cannot be named."""

    model: BaseChatModel

    async def predict(self, shown: Shown, candidates: Mapping[str, str]) -> Prediction:
        """One candidate, with the reason.

        Args:
            shown: the history.
            candidates: item -> its name in the rendering, in the order in which they are offered.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        asked = messages(shown, candidates, prompt("behavior_lens/predict"))
        reply: Any = await ask(self.model, asked, _schema(len(candidates)), agent="predict")
        item = list(candidates)[ascii_uppercase.index(reply.prediction)]
        return Prediction(item=item, explanation=reply.explanation)

    async def weigh(self, shown: Shown, candidates: Mapping[str, str]) -> dict[str, float]:
        """Item -> probability, of every candidate; they sum to 1.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        return await self._weigh(shown, candidates, "weigh")

    async def count(self, shown: Shown, candidates: Mapping[str, str]) -> None:
        """Ask as `weigh` does but without the picture, so that the ledger has the tokens of the text.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        await self._weigh(shown.model_copy(update={"picture": ""}), candidates, "count")

    async def _weigh(
        self, shown: Shown, candidates: Mapping[str, str], agent: str
    ) -> dict[str, float]:
        asked = messages(shown, candidates, prompt("behavior_lens/weigh"))
        letters = dict(zip(candidates, ascii_uppercase, strict=False))
        return await choose(self.model, asked, letters, agent=agent)


def messages(shown: Shown, candidates: Mapping[str, str], question: str) -> list[BaseMessage]:
    """The history, then the candidates and the question; the picture stands between the two texts."""
    history, after = _history(shown), f"{_offered(candidates)}\n\n{question}"
    system = SystemMessage(prompt("behavior_lens/system"))
    if not shown.picture:
        return [system, HumanMessage(f"{history}\n\n{after}")]
    return [
        system,
        HumanMessage([
            {"type": "text", "text": history},
            picture_part(shown.picture),
            {"type": "text", "text": after},
        ]),
    ]  # fmt: skip


def _history(shown: Shown) -> str:
    """How the history is shown, and its text where it has one."""
    sentences = []
    if shown.text:
        lines = [fenced(line, LONGEST_HISTORY) for line in shown.text.split("\n")]
        sentence = prompt(f"behavior_lens/as_{READ.get(shown.kind, shown.kind)}")
        sentences = [prompt("behavior_lens/history", sentence=sentence, text="\n".join(lines))]
    if not shown.text or shown.kind in SEEN:
        sentences.append(_drawing(SEEN.get(shown.kind, shown.kind), shown.variants))
    return "\n\n".join(sentences)


def _drawing(kind: str, variants: Sequence[str]) -> str:
    name = "_".join([kind, *(one for one in variants if one in ("dates", "merged"))])
    more = [prompt(f"behavior_lens/with_{one}") for one in variants if one in ("colour", "gaps")]
    return " ".join([prompt(f"behavior_lens/as_{name}"), *more])


def _offered(candidates: Mapping[str, str]) -> str:
    lines = [
        f"{letter}. {fenced(name)}"
        for letter, name in zip(ascii_uppercase, candidates.values(), strict=False)
    ]
    return prompt("behavior_lens/candidates", candidates="\n".join(lines))


@cache
def _schema(candidates: int) -> type[BaseModel]:
    """The reply for so many candidates: no letter but theirs can be named."""
    letter: Any = Literal[tuple(ascii_uppercase[:candidates])]
    return create_model(
        "NextPurchase",
        __doc__="The product that the shopper buys next.",
        explanation=(Explanation, ...),
        prediction=(letter, ...),
    )
