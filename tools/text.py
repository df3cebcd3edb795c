"""Text as a person reads it: characters, words, and the forms of a word.

    length("Café 👨‍👩‍👧")             # 6: a family is one character, and so is é in two code points
    stems("Free DELIVERIES")          # ("free", "deliveri")
    trim("Fresh bread & milk", 13)    # "Fresh bread"

A character is an extended grapheme cluster of Unicode (UAX #29). Words are compared in a plain form,
in which case, width, soft hyphens and invisible characters do not count. Forms of a word are found by
the English Snowball stemmer (Porter2), so irregular ones (shelf, shelves) stay apart; a word with
letters beyond a to z is compared as it is. Scripts without spaces count each letter as a word.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

import regex

from merchgraph.runtime.errors import SetupError

_CLUSTER = regex.compile(r"\X")
# Marks that stay after composing stand on no letter that has them, as in struck-out text.
_IGNORED = regex.compile(r"\p{DI}")
_UNSEEN = regex.compile(r"[\p{DI}\u0300-\u036F]")
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
_LETTERS = rf"[[\p{{L}}\p{{M}}\p{{N}}]--{_UNSPACED}]"
_WORD = regex.compile(
    rf"\d+(?:[.,]\d+)+|{_LETTERS}+(?:'{_LETTERS}+)*|{_UNSPACED}\p{{M}}*", regex.VERSION1
)
_APOSTROPHES = str.maketrans("\u2019\u02bc\u2018", "'''")
_ENGLISH = regex.compile(r"[a-z']+")
_LOOSE_END = regex.compile(r"(?r)[\s,;:&/\u2013\u2014-]+$")
# The stemmer works on itself as it goes, so that two threads must not share a call.
_LOCK = threading.Lock()


class _Stemmer(Protocol):
    def stemWord(self, word: str) -> str: ...


def graphemes(text: str) -> list[str]:
    """The text's characters as a person counts them; joined, they are the text."""
    return _CLUSTER.findall(text)


def length(text: str) -> int:
    """The number of characters as a person counts them."""
    if text.isascii() and "\r" not in text:
        return len(text)
    return len(graphemes(text))


@lru_cache(maxsize=512)
def plain(text: str) -> str:
    """The text for comparing: NFKC, case folded, without invisible characters and stray marks."""
    folded = unicodedata.normalize("NFKC", _IGNORED.sub("", text)).casefold()
    folded = unicodedata.normalize("NFKC", folded)
    return _UNSEEN.sub("", folded).translate(_APOSTROPHES)


def words(text: str) -> list[str]:
    """The words in their plain form; a number with its marks (1,000.50) is one."""
    return _WORD.findall(plain(text))


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """What the forms of a plain English word share; any other word as it is."""
    if not _ENGLISH.fullmatch(word):
        return word
    with _LOCK:
        return _stemmer().stemWord(word)


@lru_cache(maxsize=512)
def stems(text: str) -> tuple[str, ...]:
    """The words of a text, each by what its forms share."""
    return tuple(stem(word) for word in words(text))


def find(phrase: str, text: str) -> int | None:
    """The index of the word at which a phrase begins in a text, in any form of its words.

    None if it is not there, or the phrase has no words.
    """
    wanted, there = stems(phrase), stems(text)
    if not wanted:
        return None
    for start in range(len(there) - len(wanted) + 1):
        if there[start : start + len(wanted)] == wanted:
            return start
    return None


def found(phrases: Iterable[str], text: str) -> list[str]:
    """Those of the phrases that are in a text, in any form of their words."""
    there = set(stems(text))
    return [
        phrase
        for phrase in phrases
        if there.issuperset(stems(phrase)) and find(phrase, text) is not None
    ]


def trim(text: str, limit: int) -> str:
    """The text's beginning up to a word's end, in at most `limit` characters.

    A first word that is longer than the limit is cut between two characters; a mark or "&" left
    hanging at the cut goes too.

    Raises:
        SetupError: the limit is below 1.
    """
    if limit < 1:
        raise SetupError(f"A text is trimmed to {limit!r} characters; give at least 1.")
    there = graphemes(text)
    if len(there) <= limit:
        return text
    end = limit
    while end and not there[end].isspace():
        end -= 1
    return finished("".join(there[:end])) or "".join(there[:limit])


def finished(text: str) -> str:
    """The text without the blanks, marks or "&" that hang at its end after a cut."""
    return _LOOSE_END.sub("", text)


def clip(text: str, longest: int = 40) -> str:
    """A short quotation of a text of any length, with … where it was cut."""
    # a character may be a pile of any number of code points
    there = graphemes(text[: longest * 8])
    short = "".join(there[:longest])
    return text if short == text else short + "…"


@lru_cache(maxsize=1)
def _stemmer() -> _Stemmer:
    from snowballstemmer.english_stemmer import EnglishStemmer

    stemmer: _Stemmer = EnglishStemmer()
    return stemmer
