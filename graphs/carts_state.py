"""CARTS' request, context, state and result; `carts.py` has the flow."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field

from merchgraph.agents.feature_extractor import Product
from merchgraph.agents.refiner import Shot
from merchgraph.agents.title_writer import Limits
from merchgraph.graphs.refine import Refinement
from merchgraph.graphs.versions import Draft, Refined, Round, Stop, anew
from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.ledger import Call, Usage, usage_by
from merchgraph.runtime.models import DEFAULT_MODEL, chat_model
from merchgraph.runtime.node import RunError
from merchgraph.tools.features import Cluster, Feature, Weighting

MOST_ITEMS = 50
LEAST_CHARACTERS = 10
AgentName = Literal["extract", "draft", "relevance", "refine", "arbitrate"]
AGENTS: tuple[AgentName, ...] = ("extract", "draft", "relevance", "refine", "arbitrate")
WRITERS: frozenset[AgentName] = frozenset({"draft", "refine"})
Feedback = Literal["length", "relevance"]
Origin = Literal["model", "template"]
FIRST_MODULE = ["1082185", "1127831", "878996", "866211", "995242", "901062", "1126899", "1024306"]


class Request(BaseModel):
    """The module to be titled."""

    model_config = ConfigDict(extra="forbid")

    items: list[str] = Field(
        default=FIRST_MODULE,
        description="item ids of the shop, 1 to 50, in the order in which they are shown",
    )
    name: str | None = Field(default=None, max_length=200, description="what to call the module")


class Context(Refinement):
    """The settings of one run: the loop's and CARTS' own."""

    model: str = Field(default=DEFAULT_MODEL, description="PROVIDER/MODEL of all agents")
    models: dict[AgentName, str] = Field(
        default_factory=dict, description="other models for single agents"
    )
    data: str = Field(
        default="complete_journey", description="the shop: complete_journey, or a mapping file"
    )
    limit: int = Field(
        default=50, ge=LEAST_CHARACTERS, le=150, description="L, longest title in characters"
    )
    drafts: int = Field(default=5, ge=1, le=10, description="K, titles to draft and refine")
    clusters: int = Field(default=4, ge=1, le=12, description="m, groups of features to write from")
    coverage: float = Field(
        default=0.9, ge=0, le=1, description="share of items that a title has to be true of"
    )
    weights: Weighting = Field(
        default="equal", description="of items: all alike, or less the later they are shown"
    )
    judges: int = Field(
        default=3, ge=1, le=9, description="arbiters, each with an order of its own"
    )
    agreement: float = Field(
        default=0.7, ge=0, le=1, description="Kendall's W from which on the arbiters are heard"
    )
    allow: list[str] = Field(
        default_factory=list, description="words that a title may use whatever the items are"
    )
    banned: list[str] = Field(
        default_factory=list, description="words and phrases that no title may use"
    )
    feedback: list[Feedback] = Field(
        default=["length", "relevance"],
        description="what the refiner is told: faults of length and words, of relevance, or both",
    )
    without: list[Literal["features", "arbitration"]] = Field(
        default_factory=list, description="stages to leave out, for ablations"
    )
    temperature: float = Field(
        default=0.7, ge=0, le=2, description="of the writer and the refiner; others have 0"
    )
    seed: int = Field(
        default=0, ge=0, le=2**31, description="of the arbiters' orders, and of what writers sample"
    )
    deterministic: bool = Field(
        default=False, description="same request, same bits: no prompt cache (slower)"
    )

    def agent_model(self, agent: AgentName, draft: int = 0) -> ChatModel:
        """The live model of an agent; `draft` numbers the title that a refiner works on."""
        writes = agent in WRITERS
        return chat_model(
            self.models.get(agent, self.model),
            temperature=self.temperature if writes else 0.0,
            seed=self.seed + draft if writes else None,
            deterministic=self.deterministic,
        )

    @property
    def limits(self) -> Limits:
        """Of a title's length in characters."""
        return Limits(LEAST_CHARACTERS, self.limit)


class Goods(Product):
    """A product and the fields that features by code are read off.

    Attributes:
        category: the path "Department > Category > Type", "" if unknown.
        rarities: of its words in the shop, by stem, see `tools/rarity.py`.
    """

    category: str = ""
    brand: str | None = None
    rarities: dict[str, float] = Field(default_factory=dict)


class Extracted(BaseModel):
    """The features of one item; `answered` tells whether a model said anything of it."""

    features: list[Feature]
    answered: bool


class Brief(BaseModel):
    """What all drafts of a module are written and checked by.

    Attributes:
        about: the module as the writer is told of it; the refiner's prompts begin with it too.
        sources: a title's content words stand in one of these texts.
        clusters: all that tell the module from the rest of the shop, heaviest first; empty without
            features.
        weights: w_i by item.
        cues: what the writer is told to say: types of items and chosen clusters.
    """

    goods: list[Goods]
    about: str
    sources: list[str]
    clusters: list[Cluster]
    weights: dict[str, float]
    cues: list[str] = Field(default_factory=list)


class Choice(BaseModel):
    """The arbiters' choice.

    Attributes:
        id: of the candidate whose title it is, cut or not.
        points: Borda's by candidate; empty where nobody had to choose.
        agreement: Kendall's W of the arbiters' rankings; None where there are none.
    """

    id: str
    title: str
    trimmed: bool = False
    points: dict[str, float] = Field(default_factory=dict)
    agreement: float | None = None


class State(TypedDict, total=False):
    """The request comes in, each node adds its part: `extracted` by item, `origins` by draft.

    `shots` are the examples that the refiners of all drafts are shown.
    """

    items: list[str]
    name: str | None
    goods: list[Goods]
    extracted: Annotated[dict[str, Extracted], operator.or_]
    features: list[Feature]
    brief: Brief
    chosen: list[Cluster]
    drafts: list[Draft]
    origins: dict[str, Origin]
    shots: list[Shot]
    refined: Annotated[list[Refined], anew]
    choice: Choice
    calls: Annotated[list[Call], operator.add]
    errors: Annotated[list[RunError], operator.add]


class Reading(TypedDict):
    """The input of one `extract` branch."""

    product: Goods


class Candidate(BaseModel):
    """One title as it left the loop.

    Attributes:
        origin: whose title it is: a model's, or one by code, also if the refiner took that over.
        coverage: C, the share of items that the judge found it true of; None where nobody judged.
        points: Borda's; None where it was not shown to the arbiters.
        rounds: its versions, oldest first.
    """

    id: str
    text: str
    origin: Origin
    feasible: bool
    coverage: float | None
    points: float | None
    rounds: list[Round]
    stopped: Stop


class Result(BaseModel):
    """What a run returns.

    Attributes:
        title: the chosen title.
        feasible: whether it keeps every hard rule.
        trimmed: no candidate kept the rules, and code cut this one to the limit.
        coverage: as the candidate's, before it was cut.
        agreement: Kendall's W of the arbiters' rankings; None where nobody had to choose.
        features: by item, in the order of the request.
        clusters: the chosen ones; empty without features.
        errors: the branches that failed and what the run did without.
    """

    name: str | None
    title: str
    feasible: bool
    trimmed: bool
    coverage: float | None
    agreement: float | None
    candidates: list[Candidate]
    features: dict[str, list[Feature]]
    clusters: list[Cluster]
    errors: list[RunError]
    usage: Usage
    usage_by_agent: dict[str, Usage]


def coverage_of(version: Round) -> float | None:
    """C of a version, None where the judge gave no answer."""
    return next((found.score for found in version.findings if found.rule == "relevance"), None)


def finished(state: Mapping[str, Any]) -> list[Refined]:
    """What became of this run's drafts, in their order."""
    by_id = {refined.id: refined for refined in state["refined"]}
    return [by_id[draft.id] for draft in state["drafts"]]


def result(state: Mapping[str, Any], context: Context | None = None) -> Result:
    """What a finished run's state says, for people."""
    choice: Choice = state["choice"]
    candidates = [
        Candidate(
            id=one.id, text=one.text["title"], origin=state["origins"][one.id],
            feasible=one.feasible, coverage=coverage_of(one.version),
            points=choice.points.get(one.id), rounds=one.rounds, stopped=one.stopped,
        )
        for one in finished(state)
    ]  # fmt: skip
    won = next(one for one in candidates if one.id == choice.id)
    features: dict[str, list[Feature]] = {item.item: [] for item in state["goods"]}
    for feature in state["features"]:
        features[feature.item].append(feature)
    return Result(
        name=state.get("name"),
        title=choice.title,
        feasible=won.feasible and not choice.trimmed,
        trimmed=choice.trimmed,
        coverage=won.coverage,
        agreement=choice.agreement,
        candidates=candidates,
        features=features,
        clusters=state["chosen"],
        errors=state["errors"],
        usage=Usage.of(state["calls"]),
        usage_by_agent=usage_by(state["calls"], "agent"),
    )
