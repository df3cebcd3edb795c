"""Words that a copy must have, must not have, or must have in an order.

A keyword is a word or a phrase. It is found in every form of its words (delivery, Deliveries), between
word bounds only ("art" is not in "party"), and through invisible characters, full-width letters and case.
"""

from __future__ import annotations

from collections.abc import Sequence

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.constraints import Copy, Rule, label, quoted
from merchgraph.tools.text import find, found, stems


def required(phrases: Sequence[str], part: str | None = None) -> Rule:
    """Each phrase is in the part, or in any part if none is named.

    Raises:
        SetupError: a phrase has neither letters nor digits.
    """
    _checked(phrases)

    def check(copy: Copy) -> str:
        there = {phrase for text in _texts(copy, part).values() for phrase in found(phrases, text)}
        missing = [phrase for phrase in phrases if phrase not in there]
        if not missing:
            return ""
        where = label(part) if part else "The copy"
        return f"{where} has no {quoted(missing)}; required in any form; add it"

    return Rule("keywords", check)


def excluded(phrases: Sequence[str], part: str | None = None) -> Rule:
    """No phrase is in the part, or in any part if none is named.

    Raises:
        SetupError: a phrase has neither letters nor digits.
    """
    _checked(phrases)

    def check(copy: Copy) -> str:
        return "\n".join(
            f"{label(name)} has {quoted(banned)}; not allowed in any form; say it in other words"
            for name, text in _texts(copy, part).items()
            if (banned := found(phrases, text))
        )

    return Rule("excluded words", check)


def before(first: str, then: str) -> Rule:
    """Where a copy has both phrases, the first one comes first; parts are read in their order.

    Raises:
        SetupError: a phrase has neither letters nor digits.
    """
    _checked([first, then])

    def check(copy: Copy) -> str:
        at, after = _place(first, copy), _place(then, copy)
        if at is None or after is None or at <= after:
            return ""
        return f"{then!r} comes before {first!r}; {first!r} must come first; change their order"

    return Rule("order", check)


def _place(phrase: str, copy: Copy) -> tuple[int, int] | None:
    """The part and the word at which a phrase first begins."""
    for number, text in enumerate(copy.values()):
        at = find(phrase, text)
        if at is not None:
            return number, at
    return None


def _texts(copy: Copy, part: str | None) -> Copy:
    return copy if part is None else {part: copy.get(part, "")}


def _checked(phrases: Sequence[str]) -> None:
    for phrase in phrases:
        if not stems(phrase):
            raise SetupError(
                f"The keyword {phrase!r} has neither letters nor digits; name a word or a phrase."
            )
