"""Made-up people who react to an assistant, with all that is known of them: where there are no videos.

    clips, planted = made(Made(expressiveness=2.0, seed=1))
    planted[clips.clips[3].name]            # Planted(begin=2.1, end=3.4, strength=1.7), None: no error

Each person has a resting face, a noise, an expressiveness and a way to react; an error is followed by one
burst of 1 to 2 s, mostly a smile of surprise (AU06, AU12), a raised brow (AU02), a dropped jaw (AU26).
A correct answer is sometimes met by a smile of its own. Gaze and head move without meaning.

With `confound`, clips of errors are longer: the face has nothing to do with it, and whoever learns from
the length will fail on clips that were cut otherwise. The figures are chosen by us; no paper has them.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from numpy.random import Generator
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.tools.reactions.data import Clip, Clips
from merchgraph.tools.reactions.windows import Floats

REACTING = ("AU06_r", "AU12_r", "AU02_r", "AU26_r")
STILL = ("AU04_r", "gaze_angle_x", "gaze_angle_y", "pose_Rx")
FEATURES = REACTING + STILL
WAYS = (3.0, 3.0, 1.5, 1.5)
"""Dirichlet weights of how a person's reaction is shared among `REACTING`; smiles come first."""
NOISE = 0.25
"""Standard deviation of a feature at rest; a burst of strength 1 has this height times 4."""
HEIGHT = 4.0
FREE_SMILE = 0.25
"""Share of correct answers that are met by a smile of 0.5 of a reaction's strength."""
SECONDS = {None: (5.0, 0.8), "error": (6.2, 0.5), "correct": (4.2, 0.5)}
"""Mean and deviation of a clip's length; those of the labels hold with the confound alone."""


class Made(BaseModel):
    """What is made up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    people: Annotated[int, Field(ge=1, le=1_000)] = 20
    clips: Annotated[int, Field(ge=1, le=1_000, description="Answers that each person gets.")] = 16
    errors: Annotated[float, Field(ge=0, le=1, description="Share of errors.")] = 0.5
    expressiveness: Annotated[
        float, Field(ge=0, le=10, description="Mean strength of a reaction; 0 shows none.")
    ] = 1.0
    confound: Annotated[bool, Field(description="Clips of errors are longer.")] = False
    rate: Annotated[float, Field(ge=1, le=240, description="Frames a second.")] = 25.0
    missing: Annotated[float, Field(ge=0, lt=1, description="Share of frames with no face.")] = 0.03
    seed: Annotated[int, Field(ge=0)] = 0


class Planted(NamedTuple):
    """The reaction to an error: seconds from the start of the clip, and how strong it is."""

    begin: float
    end: float
    strength: float


class _Person(NamedTuple):
    """Resting face (F,), size of the noise, mean strength of a reaction, its shares (4,)."""

    rest: Floats
    noise: float
    strength: float
    shares: Floats


def made(settings: Made) -> tuple[Clips, dict[str, Planted | None]]:
    """Clips in the order in which each person met them, and the planted reaction of each."""
    rng = np.random.default_rng(settings.seed)
    clips: list[Clip] = []
    planted: dict[str, Planted | None] = {}
    for number in range(settings.people):
        person = _person(settings, rng)
        erred = rng.permutation(settings.clips) < round(settings.errors * settings.clips)
        for n, error in enumerate(erred):
            name = f"p{number:02}_{n:02}"
            label = "error" if error else "correct"
            seconds = _length(label, settings, rng)
            reaction = _reaction(seconds, person.strength, rng) if error else None
            values = _values(seconds, person, reaction, settings, rng)
            times = np.arange(len(values)) / settings.rate
            place = (n + 0.5) / settings.clips
            clips.append(Clip(name, f"p{number:02}", label, times, values, seconds, place))
            planted[name] = reaction
    return Clips(FEATURES, tuple(clips)), planted


def _person(settings: Made, rng: Generator) -> _Person:
    still = rng.normal(0.0, 0.3, len(STILL) - 1)
    return _Person(
        rest=np.concatenate([rng.gamma(2.0, 0.3, len(REACTING) + 1), still]),
        noise=NOISE * float(rng.uniform(0.7, 1.4)),
        strength=settings.expressiveness * float(rng.gamma(3.0, 1 / 3)),
        shares=rng.dirichlet(WAYS),
    )


def _length(label: str, settings: Made, rng: Generator) -> float:
    mean, spread = SECONDS[label if settings.confound else None]
    return float(np.clip(rng.normal(mean, spread), 3.0, 8.0))


def _reaction(seconds: float, strength: float, rng: Generator) -> Planted:
    long = rng.uniform(1.0, 2.0)
    begin = rng.uniform(0.6, seconds - long)
    return Planted(float(begin), float(begin + long), strength * float(rng.uniform(0.6, 1.4)))


def _values(
    seconds: float, person: _Person, reaction: Planted | None, settings: Made, rng: Generator
) -> Floats:
    """(n, F) of one clip; frames without a face are NaN."""
    times = np.arange(int(seconds * settings.rate)) / settings.rate
    values = person.rest + person.noise * _wandering((len(times), len(FEATURES)), settings, rng)
    shown = [] if reaction is None else [(reaction, person.shares)]
    if reaction is None and rng.random() < FREE_SMILE:
        smile = _reaction(seconds, 0.5 * person.strength, rng)
        shown.append((smile, np.array([0.5, 0.5, 0.0, 0.0])))
    for burst, shares in shown:
        along = np.clip((times - burst.begin) / (burst.end - burst.begin), 0.0, 1.0)
        height = HEIGHT * NOISE * burst.strength * np.sin(np.pi * along) ** 2
        values[:, : len(REACTING)] += height[:, None] * shares
    intensities = [n for n, name in enumerate(FEATURES) if name.startswith("AU")]
    values[:, intensities] = np.clip(values[:, intensities], 0.0, 5.0)
    values[rng.random(len(times)) < settings.missing] = np.nan
    return np.asarray(values)


def _wandering(shape: tuple[int, int], settings: Made, rng: Generator) -> Floats:
    """(n, F) noise of variance 1 whose memory is half a second, whatever the frame rate."""
    keep = float(np.exp(-1 / (0.5 * settings.rate)))
    steps = rng.normal(size=shape)
    steps[1:] *= np.sqrt(1 - keep**2)
    for n in range(1, shape[0]):
        steps[n] += keep * steps[n - 1]
    return np.asarray(steps)
