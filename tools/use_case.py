"""A use case of constrained copy: one campaign for one cohort, as a YAML file.

    case = load_use_case(USE_CASES / "b.yaml")
    case.checks         # ["header length", "subheader length", "keywords", "punctuation", ...]
    case.chain({"header": "...", "subheader": "..."}).passed

Its checks stand cheap to dear: code first, then those that a model judges. Each example must pass the
rules of code, so that no use case asks for what cannot be written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from merchgraph.tools.constraints import Limits, Rule, all_of, size
from merchgraph.tools.copy_rules.grounding import grounded
from merchgraph.tools.copy_rules.keywords import before, excluded, required
from merchgraph.tools.copy_rules.style import MARKS, Case, capitals, punctuation, visible
from merchgraph.tools.copy_rules.tidy import Tidy
from merchgraph.tools.text import stems
from merchgraph.tools.yaml_form import FieldFault, read_form

USE_CASES = Path(__file__).parent / "use_cases"
PartName = Literal["header", "subheader"]
Where = Literal["any", "header", "subheader"]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _has_words(phrase: str) -> str:
    if not stems(phrase):
        raise ValueError("a keyword has letters or digits")
    return phrase


Line = Annotated[str, Field(min_length=1, max_length=500)]
Phrase = Annotated[str, Field(max_length=100), AfterValidator(_has_words)]


class Span(_Form):
    """How few and how many, both inclusive."""

    least: int = Field(default=0, ge=0)
    most: int = Field(ge=1, le=1_000)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least ({self.least}) must not be above most ({self.most})")
        return self

    @property
    def limits(self) -> Limits:
        """The same for a rule."""
        return Limits(self.least, self.most)


class Part(_Form):
    """The length of one part."""

    characters: Span = Field(description="as a person counts them: an emoji is one")
    words: Span | None = None


class Order(_Form):
    """One phrase before another, in copies that have both."""

    first: Phrase
    then: Phrase


class Marks(_Form):
    """Punctuation of every part."""

    allowed: str = Field(default=MARKS, description="the marks that may be used")
    end: str | None = Field(
        default="", description='"" for none, ".!" for one of these; null: free'
    )


class UseCase(_Form):
    """Who writes what for whom, the facts to write from, and the checks a copy must pass."""

    name: Line
    role: Line = Field(description="who the writer is")
    cohort: Line = Field(description="who reads the copy")
    offer: Line = Field(description="what the campaign offers")
    facts: tuple[Line, ...] = Field(min_length=1, description="all that may be claimed")
    parts: dict[PartName, Part]
    instructions: tuple[Line, ...] = ()
    examples: tuple[dict[str, Line], ...] = Field(min_length=1, description="copies that pass")
    required: dict[Where, tuple[Phrase, ...]] = Field(default_factory=dict)
    excluded: dict[Where, tuple[Phrase, ...]] = Field(default_factory=dict)
    off_brand: tuple[Phrase, ...] = ()
    order: tuple[Order, ...] = ()
    punctuation: Marks = Marks()
    capitals: Case | None = Field(default=None, description="checked if given")
    names: tuple[Phrase, ...] = Field(default=(), description="words with capitals of their own")
    topics: tuple[Line, ...] = Field(
        default=(), description="what must be conveyed; one check each"
    )
    coherence: bool = Field(default=False, description="header and subheader belong together")
    tone: Line | None = None
    personal: bool = Field(default=False, description="written for the cohort")
    tidy: Tidy = Tidy()
    copies: int = Field(default=5, ge=1, le=50, description="different copies per call (m)")
    rounds: int = Field(default=2, ge=0, le=10, description="refinements at most (J)")

    @property
    def checks(self) -> list[str]:
        """The names of all checks, cheap to dear: the rules of code, then `judged`."""
        return [*(rule.name for rule in self.rules()), *self.judged]

    @property
    def judged(self) -> dict[str, str]:
        """What a model judges, by the check's name: the topic, the tone, the cohort."""
        topics = {f"topic {number}": topic for number, topic in enumerate(self.topics, start=1)}
        rest = {
            "coherence": "header and subheader belong together" if self.coherence else None,
            "tone": self.tone,
            "personal": self.cohort if self.personal else None,
        }
        return topics | {name: what for name, what in rest.items() if what is not None}

    @property
    def chain(self) -> Rule:
        """All rules of code as one."""
        return all_of(self.rules())

    def rules(self) -> list[Rule]:
        """The checks that need no model: lengths, words, marks, order, facts; one rule each."""
        marks = punctuation(self.punctuation.allowed, end=self.punctuation.end)
        rules = [self._length(name, part) for name, part in self.parts.items()]
        if words := self._words():
            rules.append(all_of(words).named("keywords"))
        if self.off_brand:
            rules.append(excluded(self.off_brand).named("off-brand words"))
        rules.append((visible() & marks).named("punctuation"))
        if self.capitals:
            rules.append(capitals(self.capitals, self.names))
        if self.order:
            orders = [before(order.first, order.then) for order in self.order]
            rules.append(all_of(orders).named("order"))
        return [*rules, grounded(self.facts)]

    def _length(self, name: PartName, part: Part) -> Rule:
        keep = (*self.required.get(name, ()), *self.required.get("any", ()))
        words = part.words.limits if part.words else None
        return size(name, characters=part.characters.limits, words=words, keep=keep)

    def _words(self) -> list[Rule]:
        needed = [
            required(phrases, None if where == "any" else where)
            for where, phrases in self.required.items()
        ]
        banned = [
            excluded(phrases, None if where == "any" else where)
            for where, phrases in self.excluded.items()
        ]
        return needed + banned

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if "header" not in self.parts:
            raise FieldFault("a copy has a header; give it here", "parts")
        if self.coherence and "subheader" not in self.parts:
            raise FieldFault("it compares two parts; give 'parts' a subheader", "coherence")
        for field, words in (("required", self.required), ("excluded", self.excluded)):
            for where in words:
                if where != "any" and where not in self.parts:
                    raise FieldFault("'parts' has no such part; name one that it has", field, where)
        return self

    @model_validator(mode="after")
    def _examples_pass(self) -> Self:
        chain = self.chain
        for number, example in enumerate(self.examples):
            if list(example) != list(self.parts):
                wanted = " and ".join(self.parts)
                raise FieldFault(f"it must have {wanted}, in this order", "examples", number)
            feedback = chain(example).feedback.replace("\n", "; ")
            if feedback:
                raise FieldFault(
                    f"it breaks the rules it is to show: {feedback}", "examples", number
                )
        return self


def load_use_case(path: str | Path) -> UseCase:
    """The use case in a YAML file; `USE_CASES` holds three.

    Raises:
        SetupError: there is no such file, or it cannot be read.
        DataError: it is no YAML or no use case; the message names the file, the line and the field.
    """
    return read_form(Path(path), UseCase, "use case")
