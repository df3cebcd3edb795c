"""The systems of the LLM-HYPER suite that are the graph: what they ask, and what they make of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from merchgraph.runtime.ledger import Usage
from merchgraph.tools.ctr.weights import DIGITS

METHOD = "LLM-HYPER"


class Generated(BaseModel):
    """What the graph made of an ad, before lambda.

    Attributes:
        written: (F,) weights of the model, normalised; None where it wrote nothing usable.
        neighbours: (F,) mean weights of the nearest ads.
        intercept: the model's own guess.
        consistency: share of its reasons that its weights agree with.
    """

    model_config = ConfigDict(frozen=True)

    written: list[float | None]
    neighbours: list[float]
    intercept: float | None
    consistency: float | None
    usage: Usage

    def weights(self, share: float) -> list[float]:
        """(F,) with this lambda."""
        pairs = zip(self.written, self.neighbours, strict=True)
        return [
            near if own is None else round(share * own + (1 - share) * near, DIGITS)
            for own, near in pairs
        ]


@dataclass(frozen=True)
class Plan:
    """A system that is the graph: what it is asked, and how much of its answer counts.

    Attributes:
        asks: settings of the graph, the same for all that share a generation.
        share: lambda.
    """

    kind: Literal["ablation", "method"]
    asks: dict[str, Any]
    share: float


def _plans() -> dict[str, Plan]:
    asked: dict[str, dict[str, Any]] = {
        f"{shots} shots": {"by": "writing", "shots": shots} for shots in (0, 3, 5)
    }
    # without examples, what is said of an ad without text is asked once for all ads
    levels = {"by": "levels", "shots": 0}
    asked |= {"levels": levels, "calibrated levels": {**levels, "calibrate": True}}
    found = {
        f"{name} lambda {share:g}": Plan("ablation", asks, share)
        for name, asks in asked.items()
        for share in ((1, 0.7, 0.3) if asks["by"] == "writing" else (1, 0.7))
    }
    method = found.pop("5 shots lambda 0.7")
    return {**found, METHOD: Plan("method", method.asks, method.share)}


PLANS = _plans()


def source(plan: Plan) -> str:
    """The system whose generation a plan uses: the one of lambda 1."""
    return next(name for name, one in PLANS.items() if one.asks is plan.asks and one.share == 1)
