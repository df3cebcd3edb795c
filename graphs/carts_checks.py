"""What a title of CARTS is checked for, cheap before dear.

    length            10 to L characters                                    hard
    style             visible letters, marks, capitals, banned words        hard
    supported words   content words, numbers, claims stand in a feature     hard
    evidence          items of which the title says a feature, by code      soft
    relevance         items that the judge finds it true of: C = sum w_i R(T, i) / sum w_i

Without features (the ablation) words have to stand in the items' texts, and there is no evidence.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from merchgraph.agents.refiner import Shot
from merchgraph.agents.relevance_judge import RelevanceJudge
from merchgraph.graphs.carts_state import Brief, Context, Feedback, Goods
from merchgraph.graphs.refine import Check, Refining, coded
from merchgraph.graphs.versions import Finding, Text
from merchgraph.runtime.errors import MerchgraphError, SetupError
from merchgraph.tools.constraints import Limits, Rule, size
from merchgraph.tools.copy_rules.grounding import grounded, supported
from merchgraph.tools.copy_rules.keywords import excluded
from merchgraph.tools.copy_rules.style import capitals, punctuation, visible
from merchgraph.tools.features import content_words, told_by
from merchgraph.tools.text import clip, stems

T = TypeVar("T")

TITLE = "title"
NAMED = 3
"""Items that a feedback names."""
LONGEST = 1000
"""Code points of a title that are kept: more than any limit allows, and no megabyte in a result."""
GROUPS: dict[str, Feedback] = {
    "length": "length", "style": "length", "supported words": "length",
    "evidence": "relevance", "relevance": "relevance",
}  # fmt: skip


class Titling(Refining):
    """The loop's state, what a title of this module is checked by, and what its refiner is shown."""

    brief: Brief
    shots: list[Shot]


def checks(state: Titling, context: Context) -> list[Check]:
    """All checks of a title."""
    brief = state["brief"]

    async def relevance(text: Text) -> Finding:
        return await _relevance(text[TITLE], brief, context)

    return [*by_code(brief, context), Check("relevance", relevance, hard=False)]


def by_code(brief: Brief, context: Context) -> list[Check]:
    """The checks that ask no model."""

    async def evidence(text: Text) -> Finding:
        return _evidence(text[TITLE], brief, context)

    hard = [coded(rule) for rule in rules(brief, context)]
    return [*hard, Check("evidence", evidence, hard=False)] if brief.clusters else hard


def rules(brief: Brief, context: Context) -> list[Rule]:
    """The hard ones.

    Raises:
        SetupError: a banned phrase has neither letters nor digits.
    """
    limits = Limits(context.limits.least, context.limits.most)
    style = visible() & punctuation() & capitals()
    if context.banned:
        style = style & excluded(context.banned)
    return [
        size(TITLE, characters=limits).named("length"),
        style.named("style"),
        _words(brief.sources, context.allow).named("supported words"),
    ]


def requirements(brief: Brief, context: Context) -> list[str]:
    """Every requirement as the refiner is told of it."""
    least, most = context.limits.least, context.limits.most
    wanted = [
        f"The title has {least} to {most} characters, spaces included.",
        "It is plain text in one line: no words in capitals, no doubled mark and none at the end.",
        "Its words stand in the text above, apart from small words such as and, for or with.",
        f"It is true of {context.coverage:.0%} of the {len(brief.goods)} products or more.",
    ]
    if context.banned:
        wanted.append(f"It has none of these words: {', '.join(context.banned)}.")
    return wanted


def tidied(text: str) -> str:
    """A title with single blanks and none at its ends: all that code changes of a model's title."""
    return " ".join(text[:LONGEST].split())


def distinct(goods: Sequence[Goods]) -> list[Goods]:
    """The first item of each text; a model would be asked the same of the others."""
    firsts: dict[str, Goods] = {}
    for one in goods:
        firsts.setdefault(one.text, one)
    return list(firsts.values())


async def each(asked: Sequence[Awaitable[T]]) -> list[T | MerchgraphError]:
    """All answers side by side, an agent's failure in the place of its answer.

    Raises:
        SetupError: a mistake of the person's, which no other answer makes good.
    """
    answers: list[T | MerchgraphError] = []
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(answer, BaseException) and (
            isinstance(answer, SetupError) or not isinstance(answer, MerchgraphError)
        ):
            raise answer
        answers.append(answer)
    return answers


def _words(sources: Sequence[str], allow: Sequence[str]) -> Rule:
    """Every content word, number and claim is supported, and there is at least one word."""

    def some(copy: Text) -> str:
        return (
            ""
            if content_words(copy[TITLE])
            else "Title says nothing of the products; use the words of a feature"
        )

    rule = Rule("content", lambda copy: some(dict(copy)))
    if any(map(stems, (*sources, *allow))):
        return rule & supported(sources, allow) & grounded([*sources, *allow])
    return Rule("content", lambda copy: "No text of a product has a word to make a title of")


def _evidence(title: str, brief: Brief, context: Context) -> Finding:
    told = [cluster for cluster in brief.clusters if told_by(title, cluster)]
    named = {item for cluster in told for item in cluster.items}
    said = {one.item: float(one.item in named) for one in brief.goods}
    return _share("evidence", "says a feature of", title, said, brief, context)


async def _relevance(title: str, brief: Brief, context: Context) -> Finding:
    """R(T, i) of every item; an item of which the judge said nothing counts as not covered."""
    judge = RelevanceJudge(context.agent_model("relevance"))
    asked = distinct(brief.goods)
    answers = await each([judge.judge(title, one) for one in asked])
    failed = [answer for answer in answers if isinstance(answer, MerchgraphError)]
    if len(failed) == len(asked):
        raise failed[0]
    found = {
        one.text: answer
        for one, answer in zip(asked, answers, strict=True)
        if not isinstance(answer, MerchgraphError)
    }
    odds = {one.item: found[one.text] for one in brief.goods if one.text in found}
    return _share("relevance", "is true of", title, odds, brief, context)


def _share(
    rule: str, does: str, title: str, odds: dict[str, float], brief: Brief, context: Context
) -> Finding:
    """The finding of a soft check: which share of the items a title covers, and which it does not."""
    covered = {item for item, probability in odds.items() if probability >= 0.5}
    weights = brief.weights
    held = math.fsum(weight for item, weight in weights.items() if item in covered)
    score = round(held / math.fsum(weights.values()), 9)
    feedback = ""
    if score < context.coverage:
        missed = [one for one in brief.goods if one.item not in covered]
        others = distinct(missed)
        named = ", ".join(_missed(one, title, brief) for one in others[:NAMED])
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        feedback = (
            f"Title {does} {len(covered)} of {len(brief.goods)} products; cover these too: "
            f"{named}{more}"
        )
    return Finding(
        rule=rule, passed=not feedback, feedback=feedback, hard=False, score=score, details=odds
    )


def _missed(one: Goods, title: str, brief: Brief) -> str:
    """An item and the strongest of its features that the title does not say."""
    unused = (
        cluster.text
        for cluster in brief.clusters
        if one.item in cluster.items and not told_by(title, cluster)
    )
    strongest = next(unused, None)
    return f"{clip(one.title, 32)!r}" + (f" (say {strongest!r})" if strongest else "")
