"""The ARAG suite: which item was taken out of a real basket, told from 19 others?

`arag_cases.py` has the protocol. Systems, all on the same slates:

    baselines   chance, counts, texts, co-purchase, their sums; one prompt to the model
    ablations   ARAG without an agent or two
    tools       asked for by `systems=tools`: what each trained tool adds to the tools' signals; their
                models know the log up to the week before the test, and up to the test
    methods     ARAG as published; calibrated by what the judge says of an item alone; with the tools'
                counts as facts in the judge's prompt; and with the tools' signals in the order, by
                weights fitted on the week before the test (`arag_fit.py`)

Differences are to vanilla RAG; where trained tools are asked for, to the same signals without them.
Whatever reads the shop's data goes onto the tape, so a replay needs no data.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from merchgraph.evals.metrics.ranking import auc, ranking_metrics
from merchgraph.evals.suite import Answer, Case, Progress, System
from merchgraph.evals.suites.arag_fit import ALL_SIGNALS, VALIDATION, Weights, fitted
from merchgraph.evals.suites.arag_shop import BASELINES, Added, Shops
from merchgraph.evals.taped import Taped
from merchgraph.graphs import arag
from merchgraph.graphs.front import checked
from merchgraph.graphs.fusion import Signal, fuse
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.models import DEFAULT_MODEL
from merchgraph.runtime.playing import on_tape
from merchgraph.runtime.trace import JsonObject

K = 5
REFERENCE = "vanilla RAG"


class Params(BaseModel):
    """What an evaluation of ARAG is about; a trace holds one of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = Field(default="complete_journey", description="the shop")
    targets: Literal["any", "new"] = Field(
        default="any", description="any item of the basket, or one that is new to the household"
    )
    model: str = Field(default=DEFAULT_MODEL, description="PROVIDER/MODEL of all agents")
    systems: str = Field(
        default="all",
        description="all, baselines (those without a model), tools (baselines, and what trained "
        "tools add), or names with commas",
    )
    rationales: bool = Field(
        default=False, description="let the judge give reasons, for the others"
    )
    fit_cases: int = Field(default=30, ge=1, description="cases of the week before, for weights")
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """A system that is the graph under some settings."""

    kind: Literal["baseline", "ablation", "method"]
    about: str
    settings: dict[str, Any] = field(default_factory=dict)


TOOLS = "tools alone"
CONTROL = "tools + popularity"
BESIDE_POPULARITY: dict[str, tuple[Added, ...]] = {
    CONTROL: ("popularity",),
    f"{CONTROL} + grace": ("popularity", "grace"),
    f"{CONTROL} + tmf": ("popularity", "tmf"),
}
"""Tools whose scores hold how popular an item is. By themselves they get a weight against them, since
negatives are drawn by popularity; beside popularity it is seen what else they know. Not in the group
"tools": the models take a quarter of an hour each to learn, and where a language model reads each slate
of two weeks, that takes an hour more."""
ADDED: dict[str, tuple[Added, ...]] = {
    "tools + complement": ("complement",),
    "tools + similar": ("gmvo",),
    "tools + both": ("complement", "gmvo"),
    **BESIDE_POPULARITY,
}
FULL = "ARAG + tools"
FACTS = {"calibrate": True, "evidence": True}
PLANS: dict[str, Plan] = {
    "single prompt": Plan(
        "baseline", "one call that ranks the slate", {"without": ["understand", "nli", "summarize"]}
    ),
    "ARAG without NLI": Plan("ablation", "", {"without": ["nli"]}),
    "ARAG without CSA": Plan("ablation", "", {"without": ["summarize"]}),
    "ARAG without UUA": Plan("ablation", "", {"without": ["understand"]}),
    "ARAG without NLI+CSA": Plan("ablation", "", {"without": ["nli", "summarize"]}),
    "ARAG": Plan("method", "the published graph, our prompts"),
    "ARAG calibrated": Plan("method", "NLI less the item's prior", {"calibrate": True}),
    "ARAG with facts": Plan("method", "calibrated; counts in the judge's prompt", FACTS),
    FULL: Plan("method", "with facts; the order fused with the tools' signals", FACTS),
}  # fmt: skip


@dataclass
class Arag:
    """The suite.

    Attributes:
        params: what is evaluated.
        recorded: the cases of a trace; read from the shop where there are none.
        weights: of the fused orders; `prepare` finds them.
    """

    params: Params = field(default_factory=Params)
    recorded: Sequence[Case] = ()
    name: str = "arag"
    weights: Weights = field(default_factory=Weights)
    reference: str = field(default=REFERENCE, init=False)

    def __post_init__(self) -> None:
        self.shops = Shops(self.params.data, self.params.targets, self.params.seed)
        self.reference = _reference(self._names())

    @property
    def at_once(self) -> int:
        """Cases at the same time: one for the embedded engine, whose one prompt cache they would
        take from each other."""
        return 1 if self.params.model.startswith("embedded/") else 8

    def cases(self) -> Sequence[Case]:
        """As recorded, or all households of the test window."""
        return self.recorded or self.shops.cases("test")

    async def prepare(self, recorder: Taped, progress: Progress | None = None) -> None:
        """Fit the weights on the week before the test.

        Raises:
            SetupError: as the graph.
        """
        if not {TOOLS, FULL, *ADDED} & set(self._names()):
            return
        added = {name: ADDED[name] for name in self._names() if name in ADDED}
        judge = self._judge if FULL in self._names() else None
        self.weights = await fitted(
            self.shops, recorder, judge, limit=self.params.fit_cases, added=added,
            at_once=self.at_once, progress=progress,
        )  # fmt: skip

    async def _judge(self, case: Case) -> arag.Result:
        context = self._context(FACTS, fusion=ALL_SIGNALS)
        return await arag.arun(arag.Request.model_validate(case.request), context)

    @property
    def notes(self) -> Sequence[str]:
        """Where the weights come from."""
        return [self.weights.told()] if self.weights.slates else []

    def systems(self) -> Sequence[System]:
        """In the order of the report."""
        return [self._system(name) for name in self._names()]

    def score(self, case: Case, answer: Answer) -> dict[str, float]:
        """NDCG@5, Hit@5 and MRR; AUC of the whole ranking and, where there is a judge, of its scores."""
        ranking, relevant = answer.value["ranking"], case.truth["relevant"]
        places = {item: -float(place) for place, item in enumerate(ranking)}
        scores = ranking_metrics(ranking, relevant, k=K) | {"AUC": auc(places, relevant)}
        judged = answer.value.get("nli") or {}
        return scores | ({"NLI AUC": auc(judged, relevant)} if judged else {})

    def _names(self) -> list[str]:
        without = [*BASELINES, TOOLS]
        everything = [*without, *ADDED, *PLANS]
        fast = [*without, *(name for name in ADDED if name not in BESIDE_POPULARITY)]
        groups = {"all": [*without, *PLANS], "baselines": without, "tools": fast}
        wanted = self.params.systems
        if wanted in groups:
            return groups[wanted]
        named = {name.strip() for name in wanted.split(",") if name.strip()}
        if unknown := sorted(named.difference(everything)):
            raise SetupError(
                f"There is no system {unknown[0]!r}; there are all, baselines, tools, "
                f"{', '.join(everything)}."
            )
        return [name for name in everything if name in {*named, _reference(named)}]

    def _system(self, name: str) -> System:
        if name in BASELINES:
            return System(name, partial(self._baseline, name), "baseline", BASELINES[name][1])
        if name == TOOLS or name in ADDED:
            about = "the tools' signals, weighed on the week before; no model"
            return System(name, partial(self._tools, name), "baseline", about)
        plan = PLANS[name]
        return System(name, partial(self._graph, name), plan.kind, plan.about)

    async def _baseline(self, name: str, case: Case) -> Answer:
        work = partial(self.shops.ranked, name, case)
        return Answer(value={"ranking": await on_tape(name, work, list[str], case=case.id)})

    async def _tools(self, name: str, case: Case) -> Answer:
        tools = ADDED.get(name, ())
        weights = self.weights.more[name] if tools else self.weights.tools
        work = partial(self.shops.signals, case, tools)
        key = {"case": case.id} | ({"tools": list(tools)} if tools else {})
        signals = await on_tape("signals", work, dict[Signal, list[float]], **key)
        fused = fuse(case.request["candidates"], signals, weights)
        return Answer(value={"ranking": fused.ranking})

    async def _graph(self, name: str, case: Case) -> Answer:
        weights = self.weights.full if name == FULL else {}
        context = self._context(PLANS[name].settings, fusion=weights)
        result = await arag.arun(arag.Request.model_validate(case.request), context)
        scores = {row.item: row.score for row in result.ranking if row.score is not None}
        ranking = [row.item for row in result.ranking]
        return Answer(value={"ranking": ranking, "nli": scores}, usage=result.usage)

    def _context(self, settings: dict[str, Any], **more: Any) -> arag.Context:
        params = self.params
        return arag.Context(
            model=params.model, data=params.data, k=K, rationales=params.rationales,
            **settings, **more,
        )  # fmt: skip


def _reference(asked: Collection[str]) -> str:
    """What differences are told to."""
    if not BESIDE_POPULARITY.keys().isdisjoint(asked):
        return CONTROL
    return REFERENCE if ADDED.keys().isdisjoint(asked) else TOOLS


def make(params: JsonObject, recorded: Sequence[Case] = ()) -> Arag:
    """The suite with some settings.

    Args:
        params: fields of `Params`.
        recorded: the cases of a trace, those that the weights were fitted on included.

    Raises:
        SetupError: an unknown setting, or a wrong value.
    """
    tested = [case for case in recorded if not case.id.startswith(VALIDATION)]
    return Arag(checked(Params, params), tested)
