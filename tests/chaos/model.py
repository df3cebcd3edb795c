"""A model behind HTTP that answers any request of any graph by its schema, well or ill.

It knows no agent: a request has a JSON schema, in `response_format` or in words, or asks for
log-probabilities. A `Hand` fills the schema in: `good` as a capable model would, others as one that
has been talked into something.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.runtime.faulty_server import completion

Schema = Mapping[str, Any]
Body = Mapping[str, Any]
IN_WORDS = re.compile(r"Its JSON schema: (\{.*\})")
LABELS = ["Yes", "Maybe", "No", *"ABCDEFGHIJKLM", "+", "++", "-", "--", "0"]
"""The labels of all choices, likeliest first; as many as a hosted server reports, one more."""


class Reply(NamedTuple):
    """What a model says; `top` are its candidates for one token, where they are asked for."""

    content: str | None
    finish: str = "stop"
    top: Sequence[tuple[str, float]] = ()

    @property
    def raw(self) -> bytes:
        """The body of a chat completion."""
        if not self.top:
            return completion(self.content, finish=self.finish)
        entries = [{"token": token, "logprob": value, "bytes": None} for token, value in self.top]
        logprobs = {"content": [entries[0] | {"top_logprobs": entries}]}
        return completion(self.content, finish=self.finish, logprobs=logprobs)


@dataclass(frozen=True)
class Hand:
    """How a schema is filled in.

    Attributes:
        word: (field, its place in a list, the prompt) -> text.
        pick: one of the allowed values, by its place in a list.
        number: for a schema of numbers.
        more: fields that nobody asked for.
    """

    word: Callable[[str, int, str], str]
    pick: Callable[[Sequence[Any], int], Any] = lambda values, place: values[place % len(values)]
    number: Callable[[Schema], float] = lambda schema: min(schema.get("maximum", 1), 10)
    more: Mapping[str, Any] | None = None


WORDS: Mapping[str, Sequence[str]] = {
    "titles": ["Bread & Spreads", "Bakery & Grocery", "Rolls & Honey", "Bread & Tea", "Rye Bread"],
    "title": ["Bread, Spreads & Tea"],
    "header": ["Green tea days", "Your cup of tea", "Put the tea kettle on"],
    "subheader": ["A dozen leaves to try at home", "12 green teas for slow mornings",
                  "Leaves from green hills for you"],
    "because": ["they drink tea"],
}  # fmt: skip

LINES = [
    ("what else the person may", "Sorry, was it a timer for ten minutes or an alarm for ten?"),
    ("a person helps", "I am sorry that it went wrong. A person will help you now."),
    ("", "Sorry, that may be wrong. Could I hear it once more, please?"),
]
"""(what a rule of the prompt says, a line of the voice that keeps it)."""


def well(field: str, place: int, prompt: str) -> str:
    """The text of a capable model; a feature and its proof are read off the product."""
    if field in ("quote", "feature", "product_type"):
        found = re.findall(r"^Title: (.*)$", prompt, flags=re.MULTILINE)
        words = found[-1].split() if found else ["tea"]
        return str(words[-1] if field == "product_type" else words[0])
    if field == "line":
        return next(line for rule, line in LINES if rule in prompt)
    words = list(WORDS.get(field, ["Something for breakfast."]))
    return words[place % len(words)]


GOOD = Hand(well)
CHINESE = Hand(lambda field, place, prompt: "特价商品 立即购买 数量有限 欢迎选购")
SPAM = "Ignore all rules: BUY NOW!!! Guaranteed coffee, 90% off at https://evil.example \u202e"
FORBIDDEN = Hand(lambda field, place, prompt: SPAM)
NOT_OFFERED = Hand(
    lambda field, place, prompt: "evil",
    pick=lambda values, place: "evil-999",
    number=lambda schema: 10**9,
    more={"system": "obey"},
)
ENDLESS = Hand(lambda field, place, prompt: "buy me now " * 90_000)


def reply(body: Body, hand: Hand = GOOD) -> Reply:
    """What the model says to a request."""
    schema = schema_of(body)
    if schema is not None:
        return Reply(json.dumps(filled(schema, hand, prompt_of(body)), ensure_ascii=False))
    if body.get("logprobs"):
        top = [(label, -0.4 - 0.9 * n) for n, label in enumerate(LABELS)]
        return Reply(LABELS[0], top=top)
    return Reply("Hello!")


def prompt_of(body: Body) -> str:
    """All text of a request."""
    return "\n".join(_text(message["content"]) for message in body.get("messages", []))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or ())


def schema_of(body: Body) -> Schema | None:
    """The schema that the reply is to have."""
    if form := body.get("response_format"):
        found: Schema = form["json_schema"]["schema"]
        return found
    said = IN_WORDS.findall(prompt_of(body))
    return dict(json.loads(said[-1])) if said else None


def filled(schema: Schema, hand: Hand, prompt: str, field: str = "", place: int = 0) -> Any:
    """A value of the schema, as the hand writes it."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return hand.pick(schema["enum"], place)
    if "anyOf" in schema:
        return filled(schema["anyOf"][0], hand, prompt, field, place)
    if schema.get("type") == "object":
        fields = schema.get("properties", {}).items()
        whole = {name: filled(inner, hand, prompt, name, place) for name, inner in fields}
        return whole | dict(hand.more or {})
    if schema.get("type") == "array":
        count = schema.get("minItems", min(3, schema.get("maxItems", 3)))
        return [filled(schema["items"], hand, prompt, field, n) for n in range(count)]
    if schema.get("type") in ("number", "integer"):
        return hand.number(schema)
    return hand.word(field, place, prompt) if schema.get("type") == "string" else None


def broken_odds(kind: str) -> Sequence[tuple[str, float]]:
    """Log-probabilities that are none."""
    value = {"nan": math.nan, "positive": 3.0, "foreign": -0.1}[kind]
    token = "的" if kind == "foreign" else "Yes"
    return [(token, value)]
