"""The hypernetwork graph's request, context, state and result; `hyper.py` has the flow."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from merchgraph.agents.hypernetwork import Brief, Example, Known, Level, Reading, Reason
from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.ledger import Call
from merchgraph.runtime.models import DEFAULT_MODEL, chat_model
from merchgraph.runtime.node import RunError
from merchgraph.tools.ctr.entries import Entry
from merchgraph.tools.ctr.weights import LEVELS, Checked, Near, Normalised, level_of

AgentName = Literal["read", "write", "level"]
AGENTS: tuple[AgentName, ...] = ("read", "write", "level")
QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""Of each feature's weights in the pool: what the clip, the levels and the prompts need."""


class Request(BaseModel):
    """For which ad."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(
        default="Organic baby food pouches with apple, pear and spinach",
        min_length=1, max_length=10_000, description="what the ad says",
    )  # fmt: skip
    image: str = Field(
        default="", description="its picture: a path, a data URL or a web address; empty for none"
    )
    id: str = Field(default="", description="the ad's id; the hash of its content if empty")


class Context(BaseModel):
    """The settings of one run."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(default=DEFAULT_MODEL, description="PROVIDER/MODEL of all agents")
    models: dict[AgentName, str] = Field(
        default_factory=dict, description="other models for single agents"
    )
    data: str = Field(
        default="complete_journey", description="the shop whose retired ads are known"
    )
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="of the shop's split into pool and test"
    )
    neighbours: int = Field(
        default=5, ge=1, le=50, description="retired ads like the new one that its weights lean on"
    )
    shots: int = Field(
        default=5,
        ge=0,
        le=10,
        description="of them, how many the model is shown with their weights",
    )
    by: Literal["writing", "levels"] = Field(
        default="writing",
        description="write the weights as numbers, or choose one of --, -, 0, + and ++ per feature: "
        "quantiles of its weights in the pool",
    )
    batch: int = Field(default=20, ge=1, le=100, description="features of one reply when writing")
    calibrate: bool = Field(
        default=False,
        description="levels relative to an ad without text, for weak models; one call more a feature",
    )
    share: float = Field(
        default=0.7, ge=0, le=1,
        description="lambda: the model's share of a weight; the rest is the neighbours' mean",
    )  # fmt: skip
    clip: str = Field(
        default="",
        description="folder of a CLIP model that sentence-transformers saved, to find neighbours by "
        "text and picture; by text alone if empty",
    )
    store: str | None = Field(
        default=None, description="file in which to keep the weights; null: keep none"
    )
    temperature: float = Field(default=0.0, ge=0, le=2, description="sampling temperature")
    deterministic: bool = Field(
        default=False, description="same request, same bits: no prompt cache (slower)"
    )

    @model_validator(mode="after")
    def _shots_are_neighbours(self) -> Context:
        if self.shots > self.neighbours:
            raise ValueError(
                f"shots is {self.shots}, but only {self.neighbours} neighbours are looked for; lower "
                f"shots to {self.neighbours} or raise neighbours to {self.shots}"
            )
        return self

    def agent_model(self, agent: AgentName) -> ChatModel:
        """The live model of an agent."""
        name = self.models.get(agent, self.model)
        return chat_model(name, temperature=self.temperature, deterministic=self.deterministic)

    @property
    def writer(self) -> AgentName:
        """The agent that the weights come from."""
        return "write" if self.by == "writing" else "level"

    @property
    def pool(self) -> dict[str, Any]:
        """What names the pool; tools that read it are on the tape under these values."""
        return self.model_dump(include={"data", "seed"})

    @property
    def reads(self) -> dict[str, Any]:
        """What `retrieve` depends on; its answer is on the tape under these values."""
        return self.model_dump(include={"data", "seed", "neighbours", "clip"})


class Term(BaseModel):
    """A feature of the pool, with `QUANTILES` of its weights there."""

    model_config = ConfigDict(frozen=True)

    name: str
    meaning: str
    quantiles: tuple[float, ...]

    def at(self, q: float) -> float:
        """One of the quantiles."""
        return self.quantiles[QUANTILES.index(q)]

    @property
    def levels(self) -> dict[Level, float]:
        """The weight that each level stands for."""
        return {level: self.at(q) for level, q in LEVELS.items()}


class Neighbour(BaseModel):
    """A retired ad like the new one; `weights` are in the order of the terms."""

    model_config = ConfigDict(frozen=True)

    id: str
    text: str
    picture: str = ""
    cosine: float
    weights: tuple[float, ...]
    intercept: float
    rate: float
    exposures: float


class Retrieved(BaseModel):
    """What is known before a model is asked: the dictionary, the neighbours, the new ad's picture."""

    model_config = ConfigDict(frozen=True)

    terms: list[Term]
    neighbours: list[Neighbour]
    picture: str = ""

    @property
    def names(self) -> list[str]:
        """The features, in the order of every weight vector."""
        return [term.name for term in self.terms]

    @property
    def near(self) -> Near:
        """The same for `normalise`."""
        return Near(
            np.array([one.weights for one in self.neighbours]),
            [one.cosine for one in self.neighbours],
            np.array([term.at(0.01) for term in self.terms]),
            np.array([term.at(0.99) for term in self.terms]),
        )

    def pictures(self, shots: int) -> list[str]:
        """Of the new ad and of the examples, those that there are."""
        shown = [self.picture, *(one.picture for one in self.neighbours[:shots])]
        return [url for url in shown if url]

    def brief(self, text: str, shots: int, *, pictures: bool) -> Brief:
        """What every request of a run begins with."""
        examples = tuple(
            Example(text=one.text, picture=one.picture if pictures else "", intercept=one.intercept)
            for one in self.neighbours[:shots]
        )
        return Brief(text=text, picture=self.picture if pictures else "", examples=examples)

    def known(self, shots: int) -> list[Known]:
        """The features as a model is told of them."""
        told = []
        for place, term in enumerate(self.terms):
            shown = tuple(one.weights[place] for one in self.neighbours[:shots])
            told.append(
                Known(
                    name=term.name, meaning=term.meaning,
                    usual=(term.at(0.1), term.at(0.5), term.at(0.9)), shown=shown,
                    levels=tuple(level_of(weight, term.levels) for weight in shown),
                )
            )  # fmt: skip
        return told


class Part(BaseModel):
    """What a model wrote for a batch of features, word for word."""

    features: list[str]
    weights: dict[str, JsonValue]
    reasons: list[Reason] = Field(default_factory=list)


class Calibration(BaseModel):
    """The intercept that gives the reference users the wanted rate.

    Attributes:
        wanted: clicks per exposure, the neighbours' mean weighted by cosine.
        start: logit(wanted) - mean of w . z, the first guess, with which users click at `started`.
        intercept: by bisection, with which they click at `predicted`.
    """

    model_config = ConfigDict(frozen=True)

    wanted: float
    start: float
    started: float
    intercept: float
    predicted: float


def content(text: str, picture: str) -> str:
    """16 hex digits that depend on every character of an ad and every byte of its picture."""
    whole = f"{len(text)} {text} {picture}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(whole).hexdigest()[:16]


def anew(old: list[Part], new: list[Part]) -> list[Part]:
    """Gather; an empty list begins afresh, for threads that run again."""
    return [*old, *new] if new else []


class State(TypedDict, total=False):
    """The request comes in; each node sets what is named after its work, every `write` adds a part."""

    text: str
    image: str
    id: str
    retrieved: Retrieved
    seen: bool | None
    reading: Reading | None
    parts: Annotated[list[Part], anew]
    checked: Checked
    normalised: Normalised
    calibration: Calibration
    stored: Entry | None
    calls: Annotated[list[Call], operator.add]
    errors: Annotated[list[RunError], operator.add]


class Writing(TypedDict):
    """The input of one `write` branch; the levels' weights are those of its features."""

    brief: Brief
    reading: Reading | None
    features: list[Known]
    levels: list[dict[Level, float]]


def batches(state: Mapping[str, Any], context: Context) -> list[slice]:
    """The features of each branch: batches of one length, or one feature where levels are chosen."""
    count = len(state["retrieved"].terms)
    size = context.batch if context.by == "writing" else 1
    size = -(-count // -(-count // size))  # no last batch with a rest of two
    return [slice(start, start + size) for start in range(0, count, size)]


def branches(state: Mapping[str, Any], context: Context) -> int:
    """How many branches `write` will have; 1 before that is known."""
    return len(batches(state, context)) if "retrieved" in state else 1
