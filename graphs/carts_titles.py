"""Titles of CARTS by code and by its refiner, who learns from those by code."""

from __future__ import annotations

from collections.abc import Sequence

from merchgraph.agents.refiner import Refiner, Shot
from merchgraph.agents.title_writer import system
from merchgraph.graphs.carts_checks import GROUPS, TITLE, Titling, requirements, rules, tidied
from merchgraph.graphs.carts_module import plain_clusters
from merchgraph.graphs.carts_state import Brief, Context, Origin
from merchgraph.graphs.versions import Refined, Round, Text
from merchgraph.tools.features import Feature, cover, coverage, told_by
from merchgraph.tools.title_template import CONSIDERED, templates

SHOTS = 2
PRAISE = "Exclusive"
"""Spoils a title where no product is."""


def by_template(
    brief: Brief, features: Sequence[Feature], context: Context, *, count: int
) -> list[str]:
    """Titles by code that keep every hard rule, those of the most items first, then the specific ones.

    They are joined of the clusters that cover the items best, so that a mixed module's themes meet,
    and of the heaviest others, which may say the same of more items.
    """
    every = brief.clusters or plain_clusters(features, brief.weights)
    first = cover(every, brief.weights, CONSIDERED // 2)
    hard = rules(brief, context)

    def fits(title: str) -> bool:
        return all(rule({TITLE: title}).passed for rule in hard)

    def weigh(title: str) -> tuple[float, float]:
        told = [cluster for cluster in every if told_by(title, cluster)]
        items = {item for cluster in told for item in cluster.items}
        held = round(sum(brief.weights[item] for item in sorted(items)), 9)
        return held, coverage(told, brief.weights)

    ordered = [*first, *(cluster for cluster in every if cluster not in first)]
    return templates([cluster.text for cluster in ordered], weigh, fits, count=count)


async def revise(state: Titling, context: Context, source: Round) -> Text:
    """The refiner's next version; the same one, which ends the loop, if it may be told of no fault."""
    told = [
        found.feedback
        for found in source.findings
        if found.passed is False and GROUPS[found.rule] in context.feedback
    ]
    if not told:
        return source.text
    brief, number = state["brief"], int(state["draft"].id)
    text = await Refiner(context.agent_model("refine", number)).revise(
        system(),
        brief.about,
        source.text,
        rules=requirements(brief, context),
        faults=[line for feedback in told for line in feedback.splitlines()],
        shots=state["shots"],
    )
    return {TITLE: tidied(text[TITLE])}


def shots(brief: Brief, context: Context, drafts: Sequence[str]) -> list[Shot]:
    """Revisions of this very module that went well: titles by code, made too long or too boastful.

    Args:
        brief: of the module; one without clusters gives no shots.
        drafts: titles that no refiner is to be shown as a solution.
    """
    if not brief.clusters:
        return []
    made = by_template(brief, [], context, count=SHOTS + len(drafts))
    # the best one last: a small model takes over what it read last
    better = [title for title in made if title not in drafts][:SHOTS][::-1]
    spoilt = [_doubled, _praised]
    pairs = [(worse(title, context), title) for worse, title in zip(spoilt, better, strict=False)]
    found = [(worse, _faults(worse, brief, context), title) for worse, title in pairs]
    return [
        Shot(text={TITLE: worse}, faults=tuple(faults), better={TITLE: title})
        for worse, faults, title in found
        if faults
    ]


def taken_over(candidates: Sequence[Refined], shown: Sequence[Shot]) -> dict[str, Origin]:
    """The candidates whose refiner gave back the title of an example: those titles are by code."""
    texts = {shot.better[TITLE].casefold() for shot in shown}
    return {one.id: "template" for one in candidates if one.text[TITLE].casefold() in texts}


def _doubled(title: str, context: Context) -> str:
    """The title again and again, until it is too long."""
    return " and ".join([title] * (1 + context.limit // len(title)))


def _praised(title: str, context: Context) -> str:
    return f"{PRAISE} {title}"


def _faults(title: str, brief: Brief, context: Context) -> list[str]:
    """What the refiner would be told of it."""
    verdicts = [
        rule({TITLE: title})
        for rule in rules(brief, context)
        if GROUPS[rule.name] in context.feedback
    ]
    return [
        line for verdict in verdicts if not verdict.passed for line in verdict.feedback.splitlines()
    ]
