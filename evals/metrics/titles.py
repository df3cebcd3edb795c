"""How good one title of a module is, and how varied many titles are.

    rules        the hard rules, with the items' own texts as the sources of a title's words
    support      share of a title's content words that stand in the items' texts
    placed       place of a title's own module among near ones, by cosine
    distinct     share of different n-grams among all of some titles

Feasible is a title that breaks no rule. The rules are made of the same parts of `tools/` as the checks
inside CARTS, so a fault of those parts is in both; what is independent are the sources. CARTS lets a
title say what its features say, inferred ones too, while here every system is held to what the shop
says of the items, and to no allow-list: beside that, words such as "for" and "your" pass.

A title that is too long is judged, and looked for, by what of it fits: a shop would show no more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from merchgraph.tools.constraints import Limits, Rule, size
from merchgraph.tools.copy_rules.grounding import grounded, supported
from merchgraph.tools.copy_rules.style import capitals, punctuation, visible
from merchgraph.tools.copy_rules.word_lists import FUNCTION
from merchgraph.tools.text import stem, stems, words

LENGTH = "title length"
_EMPTY = frozenset(stem(word) for word in FUNCTION)


class Verdict(BaseModel):
    """What was measured of one title.

    Attributes:
        truth: item -> P(the title is true of it), by the held-out judge; empty where it gave no answer.
        cosines: between the title and the mean item of its own module, then of each near one.
        support: see `support`.
        broken: names of the rules that it breaks.
    """

    model_config = ConfigDict(frozen=True)

    truth: dict[str, float]
    cosines: list[float]
    support: float
    broken: list[str]

    def metrics(self, threshold: float) -> dict[str, float]:
        """All metrics by name, in [0, 1]; NaN is what was not judged, and retrieval without a module
        beside the own one.

        Args:
            threshold: P from which the title counts as true of an item.
        """
        judged = len(self.truth)
        held = sum(odds >= threshold for odds in self.truth.values())
        covered = held / judged if judged else math.nan
        place, among = placed(self.cosines), len(self.cosines) > 1
        feasible = not self.broken
        return {
            "coverage": covered,
            "retrieval@1": float(place == 1) if among else math.nan,
            "retrieval MRR": 1 / place if among else math.nan,
            "feasible": float(feasible),
            "feasible, C>=.8": float(feasible and covered >= 0.8) if judged else math.nan,
            "length ok": float(LENGTH not in self.broken),
            "supported": self.support,
        }


def rules(least: int, most: int, sources: Sequence[str]) -> list[Rule]:
    """The hard rules of a title: length, what can be seen, marks, capitals, words and facts with a
    source.

    Args:
        least, most: characters, both inclusive.
        sources: the items' own texts, where a title's words come from; without a word in any of
            them no title is feasible.
    """
    named = Rule("content", lambda copy: "" if _content(copy["title"]) else "it names nothing")
    length = size("title", characters=Limits(least, most)).named(LENGTH)
    no_word = Rule("supported words", lambda copy: "there is no word to make a title of")
    worded = supported(sources) if any(map(stems, sources)) else no_word
    return [length, visible(), punctuation(), capitals(), named, worded, grounded(sources)]


def broken(title: str, hard: Sequence[Rule]) -> list[str]:
    """Names of the rules that a title breaks."""
    return [rule.name for rule in hard if not rule({"title": title}).passed]


def support(title: str, sources: Sequence[str]) -> float:
    """Share of the title's content words that a source has in some form; 0 for one without any."""
    said = _content(title)
    known = {form for text in sources for form in stems(text)}
    return sum(form in known for form in said) / len(said) if said else 0.0


def placed(cosines: Sequence[float]) -> int:
    """The place of the first among all, 1 is best; equal ones count against it."""
    own, *others = cosines
    return 1 + sum(other >= own for other in others)


def distinct(titles: Sequence[str], n: int = 2) -> float:
    """Different n-grams of words over all of them, in [0, 1]; NaN where no title has n words."""
    grams = [
        tuple(said[place : place + n])
        for said in map(words, titles)
        for place in range(len(said) - n + 1)
    ]
    return len(set(grams)) / len(grams) if grams else math.nan


def _content(title: str) -> list[str]:
    return [form for form in stems(title) if form not in _EMPTY]
