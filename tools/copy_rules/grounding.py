"""Copy against its sources: numbers, claims and content words must stand in the facts given.

    grounded(["14 coupons for baby food"])({"header": "25% off baby food"}).feedback
    # "Header says '25%', which no fact gives; remove it"

Compared are values and words, not what they are said of: with "30 stores" among the facts, "30 days"
passes. What a fact denies ("not free") is in the facts as well; write facts without such words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

import regex

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.constraints import Copy, Rule, label, quoted
from merchgraph.tools.copy_rules.word_lists import CLAIMS, FUNCTION, NUMBERS
from merchgraph.tools.text import found, plain, stem, stems, words

_AMOUNT = regex.compile(
    r"(?P<before>[#\p{Sc}]\s*|\b(?:no|nr|number)\b\.?\s*)?(?P<number>\d+(?:[.,]\d+)*)"
    r"\s*(?P<after>[%\u066A\p{Sc}]|(?:percent|per cent|pct|dollars?|cents?|euros?|usd|eur)\b)?"
)
_THOUSANDS = regex.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_UNITS = {
    "\u066a": "%", "percent": "%", "per cent": "%", "pct": "%", "dollar": "$", "dollars": "$",
    "usd": "$", "cent": "\u00a2", "cents": "\u00a2", "euro": "\u20ac", "euros": "\u20ac",
    "eur": "\u20ac", "no": "#", "nr": "#", "number": "#",
}  # fmt: skip


def grounded(sources: Iterable[str], claims: Sequence[str] = CLAIMS) -> Rule:
    """Every number, percentage, price and rank, and every claim word, stands in a source.

    A price of the sources is no support for a percentage or a bare number, nor the other way round.
    """
    sources = tuple(sources)
    amounts = {amount for source in sources for amount in _amounts(source)}
    proven = {claim for source in sources for claim in found(claims, source)}
    unproven = tuple(claim for claim in claims if claim not in proven)

    def faults(text: str) -> list[str]:
        there = _amounts(text)
        return [there[amount] for amount in there if amount not in amounts] + found(unproven, text)

    def check(copy: Copy) -> str:
        return "\n".join(
            f"{label(part)} says {quoted(strange)}, which no fact gives; remove it"
            for part, text in copy.items()
            if (strange := faults(text))
        )

    return Rule("facts", check)


def supported(sources: Iterable[str], allow: Iterable[str] = ()) -> Rule:
    """Every content word is, in some form, a word of a source or of the allow list.

    Args:
        sources: such as the features of a module's items.
        allow: more words that may be used; articles, pronouns and the like always may.

    Raises:
        SetupError: the sources have no words at all, so that no copy could pass.
    """
    known = {form for text in (*sources, *allow) for form in stems(text)}
    if not known:
        raise SetupError("No source has a word, so that no copy could pass; give at least one.")
    known |= {stem(word) for word in FUNCTION}

    def check(copy: Copy) -> str:
        return "\n".join(
            f"{label(part)} has {quoted(strange)}, found in no source; use the sources' words"
            for part, text in copy.items()
            if (strange := [word for word in words(text) if stem(word) not in known])
        )

    return Rule("supported words", check)


def _amounts(text: str) -> dict[tuple[str, str], str]:
    """The numbers of a text by kind and value, as they stand in it."""
    spoken = plain(text)
    there = {}
    for match in _AMOUNT.finditer(spoken):
        sign = (match["after"] or match["before"] or "").strip().rstrip(".").strip()
        there[_UNITS.get(sign, sign), _value(match["number"])] = match[0].strip()
    for word in words(text):
        if word in NUMBERS:
            there.setdefault(("", NUMBERS[word]), word)
    return there


def _value(number: str) -> str:
    """A number's digits without what may be written or left out: 1,000.50 is 1000.5."""
    digits = "".join(
        str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in number
    )
    if _THOUSANDS.fullmatch(digits):
        digits = digits.replace(",", "")
    digits = digits.replace(",", ".").lstrip("0")
    if digits.count(".") == 1:
        digits = digits.rstrip("0").removesuffix(".")
    return "0" + digits if not digits or digits.startswith(".") else digits
