"""Rules on short copy, which combine with `&` and `|`, and what a person may count in it.

    rule = size("header", characters=Limits(20, 40)) & required(["free delivery"])
    rule({"header": "Free delivery"}).feedback
    # "Header has 13 characters; allowed 20 to 40; add at least 7; keep 'free delivery'"

A copy is a mapping of its parts to their texts: a title has the one part "title", a banner a "header"
and maybe a "subheader"; a part that is not there is read as an empty text. Feedback says what was
seen, what is required and the smallest change, and quotes little of a text of any length.
More rules: `copy_rules`; their sets for a campaign: `use_case`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.text import clip, find, length, words

Copy = Mapping[str, str]
Check = Callable[[Copy], str]


class Verdict(BaseModel):
    """What a rule found in a copy."""

    model_config = ConfigDict(frozen=True)

    rule: str
    passed: bool
    feedback: str = ""
    """What was seen, what is required and the smallest change; empty when passed."""


@dataclass(frozen=True)
class Rule:
    """A named check of a copy.

    `(a & b)(copy)` passes when both pass; its feedback has a line for each that failed.
    `(a | b)(copy)` passes when either passes; its feedback is both, joined by " or ".

    Args:
        name: short and stable; a report counts by it.
        check: gives the feedback, or an empty text when the copy passes.
        parts: the rules that a chain of `&` is made of; empty for a rule of its own.
    """

    name: str
    check: Check = field(repr=False)
    parts: tuple[Rule, ...] = ()

    def __call__(self, copy: Copy) -> Verdict:
        """What the rule finds in a copy."""
        feedback = self.check(copy)
        return Verdict(rule=self.name, passed=not feedback, feedback=feedback)

    def __and__(self, other: Rule) -> Rule:
        parts = (*flatten(self), *flatten(other))
        return Rule(
            " and ".join(part.name for part in parts),
            lambda copy: "\n".join(filter(None, (part.check(copy) for part in parts))),
            parts,
        )

    def __or__(self, other: Rule) -> Rule:
        def check(copy: Copy) -> str:
            first = self.check(copy)
            second = first and other.check(copy)
            return second and f"{first} or {second}"

        return Rule(f"{self.name} or {other.name}", check)

    def named(self, name: str) -> Rule:
        """The same check as one rule under another name, which `flatten` leaves whole."""
        return Rule(name, self.check)


@dataclass(frozen=True)
class Limits:
    """How few and how many of something are allowed, both inclusive.

    Raises:
        SetupError: no number lies between them, or the least is below 0.
    """

    least: int
    most: int

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most:
            raise SetupError(
                f"Limits of {self.least!r} to {self.most!r} allow nothing; give a least that is 0 "
                f"or more, and a most that is not below it."
            )

    def fault(self, seen: int, unit: str) -> str:
        """What is wrong with a count, and by how much; empty if it is within the limits."""
        if self.least <= seen <= self.most:
            return ""
        allowed = f"{self.least} to {self.most}" if self.least < self.most else f"{self.most}"
        change = (
            f"cut at least {seen - self.most}"
            if seen > self.most
            else f"add at least {self.least - seen}"
        )
        return (
            f"{seen:,} {unit if seen != 1 else unit.removesuffix('s')}; allowed {allowed}; {change}"
        )


def flatten(rule: Rule) -> list[Rule]:
    """The rules that `&` joined, in their order; any other rule alone."""
    return list(rule.parts) or [rule]


def all_of(rules: Iterable[Rule]) -> Rule:
    """All rules as one, by `&`.

    Raises:
        SetupError: there is no rule.
    """
    chain: Rule | None = None
    for rule in rules:
        chain = rule if chain is None else chain & rule
    if chain is None:
        raise SetupError("A chain of 0 rules checks nothing; give at least one.")
    return chain


def size(
    part: str,
    *,
    characters: Limits | None = None,
    words: Limits | None = None,
    keep: Sequence[str] = (),
) -> Rule:
    """The length of one part, in characters as a person counts them and in words.

    Args:
        part: "header"; gives the rule its name, "header length".
        keep: phrases that the feedback asks to keep where the part has them.
    """

    def check(copy: Copy) -> str:
        text = copy.get(part, "")
        faults = []
        if characters:
            faults.append(characters.fault(length(text), "characters"))
        if words:
            faults.append(words.fault(_count(text), "words"))
        there = [repr(phrase) for phrase in keep if find(phrase, text) is not None]
        kept = f"; keep {', '.join(there)}" if there else ""
        return "\n".join(f"{label(part)} has {fault}{kept}" for fault in faults if fault)

    return Rule(f"{part} length", check)


def label(part: str) -> str:
    """A part's name as it begins a sentence."""
    return part[:1].upper() + part[1:]


def quoted(phrases: Iterable[str], *, most: int = 5) -> str:
    """Phrases for a feedback: each once, short and quoted, and only the first few."""
    once = list(dict.fromkeys(phrases))
    rest = f" and {len(once) - most} more" if len(once) > most else ""
    return ", ".join(repr(clip(phrase)) for phrase in once[:most]) + rest


def _count(text: str) -> int:
    return len(words(text))
