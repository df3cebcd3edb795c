"""ARAG's context, blackboard, state and result; `arag.py` has the flow.

The board is the record of a run: what each agent wrote is read from there, by later agents and by the
result alike.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from merchgraph.agents.context_summary import ContextSummary
from merchgraph.agents.item_ranker import Ranking
from merchgraph.agents.nli import NliScore, logit
from merchgraph.agents.shopper import Shopper
from merchgraph.agents.user_understanding import Understanding
from merchgraph.graphs.arag_fair import Fair
from merchgraph.graphs.blackboard import Posted, latest, post, read
from merchgraph.graphs.fusion import TOOL_SIGNALS, TRAINED_SIGNALS, Fused, Share, Signal, fuse
from merchgraph.graphs.offers import Offer
from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.ledger import Call, Usage, usage_by
from merchgraph.runtime.models import DEFAULT_MODEL, chat_model
from merchgraph.runtime.node import RunError
from merchgraph.tools.candidates import SourceName
from merchgraph.tools.trained import ToolName

FALLBACK_ACCEPTED = 3
AgentName = Literal["understand", "nli", "summarize", "rank"]
AGENTS: tuple[AgentName, ...] = ("understand", "nli", "summarize", "rank")
Reader = Literal["understand", "nli", "summarize"]
READERS: tuple[Reader, ...] = ("understand", "nli", "summarize")
"""The agents whose findings the ranker reads; a run can do without them."""


class Context(BaseModel):
    """The settings of one run."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(default=DEFAULT_MODEL, description="PROVIDER/MODEL of all agents")
    models: dict[AgentName, str] = Field(
        default_factory=dict, description="other models for single agents"
    )
    k: int = Field(default=5, ge=1, le=200, description="items to recommend")
    candidates: int = Field(default=20, ge=1, le=200, description="items to retrieve and judge")
    sources: list[SourceName] = Field(
        default=["semantic"], min_length=1, description="where candidates come from"
    )
    data: str = Field(
        default="complete_journey", description="the shop: complete_journey, or a mapping file"
    )
    theta: float = Field(default=0.5, ge=0, le=1, description="least NLI score of an accepted item")
    evidence: bool = Field(
        default=False,
        description="let agents read what the shop's log says of each candidate: counts, as a sentence",
    )
    calibrate: bool = Field(
        default=False,
        description="NLI scores relative to a shopper of whom nothing is known; one call more an item",
    )
    rank_scope: Literal["accepted", "all"] = Field(
        default="accepted", description="what the ranker orders; the others follow by score"
    )
    fusion: dict[Signal, FiniteFloat] = Field(
        default_factory=dict,
        description="weights of signals whose sum makes the final order; the ranker's if empty",
    )
    fair: bool = Field(
        default=False, description="a last step that is fair to sellers; needs `train fairness`"
    )
    fair_ledger: str | None = Field(default=None, description="file of what sellers got so far")
    without: list[Reader] = Field(
        default_factory=list,
        description="agents to leave out, for ablations; without all three one prompt ranks",
    )
    rationales: bool = Field(default=True, description="let the judge give reasons for kept items")
    long_term_items: int = Field(default=20, ge=0, le=200, description="earlier items agents read")
    session_items: int = Field(default=10, ge=1, le=100, description="basket items agents read")
    temperature: float = Field(default=0.0, ge=0, le=2, description="sampling temperature")
    deterministic: bool = Field(
        default=False, description="same request, same bits: no prompt cache (slower)"
    )

    @model_validator(mode="after")
    def _k_within_candidates(self) -> Context:
        if self.k > self.candidates:
            raise ValueError(
                f"k is {self.k}, but only {self.candidates} candidates are judged; "
                f"lower k to {self.candidates} or raise candidates to {self.k}"
            )
        return self

    def agent_model(self, agent: AgentName) -> ChatModel:
        """The live model of an agent."""
        name = self.models.get(agent, self.model)
        return chat_model(name, temperature=self.temperature, deterministic=self.deterministic)

    @property
    def fuses_tools(self) -> bool:
        """Whether the fusion needs signals that tools measure."""
        return not TOOL_SIGNALS.isdisjoint(self.fusion)

    @property
    def trained(self) -> list[ToolName]:
        """The trained tools whose signals the fusion needs."""
        return sorted(TRAINED_SIGNALS.intersection(self.fusion))

    @property
    def reads(self) -> dict[str, Any]:
        """What `retrieve` depends on, weights left out; its answer is on the tape under these values."""
        named = {"data", "sources", "candidates", "long_term_items", "session_items", "evidence"}
        read = self.model_dump(include=named) | {"signals": self.fuses_tools}
        return read | ({"trained": self.trained} if self.trained else {})

    @property
    def single_prompt(self) -> bool:
        """Whether every reader is left out: the baseline of one call."""
        return set(self.without) == set(READERS)


class Retrieved(BaseModel):
    """I0: item ids, best first."""

    items: list[str]


class Accepted(BaseModel):
    """I+, best score first; `fallback` where none reached theta and the best stand in."""

    accepted: list[str]
    theta: float
    fallback: bool = False


class Message(Posted):
    """What was written on ARAG's blackboard."""

    opens: ClassVar[frozenset[str]] = frozenset({"retrieve"})

    payload: (
        Retrieved | Understanding | NliScore | Accepted | ContextSummary | Ranking | Fused | Fair
    )


class State(TypedDict, total=False):
    """The request comes in; `retrieve` sets shopper and offers; every agent writes on the board."""

    user: str
    session: list[str] | None
    long_term: list[str] | None
    candidates: list[str] | None
    before: Any  # a datetime, or the text of one: `Request` reads both
    shopper: Shopper
    offers: list[Offer]
    board: Annotated[list[Message], post]
    calls: Annotated[list[Call], operator.add]
    errors: Annotated[list[RunError], operator.add]


class Judging(TypedDict):
    """The input of one `nli` branch."""

    shopper: Shopper
    offer: Offer


class Ranked(BaseModel):
    """One ranked item.

    Attributes:
        score: s_NLI in [0, 1]; None where the judge failed on it or was left out.
        why: the judge's reason, for items that were kept.
        shares: with fusion, what each signal added to the sum that the item is ranked by.
    """

    rank: int
    item: str
    title: str
    score: float | None
    label: str | None
    accepted: bool
    why: str
    sources: tuple[str, ...]
    shares: dict[Signal, Share] = Field(default_factory=dict)


class Result(BaseModel):
    """What a run returns.

    Attributes:
        recommendations: the first k of the ranking.
        ranking: every candidate once, best first.
        fallback: no candidate reached theta, and the best scores stood in.
        outcomes: with `fair`, expected sales by seller, for `FairRanker.observe` once the list is shown.
        lost: with `fair`, expected sales that it cost; goes there, too.
        errors: the branches that failed and what the run did without.
    """

    user: str
    recommendations: list[Ranked]
    ranking: list[Ranked]
    understanding: Understanding | None
    context: ContextSummary | None
    fallback: bool
    outcomes: dict[str, float] = Field(default_factory=dict)
    lost: float = 0.0
    board: list[Message]
    errors: list[RunError]
    usage: Usage
    usage_by_agent: dict[str, Usage]


def accept(state: State, context: Context) -> Accepted:
    """I+ = {i : s_NLI(i, u) >= theta}, or the best three where it is empty; all without a judge."""
    scores = {score.item: score.score for score in read(state["board"], NliScore)}
    order = by_score(state)
    if "nli" in context.without:
        return Accepted(accepted=order, theta=context.theta)
    kept = [
        item
        for item in order
        if (scores[item] or 0.0) >= context.theta and scores[item] is not None
    ]
    if kept:
        return Accepted(accepted=kept, theta=context.theta)
    return Accepted(accepted=order[:FALLBACK_ACCEPTED], theta=context.theta, fallback=True)


def by_score(state: State) -> list[str]:
    """I0 by s_NLI, best first; equal scores as retrieved, unjudged items last."""
    scores = {score.item: score.score for score in read(state["board"], NliScore)}
    items = [offer.item for offer in state["offers"]]
    return sorted(items, key=lambda item: -1.0 if (s := scores[item]) is None else s, reverse=True)


def fused(state: State, ranking: Ranking, context: Context) -> Fused:
    """The candidates in the order of the fusion; equal sums as the ranker has them."""
    scores = {score.item: score.score for score in read(state["board"], NliScore)}
    offers = {offer.item: offer for offer in state["offers"]}
    signals: dict[Signal, list[float | None]] = {}
    for name in context.fusion:
        if name == "rank":
            signals[name] = [1 / place for place in range(1, len(ranking.ranking) + 1)]
        elif name == "nli":
            judged = [scores[item] for item in ranking.ranking]
            signals[name] = [None if score is None else logit(score) for score in judged]
        else:
            signals[name] = [offers[item].signals[name] for item in ranking.ranking]
    return fuse(ranking.ranking, signals, context.fusion)


def result(state: Mapping[str, Any], context: Context | None = None) -> Result:
    """What a finished run's state says, for people."""
    board, k = state["board"], (context or Context()).k
    ranking, accepted = latest(board, Fused) or latest(board, Ranking), latest(board, Accepted)
    assert ranking is not None, "a run ends with a ranking"
    assert accepted is not None, "a run ends with an accepted set"
    shares = ranking.shares if isinstance(ranking, Fused) else {}
    fair = latest(board, Fair)
    scores = {score.item: score for score in read(board, NliScore)}
    offers = {offer.item: offer for offer in state["offers"]}
    ranked = [
        Ranked(
            rank=place,
            item=item,
            title=offers[item].title,
            score=scores[item].score,
            label=scores[item].label,
            accepted=item in accepted.accepted,
            why=scores[item].rationale,
            sources=offers[item].sources,
            shares=shares.get(item, {}),
        )
        for place, item in enumerate((fair or ranking).ranking, start=1)
    ]
    return Result(
        user=state["shopper"].user,
        recommendations=ranked[:k],
        ranking=ranked,
        understanding=latest(board, Understanding),
        context=latest(board, ContextSummary),
        fallback=accepted.fallback,
        outcomes=fair.outcomes if fair else {},
        lost=fair.lost if fair else 0.0,
        board=board,
        errors=state["errors"],
        usage=Usage.of(state["calls"]),
        usage_by_agent=usage_by(state["calls"], "agent"),
    )
