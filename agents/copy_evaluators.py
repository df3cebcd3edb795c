"""Copy evaluators: does a copy convey a topic, hold together, keep a tone, speak to its readers?

Each answers by one token, Yes or No, and P(Yes) is its score; examples of both stand in its prompt. The
evaluators of arXiv 2504.10391 reason in words before they judge; ours do not: a probability costs one
token, cannot be malformed, and has a threshold that can be set. They are gates and no ranking.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, ConfigDict

from merchgraph.agents.copywriter import LINE, Brief
from merchgraph.agents.refiner import LONGEST
from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import choose

Kind = Literal["topic", "coherence", "tone", "personal"]
QUOTED = 90
"""Longest part in a feedback, in characters."""


class Guideline(BaseModel):
    """What one evaluator looks for.

    Attributes:
        kind: which evaluator.
        what: the topic, the tone, the readers; coherence needs none.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    what: str = ""


@dataclass(frozen=True)
class CopyEvaluator:
    """Judges one guideline of one copy at a time."""

    model: BaseChatModel

    async def judge(self, brief: Brief, guideline: Guideline, copy: Mapping[str, str]) -> float:
        """P(Yes): how probably the copy meets the guideline, in [0, 1]; not calibrated.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        known = {} if guideline.kind == "coherence" else {"what": fenced(guideline.what, LINE)}
        lines = [f"{part}: {fenced(text, LONGEST)}" for part, text in copy.items()]
        question = prompt(f"copy/{guideline.kind}", **known)
        shown = prompt("copy/copy", copy="\n".join(lines))
        messages = brief.conversation(f"{question}\n{shown}")
        odds = await choose(self.model, messages, ("Yes", "No"), agent=guideline.kind)
        return min(1.0, odds["Yes"])


def feedback(guideline: Guideline, copy: Mapping[str, str]) -> str:
    """What a copy lacks that was judged No: what was seen, what is required, the smallest change."""
    parts, verb = list(copy), "does" if len(copy) == 1 else "do"
    seen = " and ".join(f"{part} '{fenced(text, QUOTED)}'" for part, text in copy.items())
    seen = seen[:1].upper() + seen[1:]
    what = fenced(guideline.what, QUOTED)
    where = f"in the {parts[-1]}" if len(parts) == 1 else f"in the {' or the '.join(parts)}"
    return {
        "topic": f"{seen} {verb} not convey: {what} Say it {where}.",
        "coherence": f"{seen} do not belong together; let the {parts[-1]} go on from the {parts[0]}.",
        "tone": f"{seen} {verb} not have the tone asked for ({what}); say the same in that tone.",
        "personal": f"{seen} would do for anybody; speak to the readers ({what}).",
    }[guideline.kind]
