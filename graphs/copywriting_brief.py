"""A use case as agents are told of it: its checks in words, and what its evaluators look for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from merchgraph.agents.copy_evaluators import Guideline, Kind
from merchgraph.agents.copywriter import Brief
from merchgraph.agents.refiner import Shot
from merchgraph.tools.constraints import Limits
from merchgraph.tools.copy_rules.mend import shortened
from merchgraph.tools.copy_rules.style import Case
from merchgraph.tools.use_case import PartName, Span, UseCase

NAMED: tuple[Kind, ...] = ("coherence", "tone", "personal")
"""Judged checks with an evaluator of their own name; all others are topics."""
CASES: dict[Case, str] = {
    "any": "No word stands all in capitals.",
    "sentence": "Capitals only where a sentence begins and in names.",
    "title": "Each word but the small ones begins with a capital; none stands all in capitals.",
}


def brief(case: UseCase) -> Brief:
    """The use case as the writer, the evaluators and the reviser read it."""
    examples: list[dict[str, str]] = [dict(copy.items()) for copy in case.examples]
    return Brief(
        role=case.role,
        cohort=case.cohort,
        offer=case.offer,
        facts=case.facts,
        instructions=case.instructions,
        requirements=tuple(requirements(case)),
        examples=tuple(examples),
        parts=tuple(case.parts),
        longest=2 * max(part.characters.most for part in case.parts.values()),
    )


def shots(case: UseCase) -> list[Shot]:
    """Two revisions to learn from: examples that code has broken, back to what they were.

    One is told too long, the other cut down to its first words; what is wrong with them the checks say.
    """
    made = []
    examples: list[dict[str, str]] = [dict(copy.items()) for copy in case.examples[:2]]
    for example, broken in zip(examples, (_doubled, _cut), strict=False):
        text = broken(example)
        faults = [line for rule in case.rules() for line in rule(text).feedback.splitlines()]
        if faults:
            made.append(Shot(text=text, faults=tuple(faults[:2]), better=example))
    return made


def _doubled(copy: Mapping[str, str]) -> dict[str, str]:
    part = max(copy, key=lambda name: len(copy[name]))
    return {**copy, part: f"{copy[part]} & {copy[part].lower()}"}


def _cut(copy: Mapping[str, str]) -> dict[str, str]:
    part = max(copy, key=lambda name: len(copy[name]))
    return {**copy, part: " ".join(copy[part].split()[:2])}


def mended(case: UseCase, text: Mapping[str, str]) -> dict[str, str] | None:
    """The copy with what is too long cut in code, where that leaves fewer rules broken."""
    short = dict(text)
    for name, part in case.parts.items():
        limits = Limits(part.characters.least, part.characters.most)
        short[name] = shortened(text.get(name, ""), limits) or text.get(name, "")
    rules = case.rules()
    fewer = sum(not rule(short).passed for rule in rules) < sum(
        not rule(text).passed for rule in rules
    )
    return short if fewer else None


def guidelines(case: UseCase) -> dict[str, Guideline]:
    """What a model judges, by the name of the check."""
    kinds: dict[str, Kind] = {kind: kind for kind in NAMED}
    return {
        name: Guideline(kind=kinds.get(name, "topic"), what="" if name == "coherence" else what)
        for name, what in case.judged.items()
    }


def requirements(case: UseCase) -> Iterator[str]:
    """Every check of a use case as a sentence, in the order in which they run."""
    yield from _lengths(case)
    for where, phrases in case.required.items():
        yield f"{_named(where)} says {_all(phrases)}; forms of the words count."
    for where, phrases in case.excluded.items():
        yield f"{_named(where)} never says {_any(phrases)}, in no form of the words."
    if case.off_brand:
        yield f"The copy never says {_any(case.off_brand)}, in no form of the words."
    yield from _marks(case)
    if case.capitals:
        names = f" Written as here: {', '.join(case.names)}." if case.names else ""
        yield CASES[case.capitals] + names
    for order in case.order:
        yield f"Where a copy says both, {order.first!r} comes before {order.then!r}."
    yield "Numbers, prices and promises are those of the facts; there are no others."
    yield from _judged(case)


def _lengths(case: UseCase) -> Iterator[str]:
    for name, part in case.parts.items():
        yield f"The {name} has {_span(part.characters)} characters, blanks included."
        if part.words:
            yield f"The {name} has {_span(part.words)} words."


def _marks(case: UseCase) -> Iterator[str]:
    marks = " ".join(case.punctuation.allowed)
    yield f"Each part is one line of plain text; its marks are from {marks} and never doubled."
    if case.punctuation.end == "":
        yield "No part ends with a mark."
    elif case.punctuation.end:
        yield f"Each part ends with one of {' '.join(case.punctuation.end)}"


def _judged(case: UseCase) -> Iterator[str]:
    for topic in case.topics:
        yield f"The copy tells the reader: {topic}"
    if case.coherence:
        yield "The subheader goes on from the header: the same offer, and nothing said twice."
    if case.tone:
        yield f"The tone of every phrase: {case.tone}"
    if case.personal:
        yield f"The copy speaks to its readers and would not do for others: {case.cohort}"


def _span(span: Span) -> str:
    if span.least == span.most:
        return f"just {span.most}"
    return f"{span.least} to {span.most}" if span.least else f"at most {span.most}"


def _named(where: PartName | str) -> str:
    return "The copy" if where == "any" else f"The {where}"


def _all(phrases: Sequence[str]) -> str:
    return " and ".join(repr(phrase) for phrase in phrases)


def _any(phrases: Sequence[str]) -> str:
    return " or ".join(repr(phrase) for phrase in phrases)
