"""The CARTS suite: one title for a module of real items, told from those of nine near modules.

Modules are neighbourhoods of items bought together, items of one category in a price band, and mixed
themes, the hard ones. Systems, all on the same modules:

    methods     CARTS
    ablations   without features, arbitration or revision; with one kind of feedback; J = 0 to 4 rounds
    baselines   a template, single pass, chain of thought, Self-Refine, and the best of K drafts at equal
                budget, which is the reference: as many calls as CARTS made for that very module, or as
                many drafts as its tokens pay for

CARTS comes first, since its cost is the budget of the best of K; what systems ask alike is asked once.
The judge that reports is not the one that drives the loop (`metrics/title_judge.py`), and is fitted
before the first case. Whatever reads the shop or embeds goes onto the tape: a replay needs neither.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from merchgraph.agents.title_baselines import TitleJudge
from merchgraph.evals.baselines.titles import Bench
from merchgraph.evals.judges import answered, other_than
from merchgraph.evals.metrics.title_judge import THRESHOLD, Calibration
from merchgraph.evals.metrics.titles import Verdict
from merchgraph.evals.suite import Answer, Case, Outcome, Progress, System
from merchgraph.evals.suites.carts_shop import Shelves, kinds_of, shown
from merchgraph.evals.suites.carts_tables import examples, variety
from merchgraph.evals.tables import Table
from merchgraph.evals.taped import Taped, run_id
from merchgraph.graphs import carts
from merchgraph.graphs.carts_state import Context, Goods, Request, Result
from merchgraph.graphs.front import checked
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.ledger import Usage, at, collect, record
from merchgraph.runtime.models import DEFAULT_MODEL, chat_model
from merchgraph.runtime.playing import on_tape
from merchgraph.runtime.trace import JsonObject
from merchgraph.tools.modules import KINDS, UNTRAINED

METHOD = "CARTS"
REFERENCE = "best of K"
BY_TOKENS = "best of K by tokens"
MOST_DRAFTS = 300
"""Of a best of K, however much its budget is."""


class Params(BaseModel):
    """What an evaluation of CARTS is about; a trace holds one of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = Field(default="complete_journey", description="the shop")
    kinds: str = Field(default=", ".join(UNTRAINED), description="of modules, with commas between")
    count: int = Field(default=10, ge=1, le=200, description="modules of each kind")
    size: int = Field(default=8, ge=2, le=50, description="items of a module")
    model: str = Field(default=DEFAULT_MODEL, description="PROVIDER/MODEL of all agents")
    judge: str = Field(
        default="", description="PROVIDER/MODEL that judges; text embedding and words without it"
    )
    systems: str = Field(
        default="all",
        description="all, baselines (CARTS for their budget too), or names with commas",
    )
    drafts: int = Field(default=3, ge=1, le=10, description="K, titles that CARTS refines")
    rounds: int = Field(default=2, ge=0, le=10, description="J, revisions of a title at most")
    limit: int = Field(default=50, ge=20, le=150, description="L, characters of a title")
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """A system that is the graph under some settings."""

    kind: Literal["ablation", "method"]
    about: str
    settings: dict[str, Any] = field(default_factory=dict)


PLANS: dict[str, Plan] = {
    METHOD: Plan("method", "features, drafts, refinement, arbitration"),
    "CARTS without features": Plan(
        "ablation", "written from items' texts", {"without": ["features"]}
    ),
    "CARTS without arbitration": Plan(
        "ablation", "the highest coverage wins", {"without": ["arbitration"]}
    ),
    "CARTS always arbitrated": Plan("ablation", "also if arbiters differ", {"agreement": 0.0}),
    "CARTS length feedback": Plan("ablation", "no word on relevance", {"feedback": ["length"]}),
    "CARTS relevance feedback": Plan("ablation", "no word on length", {"feedback": ["relevance"]}),
    "CARTS J=0": Plan("ablation", "without refinement", {"rounds": 0}),
    **{f"CARTS J={n}": Plan("ablation", "revisions at most", {"rounds": n}) for n in (1, 2, 3, 4)},
}
BASELINES: dict[str, str] = {
    "template": "the type of most items; no model",
    "single pass": "one call",
    "chain of thought": "one call that thinks before it writes",
    "Self-Refine": "J rounds of own criticism in words, no tools",
    REFERENCE: "as many drafts as CARTS has calls, chosen by code",
    BY_TOKENS: "as many drafts as CARTS' tokens pay for",
}


@dataclass
class Carts:
    """The suite.

    Attributes:
        params: what is evaluated.
        recorded: the cases of a trace; drawn from the shop where there are none.
        calibration: of the held-out judge; `prepare` finds it, unless a model judges.
    """

    params: Params = field(default_factory=Params)
    recorded: Sequence[Case] = ()
    name: str = "carts"
    reference: str = REFERENCE
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        params = self.params
        other_than(params.judge, params.model)
        kinds = kinds_of(params.kinds, KINDS)
        self.shelves = Shelves(
            params.data, kinds, params.count, params.size, params.limit, params.seed
        )
        self._taped: Taped | None = None

    @property
    def at_once(self) -> int:
        """Cases at the same time: one for the embedded engine, whose one prompt cache they share."""
        return 1 if self.params.model.startswith("embedded/") else 8

    def cases(self) -> Sequence[Case]:
        """As recorded, or all modules."""
        return self.recorded or self.shelves.cases()

    async def prepare(self, recorder: Taped, progress: Progress | None = None) -> None:
        """Fit the held-out judge.

        Raises:
            SetupError: the catalogue has too few categories for it.
        """
        self._taped = recorder
        if self.params.judge:
            return
        drawn = self.params.model_dump(include={"data", "kinds", "count", "size", "seed"})
        with recorder.recorder.run("judge") as take:
            self.calibration = await on_tape(
                "calibrate", self.shelves.calibration, Calibration, **drawn
            )
            take.answered(self.calibration.model_dump(), {}, Usage())
        if progress:
            progress(1, 1)

    @property
    def notes(self) -> Sequence[str]:
        """Who judged, and how well."""
        if self.calibration is None:
            return [f"Held-out judge: {self.params.judge}."]
        return [self.calibration.told()]

    def tables(self, outcomes: Sequence[Outcome]) -> Sequence[Table]:
        """How varied the titles are, and some of them as they came out."""
        names = [system.name for system in self.systems()]
        return [variety(outcomes, names), examples(outcomes, names)]

    def systems(self) -> Sequence[System]:
        """CARTS first, then the others of the report."""
        return [self._system(name) for name in self._names()]

    def score(self, case: Case, answer: Answer) -> dict[str, float]:
        """Coverage by the held-out judge first; see `Verdict.metrics`."""
        return Verdict.model_validate(answer.value["verdict"]).metrics(THRESHOLD)

    def _names(self) -> list[str]:
        graphs = [name for name in PLANS if name != f"CARTS J={self.params.rounds}"]
        everything, wanted = [*graphs, *BASELINES], self.params.systems
        if wanted == "all":
            return everything
        if wanted == "baselines":
            return [METHOD, *BASELINES]
        named = [name.strip() for name in wanted.split(",") if name.strip()]
        if unknown := [name for name in named if name not in everything]:
            raise SetupError(
                f"There is no system {unknown[0]!r}; there are all, baselines, "
                f"{', '.join(everything)}."
            )
        return [name for name in everything if name in {*named, METHOD, REFERENCE}]

    def _system(self, name: str) -> System:
        if name in PLANS:
            plan = PLANS[name]
            return System(name, partial(self._graph, plan), plan.kind, plan.about)
        return System(name, partial(self._baseline, name), "baseline", BASELINES[name])

    async def _graph(self, plan: Plan, case: Case) -> Answer:
        context = self._context(**plan.settings)
        found: Result = await carts.arun(Request(items=case.request["items"]), context)
        won = next((one for one in found.candidates if one.text == found.title), None)
        more = {"feasible": found.feasible, "trimmed": found.trimmed,
                "origin": won.origin if won else ""}  # fmt: skip
        return await self._judged(found.title, case, found.usage, **more)

    async def _baseline(self, name: str, case: Case) -> Answer:
        items = case.request["items"]
        goods = await on_tape(
            "module", partial(self.shelves.goods, items), list[Goods],
            items=items, data=self.params.data,
        )  # fmt: skip
        bench = Bench(goods, self._context())
        writers: dict[str, Callable[[], Awaitable[str]]] = {
            "single pass": bench.single,
            "chain of thought": bench.thoughtful,
            "Self-Refine": bench.self_refined,
            REFERENCE: partial(self._best, bench, case, by_tokens=False),
            BY_TOKENS: partial(self._best, bench, case, by_tokens=True),
        }
        with collect() as calls:
            title = await writers[name]() if name in writers else bench.template()
        return await self._judged(title, case, Usage.of(calls))

    async def _best(self, bench: Bench, case: Case, *, by_tokens: bool) -> str:
        """The best of as many drafts as CARTS' cost pays for."""
        budget = await on_tape("budget", partial(self._spent, case), Usage, case=case.id)
        if not by_tokens:
            count = min(max(budget.calls, 1), MOST_DRAFTS)
            return bench.best(await bench.drafts(range(count)))
        with collect() as calls:
            first = await bench.drafts([0])
        for call in calls:  # the block has kept them from the system's own ledger
            record(call)
        whole, each = _tokens(budget), max(_tokens(Usage.of(calls)), 1)
        count = min(max(round(whole / each), 1), MOST_DRAFTS)
        return bench.best([*first, *await bench.drafts(range(1, count))])

    def _spent(self, case: Case) -> Usage:
        """What CARTS took for the case, also where it failed."""
        assert self._taped is not None, "a suite is prepared before it answers"
        return self._taped.recorder.trace.runs[run_id(case, METHOD)].end.usage

    async def _judged(self, title: str, case: Case, usage: Usage, **more: Any) -> Answer:
        """The answer with the verdict on it; the judge's calls are none of the system's."""
        work = partial(self.shelves.verdict, title, case, self.calibration)
        verdict: Verdict = await on_tape(
            "verdict", work, Verdict, title=title, case=case.id, limit=self.params.limit
        )
        if self.params.judge:
            with collect():
                verdict = verdict.model_copy(update={"truth": await self._truth(title, case)})
        return Answer(value={"title": title, **more, "verdict": verdict.model_dump()}, usage=usage)

    async def _truth(self, title: str, case: Case) -> dict[str, float]:
        """P of each item by the model that judges; of none where it gave no answer on one of them."""
        items, seen = case.request["items"], shown(title, self.params.limit)
        texts = await on_tape(
            "texts", partial(self.shelves.texts, items), list[str],
            items=items, data=self.params.data,
        )  # fmt: skip
        judge = TitleJudge(chat_model(self.params.judge))

        async def of(item: str, text: str) -> float:
            with at(lane=item):
                return await judge.judge(seen, text)

        odds = await answered(list(map(of, items, texts)))
        return dict(zip(items, odds, strict=True)) if odds else {}

    def _context(self, **settings: Any) -> Context:
        params = self.params
        given = {"model": params.model, "data": params.data, "limit": params.limit,
                 "drafts": params.drafts, "rounds": params.rounds, "seed": params.seed}  # fmt: skip
        return Context(**{**given, **settings})


def make(params: JsonObject, recorded: Sequence[Case] = ()) -> Carts:
    """The suite with some settings.

    Args:
        params: fields of `Params`.
        recorded: the cases of a trace.

    Raises:
        SetupError: an unknown setting, a wrong value, or a judge that is the model it judges.
    """
    return Carts(checked(Params, params), recorded)


def _tokens(usage: Usage) -> int:
    return usage.prompt_tokens + usage.completion_tokens
