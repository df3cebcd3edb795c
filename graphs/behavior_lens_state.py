"""BehaviorLens' request, context, state and result; `behavior_lens.py` has the flow."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, TypedDict

from pydantic import BaseModel, ConfigDict, Field, model_validator

from merchgraph.agents.behavior_reasoner import MOST_CANDIDATES, Prediction
from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.endpoint import Sight
from merchgraph.runtime.errors import ModelReplyError, SetupError
from merchgraph.runtime.ledger import Call, Usage, usage_by
from merchgraph.runtime.models import DEFAULT_MODEL, chat_model
from merchgraph.runtime.node import RunError
from merchgraph.tools.charts.render import Kind, Rendering, Variant, allowed
from merchgraph.tools.histories import History

LEAST_CANDIDATES = 2


class Request(BaseModel):
    """Whose next purchase; what is left out is read from the shop's log."""

    model_config = ConfigDict(extra="forbid")

    user: str = Field(default="1", min_length=1, description="user id of the shop's log")
    history: History | None = Field(
        default=None, description="what was bought before; the user's latest purchases if unset"
    )
    candidates: list[str] | None = Field(
        default=None, min_length=LEAST_CANDIDATES, max_length=MOST_CANDIDATES,
        description="items of which one is bought next; own and popular ones if unset",
    )  # fmt: skip
    before: datetime | None = Field(default=None, description="use the log only up to this time")

    @model_validator(mode="after")
    def _each_candidate_once(self) -> Request:
        if self.candidates and len(set(self.candidates)) < len(self.candidates):
            twice = next(one for one in self.candidates if self.candidates.count(one) > 1)
            raise ValueError(f"candidates has {twice!r} twice; name each item once")
        return self


class Context(BaseModel):
    """The settings of one run."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(
        default=DEFAULT_MODEL, description="PROVIDER/MODEL; one that sees, for a picture"
    )
    rendering: Kind = Field(
        default="text",
        description="how the history is shown: as text, ranks or table to read, as scatter, "
        "flowchart or page to see, or both",
    )
    variants: list[Variant] = Field(
        default_factory=list,
        description="of a scatter plot: dates, colour; of a flowchart: gaps, merged",
    )
    size: int = Field(
        default=10, ge=LEAST_CANDIDATES, le=MOST_CANDIDATES,
        description="candidates to offer where the request names none",
    )  # fmt: skip
    data: str = Field(
        default="complete_journey", description="the shop: complete_journey, or a mapping file"
    )
    count_picture: bool = Field(
        default=False,
        description="learn how many tokens the picture costs, by one call more without it",
    )
    temperature: float = Field(default=0.0, ge=0, le=2, description="sampling temperature")
    deterministic: bool = Field(
        default=False, description="same request, same bits: no prompt cache (slower)"
    )

    @model_validator(mode="after")
    def _rendering_has_variants(self) -> Context:
        try:
            allowed(self.rendering, self.variants)
        except SetupError as error:
            raise ValueError(str(error).removesuffix(".")) from error
        return self

    def agent_model(self) -> ChatModel:
        """The live model of the agent."""
        return chat_model(
            self.model, temperature=self.temperature, deterministic=self.deterministic
        )


class State(TypedDict, total=False):
    """The request comes in; `read` sets past and offered, `show` shown and sight, then the answers."""

    user: str
    history: Any  # a history, or an object that is one: `Request` reads both
    candidates: list[str] | None
    before: Any  # a datetime, or the text of one
    past: History
    offered: list[str]
    shown: Rendering
    sight: Sight | None
    prediction: Prediction | None
    odds: dict[str, float]
    calls: Annotated[list[Call], operator.add]
    errors: Annotated[list[RunError], operator.add]


class Tokens(BaseModel):
    """Of the prediction.

    Attributes:
        prompt: text and picture of its question as it is first asked.
        picture: of these the picture's, to a token or two; None if not counted, 0 where there is none.
        written: of all its replies, repairs included.
    """

    prompt: int
    picture: int | None
    written: int

    @property
    def text(self) -> int | None:
        """The prompt without the picture; None where that was not counted."""
        return None if self.picture is None else self.prompt - self.picture


class Result(BaseModel):
    """What a run returns.

    Attributes:
        prediction: the item, None where no reply could be used.
        explanation: the reason that came with it; "" without a prediction.
        odds: item -> probability over the candidates; empty where there was no usable answer.
        candidates: in the order in which they were offered.
        shown: the history as the model got it.
        sight: what the model does with pictures, None where it was shown none; where it is "takes" the
            answer does not rest on the picture.
        seconds: of the call that predicts.
        errors: the branches that failed and what the run did without.
    """

    user: str
    prediction: str | None
    explanation: str
    odds: dict[str, float]
    candidates: list[str]
    history: History
    shown: Rendering
    sight: Sight | None
    tokens: Tokens
    seconds: float
    errors: list[RunError]
    usage: Usage
    usage_by_agent: dict[str, Usage]


def result(state: Mapping[str, Any], context: Context | None = None) -> Result:
    """What a finished run's state says, for people.

    Raises:
        SetupError: a server that answered nobody; its cause is not the history's.
    """
    _check_answered(state)
    prediction: Prediction | None = state.get("prediction")
    by_agent = usage_by(state["calls"], "agent")
    predicting = by_agent.get("predict", Usage())
    return Result(
        user=state["past"].user,
        prediction=prediction.item if prediction else None,
        explanation=prediction.explanation if prediction else "",
        odds=state.get("odds", {}),
        candidates=state["offered"],
        history=state["past"],
        shown=state["shown"],
        sight=state.get("sight"),
        tokens=_tokens(state["shown"], state["calls"]),
        seconds=predicting.seconds,
        errors=state["errors"],
        usage=Usage.of(state["calls"]),
        usage_by_agent=by_agent,
    )


def _check_answered(state: Mapping[str, Any]) -> None:
    lost = {
        one.node: one.message for one in state["errors"] if one.kind != ModelReplyError.__name__
    }
    if (
        not state.get("prediction")
        and not state.get("odds")
        and {"predict", "weigh"} <= lost.keys()
    ):
        error = SetupError(lost["predict"])
        error.calls = state["calls"]
        raise error


def _tokens(shown: Rendering, calls: Sequence[Call]) -> Tokens:
    """Of first requests only: what is asked again for lack of an answer has other texts."""
    first: dict[str, Call] = {}
    for call in calls:
        if not call.failed:
            first.setdefault(call.agent, call)
    picture = None if shown.picture else 0
    if "count" in first and "weigh" in first:
        picture = first["weigh"].prompt_tokens - first["count"].prompt_tokens
    predicting = [call for call in calls if call.agent == "predict"]
    return Tokens(
        prompt=first["predict"].prompt_tokens if "predict" in first else 0,
        picture=picture,
        written=sum(call.completion_tokens for call in predicting),
    )
