"""The lens suite: what does a household buy next, read from text or seen in a picture?

A case is a household's history and 10 or 20 candidates, half of them its own (`tools/next_purchase.py`),
the same for every rendering. Systems, all on the same questions:

    methods     the paper's renderings: text, scatter, flowchart
    ablations   controls: ranks, table (text without days), page (a picture of the text), both; variants
    baselines   chance, popular, last item, most frequent, Markov, a fitted recency-frequency model

Every rendering is asked twice, with the same words: for a prediction with an explanation, which counts as
its answer, and for the probabilities of the candidates. A judge, if one is named, rates the explanations
of a case side by side, when its last rendering has answered.

What is learnt and how alike items are goes onto the tape, and a case holds its history: a replay needs no
shop, no embedder and no model, and draws no picture anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from merchgraph.agents.explanation_judge import Explained
from merchgraph.evals.baselines.next_purchase import BASELINES, Learnt, guess
from merchgraph.evals.judges import other_than
from merchgraph.evals.metrics.explanations import told as counted
from merchgraph.evals.suite import Answer, Case, Outcome, Progress, System
from merchgraph.evals.suites.lens_renderings import PLANS, ratings
from merchgraph.evals.suites.lens_shop import Households, Likeness
from merchgraph.evals.suites.lens_tables import Kinds, tables
from merchgraph.evals.tables import Table
from merchgraph.evals.taped import Taped, run_id
from merchgraph.graphs import behavior_lens
from merchgraph.graphs.front import checked
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.ledger import Usage
from merchgraph.runtime.models import DEFAULT_MODEL
from merchgraph.runtime.playing import on_tape
from merchgraph.runtime.trace import JsonObject
from merchgraph.tools.histories import History

WITHOUT_MODEL = "most frequent"
"""The reference where no rendering is asked."""


class Params(BaseModel):
    """What an evaluation of BehaviorLens is about; a trace holds one of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = Field(default="complete_journey", description="the shop")
    candidates: Literal[10, 20] = Field(default=10, description="items of a question")
    model: str = Field(default=DEFAULT_MODEL, description="PROVIDER/MODEL that predicts")
    judge: str = Field(
        default="", description="PROVIDER/MODEL that rates explanations, another one; none if empty"
    )
    systems: str = Field(
        default="text",
        description="text (baselines, renderings without a picture), baselines, all, or names with "
        "commas",
    )
    seed: int = Field(default=0, ge=0, le=10**9, description="of candidates")


@dataclass
class Lens:
    """The suite.

    Attributes:
        params: what is evaluated.
        recorded: the cases of a trace; read from the shop where there are none.
        learnt: what the baselines know; `prepare` finds it.
        likeness: between items; `prepare` finds it.
    """

    params: Params = field(default_factory=Params)
    recorded: Sequence[Case] = ()
    name: str = "lens"
    learnt: Learnt = field(default_factory=lambda: Learnt(popular={}, follows={}))
    likeness: Likeness = field(default_factory=lambda: Likeness(items=[], cosines=[]))

    def __post_init__(self) -> None:
        params = self.params
        other_than(params.judge, params.model)
        self.households = Households(params.data, params.candidates, params.seed)
        self._taped: Taped | None = None

    @property
    def at_once(self) -> int:
        """Cases at the same time: one for the embedded engine, whose one prompt cache they share."""
        return 1 if self.params.model.startswith("embedded/") else 8

    @property
    def reference(self) -> str:
        """The paper's text, or the plainest strong baseline where no rendering is asked."""
        return "text" if self._renderings else WITHOUT_MODEL

    def cases(self) -> Sequence[Case]:
        """As recorded, or all households of the shop that have a whole history."""
        return self.recorded or self.households.cases()

    async def prepare(self, recorder: Taped, progress: Progress | None = None) -> None:
        """Fit the baselines on the weeks before the test, and embed the items' names.

        Raises:
            SetupError: a shop with too short a log, or a package that is missing.
        """
        self._taped = recorder
        about = self.params.model_dump(include={"data", "candidates", "seed"})
        with recorder.recorder.run("fit") as take:
            self.learnt = await on_tape("learn", self.households.learnt, Learnt, **about)
            self.likeness = await on_tape("likeness", self.households.likeness, Likeness, **about)
            found = self.learnt.model_dump(include={"weights", "questions"})
            take.answered(found, {}, Usage())
        if progress:
            progress(1, 1)

    @property
    def notes(self) -> Sequence[str]:
        """What was asked, and who judged."""
        params, pictures = self.params, [name for name in self._renderings if PLANS[name].pictured]
        told = [
            f"A question has {params.candidates} candidates, half of them the household's own; "
            f"chance is {1 / params.candidates:.2f}.",
            f"recency-frequency was fitted on {self.learnt.questions:,} questions of the 12 weeks "
            "before the test.",
        ]
        if self._renderings and not pictures:
            told.append("No rendering with a picture was asked.")
        if self._renderings:
            told.append(f"Explanations were judged by {params.judge}." if params.judge
                        else "Explanations were not judged: no judge was named.")  # fmt: skip
        return told

    def tables(self, outcomes: Sequence[Outcome]) -> Sequence[Table]:
        """Renderings side by side, tests between them, and their explanations."""
        kinds = Kinds(
            renderings={name: PLANS[name].shown for name in self._renderings},
            baselines=self._baselines,
            variants={name: PLANS[name].rendering for name in self._renderings
                      if PLANS[name].variants},
        )  # fmt: skip
        return tables(outcomes, kinds)

    def systems(self) -> Sequence[System]:
        """In the order of the report."""
        plain = [System(name, partial(self._baseline, name), "baseline", BASELINES[name][1])
                 for name in self._baselines]  # fmt: skip
        return plain + [
            System(name, partial(self._graph, name), PLANS[name].kind, PLANS[name].about)
            for name in self._renderings
        ]

    def score(self, case: Case, answer: Answer) -> dict[str, float]:
        """Accuracy, P(truth), what the probabilities alone would pick, likeness to the truth.

        "similarity on errors" has no value where the answer is right; P(truth) and "by P" have none
        where there are no probabilities, "usable" none for a baseline.
        """
        truth, value = case.truth["item"], answer.value
        prediction, odds = value["prediction"], value["odds"]
        right = prediction == truth
        likeness = self.likeness.of(prediction, truth)
        picked = max(odds, key=lambda item: odds[item]) if odds else None
        return {
            "accuracy": float(right),
            "P(truth)": odds.get(truth, math.nan),
            "by P": float(picked == truth) if odds else math.nan,
            "similarity": likeness,
            "similarity on errors": math.nan if right or not prediction else likeness,
            "usable": float(value["usable"]) if "usable" in value else math.nan,
        }

    @cached_property
    def _names(self) -> list[str]:
        wanted, everything = self.params.systems, [*BASELINES, *PLANS]
        if wanted == "all":
            return everything
        if wanted in ("text", "baselines"):
            texts = [name for name in PLANS if wanted == "text" and not PLANS[name].pictured]
            return [*BASELINES, *texts]
        named = [name.strip() for name in wanted.split(",") if name.strip()]
        if unknown := [name for name in named if name not in everything]:
            raise SetupError(
                f"There is no system {unknown[0]!r}; there are text, baselines, all, "
                f"{', '.join(everything)}."
            )
        reference = "text" if set(named).intersection(PLANS) else WITHOUT_MODEL
        return [name for name in everything if name in {*named, reference}]

    @property
    def _renderings(self) -> list[str]:
        return [name for name in self._names if name in PLANS]

    @property
    def _baselines(self) -> list[str]:
        return [name for name in self._names if name in BASELINES]

    async def _baseline(self, name: str, case: Case) -> Answer:
        history = History.model_validate(case.request["history"])
        found = guess(self.learnt, name, history, case.request["candidates"])
        return Answer(value={"prediction": found.best, "odds": found.odds})

    async def _graph(self, name: str, case: Case) -> Answer:
        """One rendering's answer; that of the last one has the ratings of all."""
        plan, params = PLANS[name], self.params
        context = behavior_lens.Context(
            model=params.model, data=params.data, rendering=plan.rendering,
            variants=list(plan.variants), count_picture=plan.pictured,
        )  # fmt: skip
        request = {"user": case.id, **case.request}
        found = await behavior_lens.arun(checked(behavior_lens.Request, request), context)
        value = {
            "prediction": found.prediction or "",
            "odds": found.odds,
            "explanation": found.explanation,
            "usable": found.prediction is not None,
            "first": found.prediction == found.candidates[0],
            "told": counted(
                found.explanation, found.prediction or "", found.history.items, found.candidates
            ).model_dump(),
            "tokens": {
                "text": found.tokens.text,
                "image": found.tokens.picture,
                "written": found.tokens.written,
            },
            "seconds": found.seconds,
            "sees": found.sight != "takes",
        }
        if params.judge and name == self._renderings[-1]:
            value["ratings"] = await ratings(params.judge, case, self._explained(case, name, value))
        return Answer(value=value, usage=found.usage)

    def _explained(self, case: Case, name: str, value: Mapping[str, Any]) -> dict[str, Explained]:
        """What each rendering has said of a case, this one's answer at hand, the others' recorded."""
        assert self._taped is not None, "a suite is prepared before it answers"
        runs, said = self._taped.recorder.trace.runs, {name: value}
        for other in self._renderings[:-1]:
            run = runs.get(run_id(case, other))
            if run is not None and not run.end.error:
                said[other] = run.end.answer
        return {
            other: Explained(prediction=one["prediction"], explanation=one["explanation"])
            for other, one in said.items()
            if one["usable"]
        }


def make(params: JsonObject, recorded: Sequence[Case] = ()) -> Lens:
    """The suite with some settings.

    Args:
        params: fields of `Params`.
        recorded: the cases of a trace.

    Raises:
        SetupError: an unknown setting, a wrong value, or a judge that is the model it judges.
    """
    return Lens(checked(Params, params), recorded)
