"""The LLM-HYPER suite: click models for ads that nobody has seen, against what else could be done.

A case is a new ad of a launch (`tools/ctr/launch.py`). AUC among held-out users comes first, since it
needs neither an intercept nor a scale. Systems, all on the same ads:

    baselines   popularity, the median of retired ads' weights (LR_cold), random and nearest ads, a ridge
                from text to weights, and a rule (the reference): LR_cold with a constant on the own aisle
    ablations   shots, lambda (1 is the model alone), five levels instead of numbers, these relative
                to an ad without text, and edits of the ad's text, which has no AUC (`hyper_edits.py`)
    method      LLM-HYPER: 5 shots, lambda 0.7
    bounds      models trained on the new ads' own clicks

One generation serves all lambdas. Without a model only baselines and bounds run. What ranks ads against
each other is measured on all of them together (`hyper_lists.py`). Whatever reads the shop goes onto the
tape, so that a replay needs neither data nor model.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from merchgraph.evals.suite import Answer, Case, Outcome, Progress, System
from merchgraph.evals.suites.hyper_edits import edited, right
from merchgraph.evals.suites.hyper_launches import BASELINES, BOUNDS, Launches, Made
from merchgraph.evals.suites.hyper_lists import Given, Listed, listed
from merchgraph.evals.suites.hyper_plans import PLANS, Generated, Plan, source
from merchgraph.evals.suites.hyper_tables import edits, gains, lists
from merchgraph.evals.tables import Table
from merchgraph.evals.taped import Taped, run_id
from merchgraph.graphs import hyper
from merchgraph.graphs.front import checked
from merchgraph.runtime.errors import ModelReplyError, SetupError
from merchgraph.runtime.ledger import Usage
from merchgraph.runtime.playing import on_tape
from merchgraph.runtime.trace import JsonObject

REFERENCE = "own-aisle rule"
EDITED = "edited texts"
ALL = "all"


class Params(BaseModel):
    """What an evaluation of LLM-HYPER is about; a trace holds one of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = Field(default="complete_journey", description="the shop")
    seeds: str = Field(default="0", description="launches: users, new ads; with commas")
    model: str = Field(
        default="", description="PROVIDER/MODEL of all agents; none is asked without"
    )
    systems: str = Field(default=ALL, description="all, baselines, or names with commas")


@dataclass
class Hyper:
    """The suite.

    Attributes:
        params: what is evaluated.
        recorded: the cases of a trace; drawn from the shop where there are none.
        measured: of all ads together; `conclude` finds it.
    """

    params: Params = field(default_factory=Params)
    recorded: Sequence[Case] = ()
    name: str = "hyper"
    reference: str = REFERENCE
    measured: list[Listed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.launches = Launches(self.params.data, seeds_of(self.params.seeds))
        self._taped: Taped | None = None

    @property
    def at_once(self) -> int:
        """Cases at the same time: one for the embedded engine, whose one prompt cache they share."""
        return 8 if self.params.model and not self.params.model.startswith("embedded/") else 1

    def cases(self) -> Sequence[Case]:
        """As recorded, or all new ads of all launches."""
        return self.recorded or self.launches.cases()

    async def prepare(self, recorder: Taped, progress: Progress | None = None) -> None:
        """Nothing is fitted but the baselines, at the first question."""
        self._taped = recorder

    async def conclude(self, recorder: Taped, outcomes: Sequence[Outcome]) -> None:
        """Measure what needs all ads."""
        given = self._given(outcomes)
        key = _digest({name: [list(one) for one in every] for name, every in given.items()})
        run = f"lists {key}"
        if recorder.recorder.mode == "replay" and run not in recorder.recorder.trace.runs:
            return  # broken off before its last case
        with recorder.recorder.run(run) as take:
            work = partial(listed, self.launches, given)
            self.measured = await on_tape("lists", work, list[Listed], models=key)
            take.answered({"systems": len(given)}, {}, Usage())

    @property
    def notes(self) -> Sequence[str]:
        """What the numbers are, and are not."""
        return [
            "An ad is a product type on a store's mailer, an exposure a household's shopping in that "
            "store and week, a click a purchase of the type: stand-ins, not click rates.",
            "Bounds know the new ads' own clicks; everything else is known before the launch.",
            "New ads are drawn among types with enough clicks to be measured, retired ones are less "
            "popular: intercepts for the nearest ads' rate expect too few clicks.",
            "Launches of several seeds share users and ads, so that their cases are not independent.",
        ]

    def tables(self, outcomes: Sequence[Outcome]) -> Sequence[Table]:
        """What is recovered of the head-room, and metrics over lists of ads."""
        names = [system.name for system in self.systems()]
        told = [gains(outcomes, names), lists(self.measured)]
        return [*told, edits(outcomes)] if EDITED in names else told

    def systems(self) -> Sequence[System]:
        """Baselines, ablations, the method, bounds."""
        asked = [*PLANS, EDITED] if self.params.model else []
        everything = [*BASELINES, *asked, *BOUNDS]
        return [self._system(name) for name in self._named(everything)]

    def score(self, case: Case, answer: Answer) -> dict[str, float]:
        """AUC; of the model also Consistency, the share of features it wrote, and of right edits."""
        if "edits" in answer.value:
            moved = right(answer.value["edits"])
            return {"edits": sum(moved.values()) / len(moved)}
        found = {"AUC": answer.value["made"]["auc"]}
        for name in ("consistency", "written"):
            if answer.value.get(name) is not None:
                found[name] = answer.value[name]
        return found

    def _named(self, everything: Sequence[str]) -> list[str]:
        if self.params.systems == ALL:
            return [*everything]
        if self.params.systems == "baselines":
            return [name for name in everything if name in BASELINES or name in BOUNDS]
        named = [name.strip() for name in self.params.systems.split(",") if name.strip()]
        if unknown := [name for name in named if name not in everything]:
            lacks = " without a model" if unknown[0] in {*PLANS, EDITED} else ""
            raise SetupError(
                f"There is no system {unknown[0]!r}{lacks}; there are all, baselines, "
                f"{', '.join(everything)}."
            )
        sources = {source(PLANS[name]) for name in named if name in PLANS}
        return [name for name in everything if name in {*named, *sources, REFERENCE}]

    def _system(self, name: str) -> System:
        if name in PLANS:
            plan = PLANS[name]
            answer = partial(self._written if name == source(plan) else self._shrunk, plan)
            return System(name, answer, plan.kind, "weights by a language model")
        if name == EDITED:
            answer = partial(edited, model=self.params.model)
            return System(name, answer, "ablation", "do words in the text move their weights?")
        about = {**BASELINES, **BOUNDS}[name]
        return System(name, partial(self._made, name), "baseline" if name in BASELINES else "bound",
                      about)  # fmt: skip

    async def _made(self, name: str, case: Case) -> Answer:
        made = await on_tape(
            "model", partial(self.launches.baseline, case, name), Made, case=case.id, system=name
        )
        return Answer(value={"made": made.model_dump()})

    async def _written(self, plan: Plan, case: Case) -> Answer:
        """By the graph with lambda 1; the other lambdas take theirs from its answer."""
        ad, params = case.request["ad"], self.params
        context = hyper.Context(
            model=params.model, data=params.data, seed=case.request["seed"], share=1.0,
            **plan.asks,
        )  # fmt: skip
        result = await hyper.arun(
            hyper.Request(text=ad["text"], image=ad["image"], id=ad["id"]), context
        )
        generated = Generated(
            written=[one.scaled if one.written is not None else None for one in result.weights],
            neighbours=[one.neighbours for one in result.weights],
            intercept=result.reading.intercept if result.reading else None,
            consistency=result.consistency,
            usage=result.usage,
        )
        answer = await self._answer(generated, plan, case)
        more = generated.model_dump(exclude={"usage"})
        return answer.model_copy(update={"value": {**answer.value, "generated": more}})

    async def _shrunk(self, plan: Plan, case: Case) -> Answer:
        """The same generation under another lambda."""
        name = source(plan)
        generated = await on_tape(
            "generated", partial(self._generated, name, case), Generated, case=case.id,
            system=name,
        )  # fmt: skip
        return await self._answer(generated, plan, case)

    def _generated(self, name: str, case: Case) -> Generated:
        assert self._taped is not None, "a suite is prepared before it answers"
        end = self._taped.recorder.trace.runs[run_id(case, name)].end
        if end.error:
            raise ModelReplyError(end.error)
        return Generated.model_validate({**end.answer["generated"], "usage": end.usage})

    async def _answer(self, generated: Generated, plan: Plan, case: Case) -> Answer:
        weights = generated.weights(plan.share)
        auc = await on_tape(
            "auc", partial(self.launches.auc, case, weights), float, case=case.id,
            weights=_digest(weights),
        )  # fmt: skip
        made = Made(weights=weights, intercept=generated.intercept, auc=auc)
        share = sum(one is not None for one in generated.written) / len(generated.written)
        return Answer(
            value={"made": made.model_dump(), "consistency": generated.consistency,
                   "written": share},
            usage=generated.usage,
        )  # fmt: skip

    def _given(self, outcomes: Sequence[Outcome]) -> dict[str, list[Given]]:
        """What each system gave each ad, for the ads that all of them answered."""
        answered = [outcome for outcome in outcomes if "made" in outcome.answer]
        systems = len({outcome.system for outcome in outcomes} - {EDITED})
        counts = Counter(outcome.case for outcome in answered)
        found: dict[str, list[Given]] = {}
        for outcome in answered:
            if counts[outcome.case] == systems:
                made, (seed, _, ad) = outcome.answer["made"], outcome.case.partition(": ")
                given = Given(int(seed), ad, made["weights"], made["intercept"])
                found.setdefault(outcome.system, []).append(given)
        return found


def make(params: JsonObject, recorded: Sequence[Case] = ()) -> Hyper:
    """The suite with some settings.

    Args:
        params: fields of `Params`.
        recorded: the cases of a trace.

    Raises:
        SetupError: an unknown setting, or a wrong value.
    """
    return Hyper(checked(Params, params), recorded)


def seeds_of(text: str) -> list[int]:
    """Seeds with commas between.

    Raises:
        SetupError: there is none, one is no whole number from 0, or stands twice.
    """
    named = [one.strip() for one in text.split(",") if one.strip()]
    if not named or not all(one.isdecimal() for one in named) or len({*named}) < len(named):
        raise SetupError(
            f"The seeds are {text!r}; expected whole numbers with commas between, each once, "
            f"for example 0, 1, 2."
        )
    return [int(one) for one in named]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
