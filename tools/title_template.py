"""Titles by code: features joined, for where a model wrote none that can be used.

templates(["Bread", "Rolls"], weigh, fits, count=1)     # ["Bread & Rolls"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import TypeVar

from merchgraph.tools.copy_rules.word_lists import FUNCTION
from merchgraph.tools.text import stems

Merit = TypeVar("Merit", float, tuple[float, float])

JOINED = 3
CONSIDERED = 8
_ENDINGS = ("", " for You", " for You and Yours")
"""What makes a short feature long enough; no content word among it."""


def templates(
    features: Sequence[str],
    weigh: Callable[[str], Merit],
    fits: Callable[[str], bool],
    *,
    count: int,
) -> list[str]:
    """Different titles of one to three features, best first.

    Args:
        features: strongest first; no more than the first 8 are joined.
        weigh: how good a title is; of equal ones the shorter comes first.
        fits: whether a title keeps every rule.
        count: how many are wanted; fewer come back where fewer fit.
    """
    usable = list(dict.fromkeys(_titled(text) for text in features))
    found = {title: weigh(title) for title in _joined(usable[:CONSIDERED]) if fits(title)}
    # features beyond the first few alone, only where those gave nothing
    for text in [] if found else usable[CONSIDERED:]:
        found |= {text + end: weigh(text + end) for end in _ENDINGS if fits(text + end)}
    order = sorted(found, key=lambda title: (len(title), title))
    order.sort(key=lambda title: found[title], reverse=True)  # stable: of equals still the shorter
    kept: dict[frozenset[str], str] = {}
    for title in order:
        kept.setdefault(frozenset(stems(title)), title)
    return list(kept.values())[:count]


def _joined(features: Sequence[str]) -> Iterator[str]:
    for size in range(1, JOINED + 1):
        for some in combinations(features, size):
            if size > 1 and _repeats(some):
                continue
            *first, last = some
            title = f"{', '.join(first)} & {last}" if first else last
            yield from (title + end for end in (_ENDINGS if size == 1 else ("",)))


def _repeats(features: Sequence[str]) -> bool:
    """Whether one of the features has a word of another."""
    words = [word for text in features for word in set(stems(text))]
    return len(words) > len(set(words))


def _titled(text: str) -> str:
    """A feature with capitals: "bread ROLLS" is "Bread Rolls"; what has capitals inside stays."""
    return " ".join(
        word if word.casefold() in FUNCTION else
        word.capitalize() if word.isupper() or word.islower() else word
        for word in text.split()
    )  # fmt: skip
