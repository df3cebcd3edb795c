"""Hypernetwork Agent: reads a new ad and writes the weights of its click model (arXiv 2604.12096).

`read` sums the ad up and guesses its intercept, `write` reasons about a batch of features and then gives
their weights, and `level` answers for one feature by one token, for models too weak to write numbers.
Few-shot chain of thought is the paper's; prompts, batches, schema and levels are ours, since it does not
publish its own. Replies are taken as they come: unknown, missing and wild weights are for
`tools/ctr/weights.py` to sort out, and only a reply that is no such object is asked again.

Examples come first in a request and the features last, so that a server has the rest in its cache.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict, Field, JsonValue, create_model, field_validator

from merchgraph.prompts.load import FOLDER, fenced, prompt
from merchgraph.runtime.structured import ask, choose

Level = Literal["--", "-", "0", "+", "++"]
LEVELS: tuple[Level, ...] = ("--", "-", "0", "+", "++")

AD = 600
"""Longest text of an ad in a prompt, in characters."""
LINE = 100
"""Longest text in a reply, for servers that constrain."""
MOST_REASONS = 4
HUNDREDTHS = 100
"""Weights are told and written in hundredths: whole numbers, which small models end in time."""
LARGEST = 100
"""What a server that constrains may write: 1 per standard deviation, more than any ad ever had."""
TOKENS_READ, TOKENS_REASON, TOKENS_WEIGHT = 240, 80, 24


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


class Example(_Told):
    """A retired ad as a model is shown it.

    Attributes:
        picture: a data URL or a web address; "" for none.
        intercept: of its click model.
    """

    text: str
    picture: str = ""
    intercept: float


class Known(_Told):
    """A feature as a model is told of it.

    Attributes:
        usual: weights that a tenth, half and nine tenths of all retired ads lie below.
        shown: its weights in the examples, in their order.
        levels: the same as levels.
    """

    name: str
    meaning: str
    usual: tuple[float, float, float]
    shown: tuple[float, ...] = ()
    levels: tuple[Level, ...] = ()


class Brief(_Told):
    """The new ad and the examples; what every request of a run begins with.

    Attributes:
        picture: of the new ad; only for a model that sees, as are those of the examples.
    """

    text: str
    picture: str = ""
    examples: tuple[Example, ...] = ()

    def conversation(self, task: str) -> list[BaseMessage]:
        """The messages of one request; OpenAI content parts where there is a picture."""
        listed = [
            prompt("hyper/example", number=number, text=fenced(example.text, AD),
                   intercept=f"{example.intercept:+.2f}")
            for number, example in enumerate(self.examples, start=1)
        ]  # fmt: skip
        told = "\n".join(listed) or "(none)"
        about = prompt("hyper/ads", examples=told, text=fenced(self.text, AD))
        content: list[str | dict[Any, Any]] = [{"type": "text", "text": about}]
        pictures = [(f"ad {n}", one.picture) for n, one in enumerate(self.examples, start=1)]
        for of, url in [*pictures, ("the new ad", self.picture)]:
            if url:
                content += [
                    {"type": "text", "text": f"The picture of {of}:"},
                    {"type": "image_url", "image_url": {"url": url}},
                ]
        if len(content) == 1:
            asked = HumanMessage(f"{about}\n\n{task}")
        else:
            asked = HumanMessage([*content, {"type": "text", "text": task}])
        return [SystemMessage(prompt("hyper/system")), asked]


def _short(default: str = "") -> Any:
    return Field(default, json_schema_extra={"maxLength": LINE})


class Reading(BaseModel):
    """What a model makes of a new ad; numbers are None where it gave no finite one."""

    model_config = ConfigDict(frozen=True)

    visual: str = _short()
    offer: str = _short()
    audience: str = _short()
    intercept: float | None = None
    confidence: float | None = None

    @field_validator("intercept")
    @classmethod
    def _log_odds(cls, value: float | None) -> float | None:
        return None if value is None or not math.isfinite(value) else min(max(value, -15.0), 5.0)

    @field_validator("confidence")
    @classmethod
    def _share(cls, value: float | None) -> float | None:
        return None if value is None or not math.isfinite(value) else min(max(value, 0.0), 1.0)


class Reason(BaseModel):
    """Why a feature has its weight."""

    model_config = ConfigDict(frozen=True)

    feature: str
    direction: Literal["+", "-", "0"]
    strength: int = Field(json_schema_extra={"enum": [0, 1, 2, 3]})
    because: str = Field(json_schema_extra={"maxLength": LINE})


class Written(BaseModel):
    """A reply as it came: any key -> its weight in log-odds, or whatever JSON value stands there."""

    model_config = ConfigDict(frozen=True)

    reasoning: list[Reason]
    weights: dict[str, JsonValue]


@dataclass(frozen=True)
class Hypernetwork:
    """Writes click models."""

    model: BaseChatModel

    async def read(self, brief: Brief) -> Reading:
        """What is offered to whom, and a guess of the intercept.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        messages = brief.conversation(prompt("hyper/read"))
        return await ask(self.model, messages, Reading, agent="read", max_tokens=TOKENS_READ)

    async def write(
        self, brief: Brief, reading: Reading | None, features: Sequence[Known]
    ) -> Written:
        """Reasons and weights for a batch of features, at least one.

        Args:
            brief: the ad and examples whose weights the features show.
            reading: what `read` found; None where it failed.
            features: about twenty at most: of a longer list models lose some.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        count, names = len(features), tuple(feature.name for feature in features)
        columns = ", ".join(f"ad {n}" for n in range(1, len(brief.examples) + 1))
        task = prompt(
            "hyper/write",
            found=_found(reading),
            columns=f" | weights in {columns}" if columns else "",
            features="\n".join(_line(feature) for feature in features),
            count=count,
            reasons=min(MOST_REASONS, count),
        )
        limit = TOKENS_REASON * min(MOST_REASONS, count) + TOKENS_WEIGHT * count
        reply = await ask(
            self.model, brief.conversation(task), _schema(names), agent="write", max_tokens=limit
        )
        weights = {key: _weight(value) for key, value in reply.weights.items()}
        return Written.model_validate(reply.model_dump() | {"weights": weights})

    async def level(
        self, brief: Brief, feature: Known, *, calibrate: bool = False
    ) -> dict[Level, float]:
        """The probability of each level of one feature's weight, from -- to ++.

        Args:
            brief: as of `write`.
            feature: which.
            calibrate: divide by what the model says of an ad without text, for weak models, which say
                one level to nearly every feature; one call more.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        odds = await self._odds(brief, feature)
        if calibrate:
            nothing = await self._odds(
                brief.model_copy(update={"text": "", "picture": ""}), feature
            )
            odds = {level: odds[level] / nothing[level] for level in LEVELS}
        whole = sum(odds.values())
        return {level: odds[level] / whole for level in LEVELS}

    async def _odds(self, brief: Brief, feature: Known) -> dict[Level, float]:
        shown = ", ".join(f"ad {n}: {level}" for n, level in enumerate(feature.levels, start=1))
        task = prompt(
            "hyper/level",
            name=fenced(feature.name),
            meaning=fenced(feature.meaning),
            shown=f"Of the earlier ads: {shown}." if shown else "",
        )
        odds = await choose(self.model, brief.conversation(task), LEVELS, agent="level")
        return {level: odds[level] for level in LEVELS}


@cache
def prompt_version() -> str:
    """12 hex digits that change with any prompt of this agent."""
    digest = hashlib.sha256()
    for file in sorted((FOLDER / "hyper").glob("*.md")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _found(reading: Reading | None) -> str:
    if reading is None:
        return ""
    visual = f"Picture: {fenced(reading.visual)}." if reading.visual else ""
    return prompt(
        "hyper/found", visual=visual, offer=fenced(reading.offer), audience=fenced(reading.audience)
    )


def _line(feature: Known) -> str:
    columns = [_numbers(feature.usual)] + ([_numbers(feature.shown)] if feature.shown else [])
    return " | ".join([f"- {fenced(feature.name)}: {fenced(feature.meaning)}", *columns])


def _numbers(weights: Sequence[float]) -> str:
    return " ".join(f"{round(weight * HUNDREDTHS):+d}" for weight in weights)


def _weight(written: JsonValue) -> JsonValue:
    """Log-odds from hundredths; what is no number as it stands."""
    if isinstance(written, bool) or not isinstance(written, int | float):
        return written
    try:
        return written / HUNDREDTHS
    except OverflowError:  # a whole number of a thousand digits
        return None


@cache
def _schema(names: tuple[str, ...]) -> type[Written]:
    """The reply for these features: a server that constrains writes each weight once, and no other.

    What comes back from one that does not is refused only if it is no such object at all.
    """
    reasons = Field(json_schema_extra={"minItems": 1, "maxItems": min(MOST_REASONS, len(names))})
    reason = create_model(
        "Reason",
        __base__=Reason,
        __doc__="Why a feature has its weight.",
        feature=(str, Field(json_schema_extra={"enum": list(names)})),
    )

    def exactly(schema: dict[str, Any]) -> None:
        schema.clear()
        number = {"type": "integer", "minimum": -LARGEST, "maximum": LARGEST}
        schema |= {"type": "object", "properties": dict.fromkeys(names, number)}
        schema |= {"required": list(names), "additionalProperties": False}

    return create_model(
        "ClickModel",
        __base__=Written,
        __doc__="Reasons, then the weights of a click model.",
        reasoning=(list[reason], reasons),  # type: ignore[valid-type]
        weights=(dict[str, JsonValue], Field(json_schema_extra=exactly)),
    )
