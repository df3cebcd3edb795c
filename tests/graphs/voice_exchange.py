"""Turns of a voice assistant with readings of a made-up detector, and a run without a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from merchgraph.agents.repairer import Kind
from merchgraph.graphs import voice_repair
from merchgraph.graphs.voice_repair import Context, Request, Result, Turn
from merchgraph.graphs.voice_repair_state import Seen

ASKED = "Set a timer for ten minutes"
WRONG = "Your timer is set for two minutes"
RIGHT = "Your timer is set for ten minutes"
KINDS: tuple[Kind, ...] = get_args(Kind)
OPTIONS = ["a timer for ten minutes", "an alarm for ten"]


def readings(*levels: float | None, step: float = 0.25, start: float = 0.25) -> list[Seen]:
    """p(error) at every step; None where the detector abstains."""
    return [
        Seen(time=start + step * n, p_error=p, why="" if p is not None else "no face in sight")
        for n, p in enumerate(levels)
    ]


def turn(
    p: float | Sequence[float | None] | None = 0.1, answered: str = WRONG, **fields: Any
) -> Turn:
    """A turn of four seconds: one level, or a level per reading."""
    levels = [p] * 16 if p is None or isinstance(p, float) else list(p)
    return Turn(asked=ASKED, answered=answered, readings=readings(*levels), **fields)


def run(*turns: Turn, **settings: Any) -> Result:
    """The graph over an exchange; lines are ready unless a model is named."""
    context = Context(**{"model": "none"} | settings)
    return voice_repair.run(Request(turns=list(turns)), context)


def actions(found: Result) -> list[str]:
    """What each look came to."""
    return [decision.action for decision in found.decisions]


def kinds(found: Result) -> list[str]:
    """What was said, by its kind."""
    return [repair.kind for repair in found.repairs]
