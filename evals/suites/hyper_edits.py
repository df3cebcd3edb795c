"""Counterfactual edits: does a word in an ad's text move the weight of its feature the right way?

    plain         Cat litter. Pets. Grocery.
    strengthened  ... Made for families with children.        the weight of "children" should rise
    weakened      ... Made for adults without children.       it should fall
    neutralised   ... For households of every kind.           it should stay nearer to the plain ad's

The weight is the mean level, -2 to 2, that the model chooses among --, -, 0, + and ++ without any
examples, so that only the text can move it. LLM-HYPER (2604.12096) reports such shares; its edits are not
published, and these are ours. Chance is one half; a weight that does not move counts as wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from merchgraph.agents.hypernetwork import Brief, Hypernetwork, Known, Level
from merchgraph.evals.suite import Answer, Case
from merchgraph.runtime.ledger import Usage, at, collect
from merchgraph.runtime.models import chat_model
from merchgraph.tools.ctr.features import features

PLACES: Mapping[Level, int] = {"--": -2, "-": -1, "0": 0, "+": 1, "++": 2}


class Edit(NamedTuple):
    """Sentences that are put behind an ad's text."""

    strengthened: str
    weakened: str
    neutralised: str


EDITS = {
    "children": Edit(
        "Made for families with children.",
        "Made for adults without children.",
        "For households of every kind.",
    ),
    "discount share": Edit(
        "At a deep discount this week.",
        "Always at its full price, never discounted.",
        "At its usual price.",
    ),
    "store brand share": Edit(
        "A store brand product.",
        "A famous national brand, no store brand.",
        "Of any brand.",
    ),
}
NEUTRAL_AISLE = "For shoppers of every aisle."


def edits_of(aisle: str) -> dict[str, Edit]:
    """The edits of an ad by feature; its own aisle is the first one."""
    own = Edit(
        f"Loved by everybody who shops the aisle {aisle}.",
        f"Not for anybody who shops the aisle {aisle}.",
        NEUTRAL_AISLE,
    )
    return {**({f"aisle: {aisle}": own} if aisle else {}), **EDITS}


async def edited(case: Case, model: str) -> Answer:
    """The shares of edits of a case's ad that moved their weight the right way.

    Raises:
        ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
    """
    agent, ad = Hypernetwork(chat_model(model)), case.request["ad"]
    meanings = {feature.name: feature.meaning for feature in features()}
    weights: dict[str, dict[str, float]] = {}
    with collect() as calls:
        for name, edit in edits_of(ad["group"]).items():
            asked = Known(name=name, meaning=meanings[name], usual=(0.0, 0.0, 0.0))
            weights[name] = {}
            for kind, sentence in {"plain": "", **edit._asdict()}.items():
                with at(node="edit", lane=f"{name} {kind}"):
                    text = f"{ad['text']}. {sentence}" if sentence else ad["text"]
                    odds = await agent.level(Brief(text=text), asked)
                weights[name][kind] = round(sum(PLACES[level] * odds[level] for level in odds), 6)
    return Answer(value={"edits": weights}, usage=Usage.of(calls))


def right(weights: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Shares of features whose weight moved the right way, per kind of edit."""
    found: dict[str, list[bool]] = {kind: [] for kind in Edit._fields}
    for told in weights.values():
        plain, strong = told["plain"], told["strengthened"]
        found["strengthened"].append(strong > plain)
        found["weakened"].append(told["weakened"] < plain)
        found["neutralised"].append(abs(told["neutralised"] - plain) < abs(strong - plain))
    return {kind: sum(moved) / len(moved) for kind, moved in found.items()}
