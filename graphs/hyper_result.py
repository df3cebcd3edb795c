"""What a run of the hypernetwork graph returns: each weight with its steps and its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel

from merchgraph.agents.hypernetwork import Reading
from merchgraph.graphs.hyper_state import Calibration, Context, Neighbour, Part, Retrieved, content
from merchgraph.runtime.ledger import Usage, usage_by
from merchgraph.runtime.node import RunError
from merchgraph.tools.ctr.entries import Entry, Origin
from merchgraph.tools.ctr.weights import Checked, Normalised


class Weight(BaseModel):
    """One feature's weight and how it came about.

    Attributes:
        weight: as it is kept.
        written: by the model, after the checks; None where it wrote nothing.
        clipped, scaled: after these steps.
        neighbours: the mean of the neighbours' weights.
        direction, because: the model's reason, "" without one.
    """

    feature: str
    meaning: str
    weight: float
    written: float | None
    clipped: float
    scaled: float
    neighbours: float
    direction: Literal["+", "-", "0", ""] = ""
    because: str = ""


class Result(BaseModel):
    """What a run returns.

    Attributes:
        ad: its id.
        origin: who wrote the weights: the model, the model in part, or the neighbours' mean.
        weights: every feature, in the order of the pool.
        checked: what was wrong with the replies.
        consistency: share of the reasons whose direction the written weight had; None without any.
        norm, share: of the normalisation.
        reading: what the model makes of the ad, with its own guess of the intercept.
        seen: the model was shown the pictures; False where it does not see, None where there are none.
        stored: the version that was kept.
        errors: the branches that failed and what the run did without.
    """

    ad: str
    text: str
    origin: Origin
    intercept: float
    weights: list[Weight]
    neighbours: list[Neighbour]
    reading: Reading | None
    seen: bool | None
    checked: Checked
    consistency: float | None
    norm: float
    share: float
    calibration: Calibration
    stored: Entry | None
    errors: list[RunError]
    usage: Usage
    usage_by_agent: dict[str, Usage]


def result(state: Mapping[str, Any], context: Context | None = None) -> Result:
    """What a finished run's state says, for people."""
    retrieved: Retrieved = state["retrieved"]
    checked, steps = state["checked"], state["normalised"]
    return Result(
        ad=state.get("id") or content(state["text"], retrieved.picture),
        text=state["text"],
        origin=origin(retrieved, checked),
        intercept=state["calibration"].intercept,
        weights=_weights(retrieved, state["parts"], checked, steps),
        neighbours=retrieved.neighbours,
        reading=state["reading"],
        seen=state["seen"],
        checked=checked,
        consistency=checked.consistency,
        norm=steps.norm,
        share=steps.share,
        calibration=state["calibration"],
        stored=state["stored"],
        errors=state["errors"],
        usage=Usage.of(state["calls"]),
        usage_by_agent=usage_by(state["calls"], "agent"),
    )


def origin(retrieved: Retrieved, checked: Checked) -> Origin:
    """Who wrote the weights."""
    if not checked.weights:
        return "neighbours"
    return "model" if len(checked.weights) == len(retrieved.terms) else "mixed"


def _weights(
    retrieved: Retrieved, parts: list[Part], checked: Checked, steps: Normalised
) -> list[Weight]:
    reasons = {reason.feature: reason for part in parts for reason in part.reasons}
    found = []
    for place, term in enumerate(retrieved.terms):
        reason = reasons.get(term.name)
        found.append(
            Weight(
                feature=term.name, meaning=term.meaning, weight=steps.weights[place],
                written=checked.weights.get(term.name), clipped=steps.clipped[place],
                scaled=steps.scaled[place], neighbours=steps.neighbours[place],
                direction=reason.direction if reason else "",
                because=reason.because if reason else "",
            )
        )  # fmt: skip
    return found
