"""Weights of the ARAG suite's fused order, fitted on the week before the test.

A conditional logit on that week's slates (`evals/fusion.py`). The tools' signals are known for all of
them, the model's (`nli`, `rank`) for the few that it has judged; where a signal is unknown it adds
nothing. So a thousand slates weigh the tools, and some dozens the model, whose weights are shrunk as far
as the held-out slates allow: a model at chance gets none, and a strong one keeps its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from pydantic import BaseModel

from merchgraph.evals.fusion import Slate, fit, slate
from merchgraph.evals.metrics.ranking import ranking_metrics
from merchgraph.evals.suite import Answer, Case, Progress, System, draw, evaluate
from merchgraph.evals.suites.arag_shop import SIGNALS, Added, Shops
from merchgraph.evals.taped import Taped
from merchgraph.graphs.arag import Result
from merchgraph.graphs.fusion import Signal
from merchgraph.runtime.ledger import Usage
from merchgraph.runtime.playing import on_tape

SLATES = 1000
"""Slates of the validation week whose tools' signals are read."""
VALIDATION = "validation/"
MODEL_SIGNALS: tuple[Signal, ...] = ("nli", "rank")
Judge = Callable[[Case], Awaitable[Result]]


class Weights(BaseModel):
    """Fitted weights.

    Attributes:
        tools: of the tools' signals alone.
        full: of these and the model's; empty where it judged nothing.
        tools_ndcg, full_ndcg: cross-validated NDCG@5 on the slates that were fitted on.
        more: of the tools' signals and what is added to them, by the system's name.
        more_ndcg: the same, cross-validated.
        slates: how many there were.
        judged: how many of them the model has judged.
    """

    tools: dict[Signal, float] = {}
    full: dict[Signal, float] = {}
    tools_ndcg: float = 0.0
    full_ndcg: float = 0.0
    more: dict[str, dict[Signal, float]] = {}
    more_ndcg: dict[str, float] = {}
    slates: int = 0
    judged: int = 0

    def told(self) -> str:
        """A sentence for the report, and one for each system that weighs more."""
        told = (
            f"Weights fitted on {self.slates:,} slates of the week before the test, "
            f"{self.judged} of them judged by the model: {_listed(self.full or self.tools)}."
        )
        more = [
            f" {name}: {_listed(weights)} (NDCG@5 of that week, cross-validated: "
            f"{self.more_ndcg[name]:.3f}; without, {self.tools_ndcg:.3f})."
            for name, weights in self.more.items()
        ]
        return told + "".join(more)


def _listed(weights: Mapping[Signal, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in weights.items())


async def fitted(
    shops: Shops,
    recorder: Taped,
    judge: Judge | None,
    *,
    limit: int,
    added: Mapping[str, Sequence[Added]] = MappingProxyType({}),
    at_once: int = 1,
    progress: Progress | None = None,
) -> Weights:
    """Let the model judge some cases of the validation week, and fit the weights.

    Args:
        shops: where the cases come from.
        recorder: keeps the judgements and the weights.
        judge: runs the graph on a case with every signal in `Context.fusion`; None fits the tools alone.
        limit: cases to judge.
        added: what further systems weigh beside the tools' signals, by name.
        at_once: cases that run at the same time.
        progress: told after each case.
    """  # fmt: skip
    judged: dict[str, Slate] = {}
    if judge is not None:
        week = _Week(shops, judge, recorder.cases(VALIDATION))
        await evaluate(week, limit=limit, recorder=recorder, at_once=at_once, progress=progress)
        judged = week.found
    with recorder.recorder.run("fit") as take:
        found = await on_tape("fit", lambda: _fit(shops, judged, added), Weights)
        take.answered(found.model_dump(), {}, Usage())
    return found


@dataclass
class _Week:
    """The validation week as a suite of one system, which collects the slates as they are answered."""

    shops: Shops
    judge: Judge
    recorded: Sequence[Case]
    found: dict[str, Slate] = field(default_factory=dict)
    name: str = "fit"
    reference: str = "fit"
    params: BaseModel = field(default_factory=Weights)

    def cases(self) -> Sequence[Case]:
        return self.recorded or [
            case.model_copy(update={"id": f"{VALIDATION}{case.id}"})
            for case in self.shops.cases("validation")
        ]

    def systems(self) -> Sequence[System]:
        return [System("fit", self._answer, "method")]

    async def _answer(self, case: Case) -> Answer:
        result = await self.judge(case)
        ranking = [row.item for row in result.ranking]
        signals = slate(result, ranking[0]).signals
        return Answer(value={"ranking": ranking, "signals": dict(signals)}, usage=result.usage)

    def score(self, case: Case, answer: Answer) -> dict[str, float]:
        ranking, relevant = answer.value["ranking"], case.truth["relevant"]
        self.found[case.id] = Slate(answer.value["signals"], ranking.index(relevant[0]))
        return ranking_metrics(ranking, relevant)


def _fit(
    shops: Shops, judged: Mapping[str, Slate], added: Mapping[str, Sequence[Added]]
) -> Weights:
    used = sorted({tool for tools in added.values() for tool in tools})
    both, more = [judged[case] for case in sorted(judged)], []
    for case in draw(shops.cases("validation"), limit=SLATES):
        target = case.request["candidates"].index(case.truth["relevant"][0])
        measured = shops.signals(case, used)
        known: Mapping[Signal, Sequence[float | None]] = {name: measured[name] for name in SIGNALS}
        more.append(Slate(measured, target))
        if f"{VALIDATION}{case.id}" not in judged:
            unknown = dict.fromkeys(MODEL_SIGNALS, [None] * len(case.request["candidates"]))
            both.append(Slate({**known, **unknown}, target))
    tools = fit(_only(more, SIGNALS))
    further = {name: fit(_only(more, [*SIGNALS, *named])) for name, named in added.items()}
    found = Weights(
        tools=tools.weights, tools_ndcg=tools.ndcg, slates=len(more),
        more={name: one.weights for name, one in further.items()},
        more_ndcg={name: one.ndcg for name, one in further.items()},
    )  # fmt: skip
    if not judged:
        return found
    full = fit(both, careful=MODEL_SIGNALS)
    return found.model_copy(
        update={"full": full.weights, "full_ndcg": full.ndcg, "judged": len(judged)}
    )


def _only(slates: Sequence[Slate], names: Sequence[Signal]) -> list[Slate]:
    return [Slate({name: one.signals[name] for name in names}, one.target) for one in slates]


ALL_SIGNALS: dict[Signal, float] = dict.fromkeys([*SIGNALS, *MODEL_SIGNALS], 0.0)
"""Weights that show every signal and let the ranker decide."""
