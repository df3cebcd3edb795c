"""Judge of explanations: six dimensions, 1 to 5, several explanations of one history side by side.

It reports and drives nothing, and is another model than the one that explained. It is blind: it sees
neither how the history was shown, nor which guess came true, and words of an explanation that give the
rendering away ("the plot shows") are taken out. The order changes with each question, so that no
rendering stands first. The dimensions are those of BehaviorLens (arXiv 2511.03845); what each of them
asks is ours, since the paper's rubric is not published. More is better in all: 5 for overthinking means
that there is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Literal, get_args

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, create_model

from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import ask

Dimension = Literal[
    "faithfulness", "overthinking", "causality", "sufficiency", "specificity", "plausibility"
]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
Points = Literal[1, 2, 3, 4, 5]
LABELS = "ABCDEFGHIJKL"
"""Of the explanations that are shown; no more than these."""
LONGEST = 700
"""Of an explanation that is shown, in characters: 80 words, and some more."""
LONGEST_DAY = 2_000
"""Of what was bought on one day, in characters."""
NEUTRAL = "record"
_RENDERINGS = re.compile(
    r"\b(?:scatter(?: ?plots?)?|flow ?charts?|bar charts?|plots?|charts?|diagrams?|graphs?|figures?|"
    r"images?|pictures?|tables?|paragraphs?|grids?|(?:[xy]-)?ax[ei]s|arrows?|nodes?|markers?)\b",
    re.IGNORECASE,
)


class Explained(BaseModel):
    """A guess and its explanation."""

    model_config = ConfigDict(frozen=True)

    prediction: str
    explanation: str


class Evidence(BaseModel):
    """What was known when the guess was made, in a form that no rendering has.

    Attributes:
        record: one line per shopping day, oldest first.
        offered: the candidates, in the order in which they were shown.
    """

    model_config = ConfigDict(frozen=True)

    record: tuple[str, ...]
    offered: tuple[str, ...]


@dataclass(frozen=True)
class ExplanationJudge:
    """Rates all explanations of one history on one dimension at a time."""

    model: BaseChatModel

    async def rate(
        self,
        evidence: Evidence,
        explained: Mapping[str, Explained],
        dimension: Dimension,
        *,
        seed: str = "",
    ) -> dict[str, int]:
        """Points of each explanation, 1 (worst) to 5 (best), by the keys given.

        Args:
            evidence: what was known.
            explained: whose -> guess and explanation; 1 to 12. The keys are not shown.
            dimension: what is rated.
            seed: of the order, which differs from dimension to dimension.

        Raises:
            ValueError: no explanation, or more than 12.
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        if not 1 <= len(explained) <= len(LABELS):
            raise ValueError(f"1 to {len(LABELS)} explanations are rated, not {len(explained)}")
        order = sorted(explained)
        Random(f"{seed}/{dimension}").shuffle(order)
        labels = dict(zip(LABELS, order, strict=False))
        task = prompt(
            "explanations/rate",
            record="\n".join(fenced(line, LONGEST_DAY) for line in evidence.record),
            offered="\n".join(fenced(item) for item in evidence.offered),
            explanations="\n".join(
                _line(label, explained[key], evidence.offered) for label, key in labels.items()
            ),
            dimension=prompt(f"explanations/{dimension}"),
        )
        messages = [SystemMessage(prompt("explanations/system")), HumanMessage(task)]
        reply = await ask(
            self.model, messages, _ratings(len(order)), agent="explanation judge",
            max_tokens=16 * len(order) + 32,
        )  # fmt: skip
        points = reply.model_dump()
        return {key: points[label] for label, key in labels.items()}


def blind(text: str, names: Sequence[str] = ()) -> str:
    """The text without words that say how the history was shown; they become "record".

    Args:
        text: an explanation.
        names: of items, which keep their words ("Table wine").
    """
    kept = sorted(filter(None, names), key=len, reverse=True)
    if not kept:
        return _RENDERINGS.sub(NEUTRAL, text)
    known = re.compile("|".join(map(re.escape, kept)), re.IGNORECASE)
    found, place = [], 0
    for name in known.finditer(text):
        found += [_RENDERINGS.sub(NEUTRAL, text[place : name.start()]), name.group()]
        place = name.end()
    return "".join([*found, _RENDERINGS.sub(NEUTRAL, text[place:])])


def _line(label: str, explained: Explained, names: Sequence[str]) -> str:
    told = blind(fenced(explained.explanation, LONGEST), names)
    return f"{label}. Guess: {fenced(explained.prediction)}. Explanation: {told}"


@cache
def _ratings(count: int) -> type[BaseModel]:
    """A field per label."""
    fields: dict[str, Any] = {label: (Points, ...) for label in LABELS[:count]}
    return create_model("Ratings", **fields)
