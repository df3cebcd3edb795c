"""The renderings that the lens suite compares, and the rating of what is said about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from merchgraph.agents.explanation_judge import (
    DIMENSIONS,
    Evidence,
    Explained,
    ExplanationJudge,
)
from merchgraph.evals.baselines.next_purchase import days
from merchgraph.evals.judges import answered
from merchgraph.evals.suite import Case
from merchgraph.runtime.ledger import at, collect
from merchgraph.runtime.models import chat_model
from merchgraph.tools.charts.render import Kind, Variant, sees
from merchgraph.tools.histories import History

Ratings = dict[str, dict[str, int]]
"""Rendering -> dimension -> points."""


@dataclass(frozen=True)
class Plan:
    """A rendering as a system."""

    kind: Literal["ablation", "method"]
    about: str
    rendering: Kind
    variants: tuple[Variant, ...] = ()

    @property
    def pictured(self) -> bool:
        """Whether its model has to see."""
        return sees(self.rendering)

    @property
    def shown(self) -> str:
        """As what the history is shown: text, picture or both."""
        return "both" if self.rendering == "both" else "picture" if self.pictured else "text"


PLANS: dict[str, Plan] = {
    "text": Plan("method", "a sentence per purchase, with its day", "text"),
    "ranks": Plan("ablation", "a line per purchase, no days", "ranks"),
    "table": Plan("ablation", "items by time as text, no days", "table"),
    "scatter": Plan("method", "items over the order of purchases", "scatter"),
    "flowchart": Plan("method", "a chain of purchases with their days", "flowchart"),
    "page": Plan("ablation", "a picture of the text", "page"),
    "both": Plan("ablation", "text and scatter", "both"),
    "scatter dates": Plan("ablation", "over real dates", "scatter", ("dates",)),
    "scatter colour": Plan("ablation", "coloured by department", "scatter", ("colour",)),
    "flowchart gaps": Plan("ablation", "days between purchases", "flowchart", ("gaps",)),
    "flowchart merged": Plan("ablation", "a node an item", "flowchart", ("merged",)),
}


async def ratings(judge: str, case: Case, explained: Mapping[str, Explained]) -> Ratings:
    """What a judge says of all explanations of a case, which it sees side by side.

    Empty where there is no explanation, or it gave no usable answer. Its calls are none of the systems'.

    Args:
        judge: PROVIDER/MODEL.
        case: with the history and the candidates.
        explained: rendering -> its guess and explanation.

    Raises:
        BudgetError, SetupError: as `ask`.
    """
    if not explained:
        return {}
    agent, evidence = ExplanationJudge(chat_model(judge)), _evidence(case)
    with collect(), at(node="judge", lane="judge"):
        points = await answered(
            [agent.rate(evidence, explained, one, seed=case.id) for one in DIMENSIONS]
        )
    if points is None:
        return {}
    found = dict(zip(DIMENSIONS, points, strict=True))
    return {name: {one: found[one][name] for one in DIMENSIONS} for name in explained}


def _evidence(case: Case) -> Evidence:
    """The record day by day, a form that no rendering has."""
    history = History.model_validate(case.request["history"])
    dates = dict.fromkeys(event.when for event in history.events)
    lines = [f"{day}: {', '.join(items)}" for day, items in zip(dates, days(history), strict=True)]
    return Evidence(record=tuple(lines), offered=tuple(case.request["candidates"]))
