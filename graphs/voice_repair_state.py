"""The voice assistant's repair: request, context and state; `voice_repair.py` has the flow."""

from __future__ import annotations

import operator
from itertools import pairwise
from typing import Annotated, Any, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field, model_validator

from merchgraph.agents.repairer import MOST_OPTIONS, Exchange, Kind
from merchgraph.graphs.refine import Refinement, Refining
from merchgraph.graphs.versions import Draft, Refined, Stop, anew
from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.ledger import Call
from merchgraph.runtime.models import DEFAULT_MODEL, chat_model
from merchgraph.runtime.node import RunError

MOST_TURNS = 12
MOST_READINGS = 100_000
LONGEST = 500  # characters of what was said

Action = Literal["fine", "repair", "unsure"]


class Seen(BaseModel):
    """What a detector said at one moment, JSON only; the face itself is nowhere.

    Attributes:
        time: seconds.
        p_error: probability that the assistant erred, by all frames so far; None where it abstained.
        why: reason of an abstention.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    time: float = Field(allow_inf_nan=False)
    p_error: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    why: str = ""


class Turn(BaseModel):
    """One answer of the assistant, and how the person took it.

    Attributes:
        asked: the person's words.
        answered: what the assistant said or did.
        options: what else may have been meant, best first.
        at: when the answer began, in seconds of the stream.
        readings: of a detector that ran elsewhere; None where a file has the features.
        verdict: what the person said about it in words, which outweighs any face.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: str = Field(min_length=1, max_length=LONGEST)
    answered: str = Field(min_length=1, max_length=LONGEST)
    options: list[str] = Field(default_factory=list, max_length=MOST_OPTIONS)
    at: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    readings: list[Seen] | None = Field(default=None, max_length=MOST_READINGS)
    verdict: Literal["fine", "wrong"] | None = None

    @model_validator(mode="after")
    def _times_rise(self) -> Turn:
        times = [seen.time for seen in self.readings or ()]
        for before, after in pairwise(times):
            if after <= before:
                raise ValueError(
                    f"readings has the time {after:g} s after {before:g} s; sort them, one a moment"
                )
        return self

    @property
    def thing(self) -> str:
        """What is repaired once: this answer to this request, however it is spaced and cased."""
        return " -> ".join(
            " ".join(text.casefold().split()) for text in (self.asked, self.answered)
        )


def example() -> list[Turn]:
    """An answer that was wrong, and the one after its repair; what Studio shows at the first click."""
    rising = [Seen(time=n / 4, p_error=min(0.1 + 0.05 * n, 0.8)) for n in range(1, 17)]
    calm = [Seen(time=n / 4, p_error=0.1) for n in range(1, 17)]
    asked = "Set a timer for ten minutes"
    return [
        Turn(asked=asked, answered="Your timer is set for two minutes", readings=rising),
        Turn(asked=asked, answered="Your timer is set for ten minutes", readings=calm),
    ]


class Request(BaseModel):
    """An exchange to watch: each turn after a repair is what came of it."""

    model_config = ConfigDict(extra="forbid")

    turns: list[Turn] = Field(
        default_factory=example, min_length=1, max_length=MOST_TURNS,
        description="what was asked and answered, in order, with the readings of a detector",
    )  # fmt: skip
    features: str = Field(
        default="", description="CSV of a face's features, for turns without readings; see README"
    )

    @model_validator(mode="after")
    def _there_is_something_to_see(self) -> Request:
        before = -1.0
        for number, turn in enumerate(self.turns):
            if turn.readings is None and turn.verdict is None and not self.features:
                raise ValueError(
                    f"turns.{number} has neither readings nor a verdict; give it one, or name a CSV "
                    "as features"
                )
            if turn.readings is None and turn.verdict != "fine" and self.features:
                if turn.at <= before:
                    raise ValueError(
                        f"turns.{number}.at is {turn.at:g} s, but an answer before it in the file began "
                        f"at {before:g} s; give the seconds at which each began"
                    )
                before = turn.at
        return self


class Context(Refinement):
    """The settings of one run."""

    rounds: int | None = Field(
        default=1, ge=0, le=5, description="J, revisions of a line at most; 1 if null"
    )
    model: str = Field(
        default=DEFAULT_MODEL,
        description="PROVIDER/MODEL that words the repairs; none: lines that are ready",
    )
    detector: str = Field(
        default="", description="folder of a detector that reads features; see merchgraph train"
    )
    cost_ratio: float = Field(
        default=2.0, gt=0, le=1000,
        description="what a missed error costs, if a needless repair costs 1",
    )  # fmt: skip
    error_share: float | None = Field(
        default=None, gt=0, lt=1,
        description="share of answers that are wrong where it is used; as it was learnt if null",
    )  # fmt: skip
    learnt_share: float = Field(
        default=0.5, gt=0, lt=1, description="share of errors in what the detector learnt from"
    )
    margin: float = Field(
        default=0.05, ge=0, lt=0.5,
        description="p(error) this close to the threshold is no decision: it looks on",
    )  # fmt: skip
    early: float = Field(
        default=0.6, ge=0, le=1,
        description="an error as likely as this is repaired before the seconds are over",
    )  # fmt: skip
    hold_s: float = Field(
        default=0.3, ge=0, le=10,
        description="seconds that p(error) must stay as high for that; at the end, those it is of",
    )  # fmt: skip
    watch_s: float = Field(
        default=4.0, gt=0, le=60,
        description="seconds after an answer that are watched; once more as long if unsure",
    )  # fmt: skip
    face_share: float = Field(
        default=0.5, ge=0, le=1,
        description="share of these seconds in which the detector must have an answer",
    )  # fmt: skip
    repairs: int = Field(
        default=2, ge=1, le=3, description="repairs of one exchange at most; then a person is asked"
    )
    temperature: float = Field(default=0.0, ge=0, le=2, description="sampling temperature")
    deterministic: bool = Field(
        default=False, description="same request, same bits: no prompt cache (slower)"
    )

    @property
    def threshold(self) -> float:
        """The detector's p(error) at which both choices cost the same: (1 - p) = ratio * p."""
        return self.told(1 / (1 + self.cost_ratio))

    @property
    def band(self) -> tuple[float, float]:
        """Between these p(error) nothing is decided; narrower near 0 and 1, to leave room for both."""
        middle = self.threshold
        half = min(self.margin, middle / 2, (1 - middle) / 2)
        return middle - half, middle + half

    def told(self, p: float) -> float:
        """What the detector says where an error is as likely as p.

        Where errors are rarer than in what it learnt from, its p is too high by the ratio of the odds of
        an error (Elkan, The foundations of cost-sensitive learning, IJCAI 2001).
        """
        if self.error_share is None or p == 1:
            return p
        shift = _odds(self.error_share) / _odds(self.learnt_share)
        return p / (p + (1 - p) * shift)

    def agent_model(self) -> ChatModel | None:
        """The live model of the agents; None where lines are ready."""
        if self.model == "none":
            return None
        return chat_model(
            self.model, temperature=self.temperature, deterministic=self.deterministic
        )


def _odds(p: float) -> float:
    return p / (1 - p)


class Look(BaseModel):
    """Which seconds are watched.

    Attributes:
        turn: number of the turn, from 0.
        what: the answer, or the repair line said after it.
        start, end: seconds of the stream; the end is longest time, not that of a frame.
        again: whether the first look was unsure.
    """

    model_config = ConfigDict(frozen=True)

    turn: int
    what: Literal["answer", "repair"] = "answer"
    start: float = 0.0
    end: float = 0.0
    again: bool = False


class Decision(BaseModel):
    """What a look came to.

    Attributes:
        p_error: what it rests on; None where there was nothing to go by.
        at: seconds of the stream at which it was made.
        why: one sentence without its full stop.
        readings: those of the window.
    """

    model_config = ConfigDict(frozen=True)

    look: Look
    action: Action
    p_error: float | None
    at: float
    threshold: float
    why: str
    readings: list[Seen] = Field(default_factory=list)


class Repair(BaseModel):
    """A repair that was said.

    Attributes:
        thing: what was repaired, see `Turn.thing`.
        by: who worded it; "code" where the model's line broke a rule, or there is no model.
        stopped: why the model's line was not revised further; "by code" without one.
        broke: the rules that the model's best line broke, where code stepped in.
    """

    model_config = ConfigDict(frozen=True)

    turn: int
    thing: str
    kind: Kind
    line: str
    by: Literal["model", "code"]
    stopped: Stop
    broke: list[str] = Field(default_factory=list)


class State(TypedDict, total=False):
    """The request comes in; `read` checks it; every look adds a decision, every repair a line."""

    turns: Any  # turns, or objects that are such: `Request` reads both
    features: str
    checked: list[Turn]
    look: Look | None
    readings: list[Seen]
    decisions: list[Decision]
    kind: Kind | None
    drafts: list[Draft]
    refined: Annotated[list[Refined], anew]
    repairs: list[Repair]
    done: dict[str, list[Kind]]  # thing -> its repairs; stays when a thread runs again
    person_needed: bool
    person_said: str
    calls: Annotated[list[Call], operator.add]
    errors: Annotated[list[RunError], operator.add]


class Wording(Refining, total=False):
    """One line in the loop of checks and revisions."""

    exchange: Exchange
    kind: Kind
