"""Arbiter Agent: which of a module's titles is best; several judges, and a count of their rankings.

Each judge sees the titles in an order of its own, since models like the first of a list: a seeded
shuffle, turned on by an equal share for each judge (`orders`); what is left of that liking is taken
off (`without_place`). A judge's probabilities rank the titles, and the rankings are added up by Borda
(`borda`), as far as the judges agree (`concordance`). Arbitration is a stage of CARTS (arXiv
2506.17765); judges, orders and count are our design.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

from merchgraph.agents.nli import logit
from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import choose

LABELS = "ABCDEFGHIJ"
"""Of the titles that are shown; no more than these."""


@dataclass(frozen=True)
class Arbiter:
    """One judge."""

    model: BaseChatModel

    async def judge(self, about: str, titles: Mapping[str, str]) -> dict[str, float]:
        """The probability of each title to be the best one.

        Args:
            about: the module, by `title_writer.products` or `shelf`.
            titles: id -> title, 2 to 10, in the order in which they are shown.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        labels = dict(zip(titles, LABELS, strict=False))
        lines = [f"{labels[key]}. {fenced(title)}" for key, title in titles.items()]
        task = prompt("carts/arbitrate", products=about, titles="\n".join(lines))
        messages = [SystemMessage(prompt("carts/system")), HumanMessage(task)]
        return await choose(self.model, messages, labels, agent="arbitrate")


def shelf(items: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Items with their features, as a prompt's part.

    Args:
        items: (title, features, strongest first).
    """
    lines = []
    for title, features in items:
        said = ", ".join(fenced(text, 40) for text in features[:4])
        lines.append(f"- {fenced(title, 80)}" + (f": {said}" if said else ""))
    return prompt("carts/products", count=len(items), products="\n".join(lines))


def orders(ids: Sequence[str], judges: int, seed: int) -> list[list[str]]:
    """For each judge the order in which it sees the titles."""
    mixed = list(ids)
    random.Random(seed).shuffle(mixed)
    turns = [round(judge * len(mixed) / judges) for judge in range(judges)]
    return [mixed[turn % len(mixed) :] + mixed[: turn % len(mixed)] for turn in turns]


def without_place(ballots: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Ballots as log-odds, less what each place of the list gets on average over the judges.

    A small model answers "A" whatever stands there. That is the same on every ballot, so that it cancels
    out, and equal titles are left; what a judge makes of a title stays, as it changes its place.

    Args:
        ballots: probabilities by id, each in the order in which its judge saw the titles; a single one
            tells nothing of places and stays as it is.
    """
    if len(ballots) < 2:
        return [dict(ballot) for ballot in ballots]
    odds = [[logit(p) for p in ballot.values()] for ballot in ballots]
    places = [sum(place) / len(odds) for place in zip(*odds, strict=True)]
    return [
        {key: round(mine - place, 6) for key, mine, place in zip(ballot, row, places, strict=True)}
        for ballot, row in zip(ballots, odds, strict=True)
    ]


def borda(ballots: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Points by id: on each ballot one for every title that is ranked below, half for an equal one."""
    points: dict[str, float] = {}
    for ballot in ballots:
        for key, mine in ballot.items():
            others = [theirs for other, theirs in ballot.items() if other != key]
            won = sum(1.0 if mine > theirs else 0.5 * (mine == theirs) for theirs in others)
            points[key] = points.get(key, 0.0) + won
    return points


def concordance(points: Mapping[str, float], ballots: int) -> float:
    """Kendall's W of the ballots behind Borda's points: 0 for none, 1 where all rank alike.

    Not corrected for equal ranks within a ballot, which make it smaller (Kendall and Smith, 1939).

    Args:
        points: of `borda`, 2 titles at least.
        ballots: how many were counted; a single one agrees with itself.
    """
    titles, mean = len(points), sum(points.values()) / len(points)
    spread = sum((mine - mean) ** 2 for mine in points.values())
    return 12 * spread / (ballots**2 * (titles**3 - titles))
