"""The two ends of CARTS' loop: which titles go in, and which of those that come out is returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from merchgraph.agents.arbiter import Arbiter, borda, orders, shelf
from merchgraph.agents.title_writer import products
from merchgraph.graphs.carts_checks import TITLE, by_code, distinct, each, rules, tidied
from merchgraph.graphs.carts_module import plain_clusters
from merchgraph.graphs.carts_state import (
    Brief,
    Choice,
    Context,
    Origin,
    State,
    coverage_of,
)
from merchgraph.graphs.versions import Draft, Refined, Round
from merchgraph.runtime.errors import MerchgraphError
from merchgraph.runtime.node import RunError
from merchgraph.tools.copy_rules.distinct import distinct as unlike
from merchgraph.tools.features import Feature, told_by
from merchgraph.tools.text import length, trim
from merchgraph.tools.title_template import templates

STAND_IN = "template"


def drafts(
    written: Sequence[str], brief: Brief, features: Sequence[Feature], context: Context
) -> tuple[list[Draft], dict[str, Origin]]:
    """K drafts: the written titles, each once; what is missing is made of the features by code.

    There is at least one, and fewer than K only where features do not make so many.
    """
    clean = [title for text in written if (title := tidied(text))]
    kept = [clean[n] for n in unlike(clean)]
    spare = by_template(brief, features, context, count=context.drafts + len(kept))
    whole = [*kept, *spare] or [tidied(brief.goods[0].title)]
    titles = [whole[n] for n in unlike(whole)][: context.drafts]
    found = [Draft(id=str(n), text={TITLE: title}) for n, title in enumerate(titles, start=1)]
    origins: dict[str, Origin] = {
        draft.id: "model" if draft.text[TITLE] in kept else "template" for draft in found
    }
    return found, origins


def by_template(
    brief: Brief, features: Sequence[Feature], context: Context, *, count: int
) -> list[str]:
    """Titles by code that keep every hard rule, those of the most items first."""
    every = brief.clusters or plain_clusters(features, brief.weights)
    hard = rules(brief, context)

    def fits(title: str) -> bool:
        return all(rule({TITLE: title}).passed for rule in hard)

    def weigh(title: str) -> float:
        told = [cluster for cluster in every if told_by(title, cluster)]
        items = {item for cluster in told for item in cluster.items}
        return round(sum(brief.weights[item] for item in sorted(items)), 9)

    return templates([cluster.text for cluster in every], weigh, fits, count=count)


async def stand_in(brief: Brief, features: Sequence[Feature], context: Context) -> Refined | None:
    """A title by code, for where no candidate keeps the rules; None where no features make one."""
    made = by_template(brief, features, context, count=1)
    if not made:
        return None
    text = {TITLE: made[0]}
    findings = [
        (await check.run(text)).model_copy(update={"hard": check.hard})
        for check in by_code(brief, context)
    ]
    return Refined.of(STAND_IN, [Round(number=0, text=text, findings=findings)], "max rounds")


def as_draft(made: Refined) -> Draft:
    """The draft that a stand-in never was, so that it stands among the run's candidates."""
    return Draft(id=made.id, text=made.text)


async def choose(
    state: State, candidates: Sequence[Refined], context: Context
) -> tuple[Choice, list[RunError]]:
    """The best of feasible candidates: Borda over the arbiters, then coverage, then brevity.

    Of equal coverage by the judge that of the evidence counts first. One that says the same as another
    is shown to the arbiters once. Where nobody has to choose, or nobody answers, the rest decides.
    """
    by_text: dict[str, Refined] = {}
    for one in candidates:
        by_text.setdefault(one.text[TITLE], one)
    shown = {one.id: one for one in by_text.values()}
    points: dict[str, float] = {}
    errors: list[RunError] = []
    if len(shown) > 1 and "arbitration" not in context.without:
        titles = {key: one.text[TITLE] for key, one in shown.items()}
        points, errors = await _arbitrate(state, titles, context)
    won = max(shown.values(), key=lambda one: (points.get(one.id, 0.0), *_merit(one)))
    return Choice(id=won.id, title=won.text[TITLE], points=points), errors


def trimmed(candidates: Sequence[Refined], context: Context) -> Choice:
    """Of candidates that all break a hard rule the shortest of high coverage, cut to the limit."""
    covered = {one.id: coverage_of(one.version) or 0.0 for one in candidates}
    high = min(context.coverage, max(covered.values()))
    among = [one for one in candidates if covered[one.id] >= high]
    won = min(among, key=lambda one: length(one.text[TITLE]))
    return Choice(id=won.id, title=trim(won.text[TITLE], context.limit), trimmed=True)


async def _arbitrate(
    state: State, titles: Mapping[str, str], context: Context
) -> tuple[dict[str, float], list[RunError]]:
    about, model = _shelf(state), context.agent_model("arbitrate")
    asked = [
        Arbiter(model).judge(about, {key: titles[key] for key in order})
        for order in orders(list(titles), context.judges, context.seed)
    ]
    answers = await each(asked)
    ballots = [answer for answer in answers if not isinstance(answer, MerchgraphError)]
    failed = [answer for answer in answers if isinstance(answer, MerchgraphError)]
    return borda(ballots), [RunError.of("arbitrate", "", error) for error in failed]


def _shelf(state: State) -> str:
    """The module as the arbiters are told of it: its items with their features."""
    brief = state["brief"]
    goods = distinct(brief.goods)
    if not brief.clusters:
        return products(goods)
    said: dict[str, list[Feature]] = {one.item: [] for one in brief.goods}
    for feature in state["features"]:
        said[feature.item].append(feature)
    best = {
        item: [one.text for one in sorted(found, key=lambda one: -one.salience)]
        for item, found in said.items()
    }
    return shelf([(one.title, best[one.item]) for one in goods])


def _merit(one: Refined) -> tuple[float, float, int]:
    found = {finding.rule: finding.score for finding in one.version.findings}
    covered, told = found.get("relevance"), found.get("evidence")
    return -1.0 if covered is None else covered, told or 0.0, -length(one.text[TITLE])
