"""The two ends of CARTS' loop: which titles go in, and which of those that come out is returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from merchgraph.agents.arbiter import Arbiter, borda, concordance, orders, shelf, without_place
from merchgraph.agents.title_writer import products
from merchgraph.graphs.carts_checks import TITLE, by_code, distinct, each, tidied
from merchgraph.graphs.carts_state import (
    Brief,
    Choice,
    Context,
    Origin,
    State,
    coverage_of,
)
from merchgraph.graphs.carts_titles import by_template
from merchgraph.graphs.versions import Draft, Refined, Round
from merchgraph.runtime.errors import MerchgraphError
from merchgraph.runtime.node import RunError
from merchgraph.tools.copy_rules.distinct import distinct as unlike
from merchgraph.tools.features import Feature, coverage, told_by
from merchgraph.tools.text import length, trim

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
    return Refined.of(STAND_IN, [Round(number=0, text=text, findings=findings)], "by code")


def as_draft(made: Refined) -> Draft:
    """The draft that a stand-in never was, so that it stands among the run's candidates."""
    return Draft(id=made.id, text=made.text)


async def choose(
    state: State, candidates: Sequence[Refined], context: Context
) -> tuple[Choice, list[RunError]]:
    """The best of feasible candidates: Borda over the arbiters, then coverage, then brevity.

    Arbiters who contradict each other (`Context.agreement`) are a tie of all titles. Of equal coverage
    by the judge that of the evidence counts first, and of equal evidence how much the told features tell
    of the items. One that says the same as another is shown to the arbiters once. Where nobody has to
    choose, or nobody answers, the rest decides.
    """
    by_text: dict[str, Refined] = {}
    for one in candidates:
        by_text.setdefault(one.text[TITLE], one)
    shown = {one.id: one for one in by_text.values()}
    points: dict[str, float] = {}
    agreement: float | None = None
    errors: list[RunError] = []
    if len(shown) > 1 and "arbitration" not in context.without:
        titles = {key: one.text[TITLE] for key, one in shown.items()}
        points, agreement, errors = await _arbitrate(state, titles, context)
    heard = points if (agreement or 0.0) >= context.agreement else {}
    won = max(
        shown.values(), key=lambda one: (heard.get(one.id, 0.0), *_merit(one, state["brief"]))
    )
    return Choice(id=won.id, title=won.text[TITLE], points=points, agreement=agreement), errors


def trimmed(candidates: Sequence[Refined], context: Context) -> Choice:
    """Of candidates that all break a hard rule the shortest of high coverage, cut to the limit."""
    covered = {one.id: coverage_of(one.version) or 0.0 for one in candidates}
    high = min(context.coverage, max(covered.values()))
    among = [one for one in candidates if covered[one.id] >= high]
    won = min(among, key=lambda one: length(one.text[TITLE]))
    return Choice(id=won.id, title=trim(won.text[TITLE], context.limit), trimmed=True)


async def _arbitrate(
    state: State, titles: Mapping[str, str], context: Context
) -> tuple[dict[str, float], float | None, list[RunError]]:
    """Borda's points, how far the arbiters agree (None where nobody answered), and who failed."""
    about, model = _shelf(state), context.agent_model("arbitrate")
    asked = [
        Arbiter(model).judge(about, {key: titles[key] for key in order})
        for order in orders(list(titles), context.judges, context.seed)
    ]
    answers = await each(asked)
    ballots = [answer for answer in answers if not isinstance(answer, MerchgraphError)]
    failed = [answer for answer in answers if isinstance(answer, MerchgraphError)]
    points = borda(without_place(ballots))
    agreement = concordance(points, len(ballots)) if ballots else None
    return points, agreement, [RunError.of("arbitrate", "", error) for error in failed]


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
        item: [one.text for one in sorted(found, key=lambda one: -one.worth) if one.worth]
        for item, found in said.items()
    }
    return shelf([(one.title, best[one.item]) for one in goods])


def _merit(one: Refined, brief: Brief) -> tuple[float, float, float, int]:
    found = {finding.rule: finding.score for finding in one.version.findings}
    covered, said = found.get("relevance"), found.get("evidence")
    title = one.text[TITLE]
    told = coverage([one for one in brief.clusters if told_by(title, one)], brief.weights)
    return -1.0 if covered is None else covered, said or 0.0, told, -length(title)
