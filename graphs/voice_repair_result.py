"""What a run of the voice assistant's repair returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel

from merchgraph.graphs.voice_repair_state import Context, Decision, Repair, Turn
from merchgraph.runtime.ledger import Usage, usage_by
from merchgraph.runtime.node import RunError

Outcome = Literal["fine", "repaired", "said", "unsure", "person"]


class Result(BaseModel):
    """What a run returns.

    Attributes:
        outcome: fine: nothing was repaired; repaired: and what came after was fine; said: a repair was
            said, and nothing was seen after it; unsure: it abstained; person: a person is to take over.
        threshold: of p(error).
        turns: of the request, and those that came while it ran.
        decisions: one per look, in order.
        repairs: what was said, in order.
        person_needed: whether the exchange was handed over.
        person_said: what the person answered, where the run could wait for it.
        errors: the branches that failed and what the run did without.
    """

    outcome: Outcome
    threshold: float
    turns: list[Turn]
    decisions: list[Decision]
    repairs: list[Repair]
    person_needed: bool
    person_said: str
    errors: list[RunError]
    usage: Usage
    usage_by_agent: dict[str, Usage]


def result(state: Mapping[str, Any], context: Context) -> Result:
    """What a finished run's state says, for people."""
    return Result(
        outcome=_outcome(state),
        threshold=context.threshold,
        turns=state["checked"],
        decisions=state["decisions"],
        repairs=state["repairs"],
        person_needed=state["person_needed"],
        person_said=state["person_said"],
        errors=state["errors"],
        usage=Usage.of(state["calls"]),
        usage_by_agent=usage_by(state["calls"], "agent"),
    )


def _outcome(state: Mapping[str, Any]) -> Outcome:
    if state["person_needed"]:
        return "person"
    last: Decision = state["decisions"][-1]
    if last.action == "repair":
        return "said"
    if last.action == "unsure":
        return "unsure"
    return "repaired" if state["repairs"] else "fine"
