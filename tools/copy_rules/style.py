"""How a copy is set: visible characters, punctuation marks, capitals.

What a person cannot see is refused, since it hides words from the other rules or turns them round; what
a script needs stays allowed: joiners inside Arabic and Indic words and inside emoji, variation
selectors and flag letters of emoji, right-to-left text itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import regex

from merchgraph.tools.constraints import Copy, Rule, label, quoted
from merchgraph.tools.text import graphemes

Case = Literal["any", "sentence", "title"]
MARKS = ".,!?&'%-:\u2019\u2013"  # the last two are the curly apostrophe and the en dash
# The longest emoji of Unicode 16 have 10 code points; a longer character is a pile of marks.
LARGEST_CHARACTER = 16

_PICTURE = r"\p{ExtPict}[\uFE0E\uFE0F]?\p{EMod}?"
_FLAG = r"\U0001F3F4[\U000E0030-\U000E0039\U000E0061-\U000E007A]{3,6}\U000E007F"
_JOINED = "Arabic Syriac Nko Devanagari Bengali Gurmukhi Gujarati Oriya Tamil Telugu Kannada"
_JOINED += " Malayalam Sinhala Khmer Myanmar Tibetan"
_SCRIPTS = "[" + "".join(rf"\p{{{name}}}" for name in _JOINED.split()) + "]"
_NEEDED = regex.compile(
    rf"{_FLAG}|{_PICTURE}(?:\u200D{_PICTURE})*|[0-9#*]\uFE0F?\u20E3"
    rf"|(?<={_SCRIPTS}\p{{M}}*)[\u200C\u200D](?={_SCRIPTS})"
)
_UNSEEN = {
    "a line break": regex.compile(r"[\n\r\v\f\u0085\p{Zl}\p{Zp}]"),
    "a control character": regex.compile(r"[\p{Cc}--[\n\r\v\f\u0085]]", regex.VERSION1),
    "an invisible character": regex.compile(r"[\p{DI}[\p{Cf}--\p{PCM}]\u2800]", regex.VERSION1),
    "a character without a shape": regex.compile(r"[\p{Cs}\p{Co}\p{Cn}]"),
}
_EDGE = regex.compile(r"^\s|\s$|\s\s")
_TWINS = r"[\p{Cyrillic}\p{Greek}\p{Armenian}\p{Cherokee}]"
_MIXED = regex.compile(rf"\b(?=\w*?\p{{Latin}})(?=\w*?{_TWINS})\w+")

_MARK = regex.compile(r"[\p{P}<>|~^`+=]")
_DOUBLED = regex.compile(r"[!?]{2,}|(\p{P})\1+|[!?][.,:;]|[.,:;][!?]")
_CLOSING = regex.compile(r"[[\p{Po}\p{Pd}]--[&%#*@'/\"]]$", regex.VERSION1)

_TOKEN = regex.compile(
    r"[\p{L}\p{M}\p{N}]+(?:['\u2019][\p{L}\p{M}]+)*|[[\p{Po}]--[,;&%#*@'/\"]]", regex.V1
)
_SMALL_WORDS = "a an and as at but by for from in into nor of off on or the to up via with"
_SMALL = frozenset(_SMALL_WORDS.split())
_LOUD = 4  # letters; shorter words in capitals are often abbreviations (TV, BBQ)


def visible() -> Rule:
    """No line breaks, control, direction or invisible characters, piled marks, idle blanks, or words
    that mix Latin letters with those of a script that looks alike.
    """
    return _by_part("characters", _unseen)


def punctuation(allowed: str = MARKS, *, end: str | None = "") -> Rule:
    """Only allowed marks, none doubled, and the wanted end of each part.

    Args:
        allowed: the marks that may be used; signs of currency and emoji are no marks.
        end: "" for no closing mark; ".!" for one of these; None for either.
    """

    def faults(text: str) -> list[str]:
        found = []
        if strange := [mark for mark in _MARK.findall(text) if mark not in allowed]:
            found.append(f"has {quoted(strange)}; allowed marks are {allowed}; remove it")
        if twice := [match[0] for match in _DOUBLED.finditer(text)]:
            found.append(f"has {quoted(twice)}; one mark is enough; keep one")
        if end == "" and _CLOSING.search(text):
            found.append(f"ends with {text[-1]!r}; it must end without a mark; remove it")
        if end and text[-1:] not in tuple(end):
            found.append(f"ends with {text[-1:]!r}; it must end with one of {end}; add it")
        return found

    return _by_part("punctuation", faults)


def capitals(case: Case = "any", names: Sequence[str] = ()) -> Rule:
    """No words shouted in capitals, and, if wanted, sentence or title case.

    Shouted are words of 4 letters or more, and two words in a row of 2 or more. Sentence case: a
    capital begins a sentence and nothing else but names and short abbreviations. Title case: a
    capital begins each word but small ones (of, the) inside.

    Args:
        names: words that are written as they stand here: "Italian", "BBQ", "iPhone".
    """
    spelled = {name for phrase in names for name in _TOKEN.findall(phrase)}

    def faults(text: str) -> list[str]:
        tokens = _TOKEN.findall(text)
        found = []
        if shouted := _shouted(tokens, spelled):
            found.append(f"shouts {quoted(shouted)}; write it in small letters")
        if wrong := _wrong_case(tokens, case, spelled | set(shouted)):
            found.append(f"has {quoted(wrong)}; {case} case is required; change the first letter")
        return found

    return _by_part("capitals", faults)


def _by_part(name: str, faults: Callable[[str], list[str]]) -> Rule:
    def check(copy: Copy) -> str:
        return "\n".join(
            f"{label(part)} {fault}" for part, text in copy.items() for fault in faults(text)
        )

    return Rule(name, check)


def _unseen(text: str) -> list[str]:
    found = []
    if _EDGE.search(text):
        found.append(
            "has blanks at an end or in a row; one between words is enough; remove the rest"
        )
    if text.isascii() and text.isprintable():
        return found
    rest = _NEEDED.sub("", text)
    for what, pattern in _UNSEEN.items():
        if match := pattern.search(rest):
            found.append(f"has {what} (U+{ord(match[0]):04X}); only visible text may be; remove it")
    if max(map(len, graphemes(text)), default=0) > LARGEST_CHARACTER:
        found.append("has a character with a pile of marks; write the plain letter")
    if mixed := _MIXED.findall(text):
        found.append(f"mixes alphabets in {quoted(mixed)}; write it in one")
    return found


def _shouted(tokens: Sequence[str], spelled: set[str]) -> list[str]:
    found = []
    last = False
    for here, token in enumerate(tokens):
        loud = token.isupper() and len(token) > 1 and token not in spelled
        if loud and (len(token) >= _LOUD or last):
            found += [tokens[here - 1], token] if last else [token]
        last = loud
    return list(dict.fromkeys(found))


def _wrong_case(tokens: Sequence[str], case: Case, spelled: set[str]) -> list[str]:
    if case == "any":
        return []
    found = []
    begins = True
    for token in tokens:
        word = token[0].isalnum()
        if word and token not in spelled and _is_wrong(token, case, begins=begins):
            found.append(token)
        begins = not word
    return found


def _is_wrong(word: str, case: Case, *, begins: bool) -> bool:
    word = regex.split("['\u2019]", word)[0]  # "I'm" is written as "I" is
    if begins:
        return word[0].islower()
    if case == "title":
        return word[0].islower() and word not in _SMALL
    return word[0].isupper() and not (word.isupper() and len(word) < _LOUD)
