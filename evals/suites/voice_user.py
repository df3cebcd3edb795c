"""A made-up person at a voice assistant: what goes wrong, which repair helps, when patience ends.

Every figure here is our choice, and no paper has them: what comes of them is a comparison of choices in
a world that is known, and no claim about people. All chance of a dialogue is drawn before it begins, so
that every system meets the same person with the same luck.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.agents.repairer import Kind

Trouble = Literal["misheard", "misunderstood", "cannot"]
Share = Annotated[float, Field(ge=0, le=1)]
MOST_ANSWERS = 6
"""Of one dialogue, after which the person leaves."""
TROUBLES: Mapping[Trouble, float] = {"misheard": 0.5, "misunderstood": 0.35, "cannot": 0.15}
"""Why a first answer is wrong: the words, their sense, or a thing that the assistant cannot do."""
HELPS: Mapping[Trouble, Mapping[Kind, float]] = {
    "misheard": {"offer options": 0.8, "ask again": 0.75, "rephrase": 0.6, "hand over": 0.95},
    "misunderstood": {"offer options": 0.7, "ask again": 0.35, "rephrase": 0.65, "hand over": 0.95},
    "cannot": {"offer options": 0.0, "ask again": 0.0, "rephrase": 0.0, "hand over": 0.9},
}
"""How likely the answer after a repair is right."""


class Person(BaseModel):
    """How people in a simulation are.

    Attributes:
        errors: share of first answers that are wrong.
        corrects: chance that the person says by themselves that an answer was wrong; it then goes as
            after "ask again".
        stays: chance that the person goes on after a repair, and does not leave.
        options: share of requests to which the assistant has other readings to offer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    errors: Annotated[float, Field(gt=0, lt=1)] = 0.3
    corrects: Share = 0.5
    stays: Share = 0.9
    options: Share = 0.5


class Luck(NamedTuple):
    """All chance of one dialogue; the n-th answer has the n-th of each.

    Attributes:
        trouble: why an answer is wrong, if it is.
        wrong: whether the first answer is.
        options: whether there are options.
        helped, corrected, stayed, coin, clip: (MOST_ANSWERS,) uniform in [0, 1); compared with the
            chances, with the share that is doubted at random, and the place of a face among many.
        face: (MOST_ANSWERS, S) standard normal, the steps of the evidence.
    """

    trouble: Trouble
    wrong: bool
    options: bool
    helped: NDArray[np.float64]
    corrected: NDArray[np.float64]
    stayed: NDArray[np.float64]
    coin: NDArray[np.float64]
    clip: NDArray[np.float64]
    face: NDArray[np.float64]


def luck(person: Person, steps: int, seed: tuple[int, int]) -> Luck:
    """Draw a dialogue's chance.

    Args:
        person: the shares.
        steps: S, readings of an answer.
        seed: of the simulation, and the dialogue's number.
    """
    rng = np.random.default_rng(seed)
    names = list(TROUBLES)
    return Luck(
        trouble=names[int(rng.choice(len(names), p=list(TROUBLES.values())))],
        wrong=bool(rng.random() < person.errors),
        options=bool(rng.random() < person.options),
        helped=rng.random(MOST_ANSWERS),
        corrected=rng.random(MOST_ANSWERS),
        stayed=rng.random(MOST_ANSWERS),
        coin=rng.random(MOST_ANSWERS),
        clip=rng.random(MOST_ANSWERS),
        face=rng.standard_normal((MOST_ANSWERS, steps)),
    )


def helps(trouble: Trouble, kind: Kind) -> float:
    """How likely a repair of some kind brings the right answer."""
    return HELPS[trouble][kind]
