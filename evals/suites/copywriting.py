"""The copywriting suite: does the loop of checks and revisions give more copies that may be used?

A case is a use case and a batch: m copies written in one call, under a seed of its own. Copies of a batch
are alike, so the batch is the unit of every interval. Systems, all on the same first drafts:

    baselines   zero-shot; the best of J + 1 replies by the loop's own checks (the reference: as many
                texts as the loop writes); Self-Refine, which criticises itself in words, without checks
    ablations   the loop with other numbers of revisions, J = 0 ... `longest`
    methods     the loop, first failure told (`fail_fast`, the paper's), or all of them (`collect_all`)

`success` is measured by the loop's own critic, as the paper has it, and favours whatever was tuned to it;
`held-out` is measured by the rules in code and a judge that drives nothing (`copy_judge.py`).

A case holds its use case, and what is judged is a part of each answer: a replay needs no file, no model
and no embedder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from pydantic import BaseModel, ConfigDict, Field

from merchgraph.evals.judges import other_than
from merchgraph.evals.metrics.copies import Batch, batch_metrics
from merchgraph.evals.suite import Answer, Case, Outcome, Progress, System
from merchgraph.evals.suites import copy_critic
from merchgraph.evals.suites.copy_judge import HeldOut
from merchgraph.evals.suites.copy_labels import Labelled, labels
from merchgraph.evals.suites.copy_systems import Desk
from merchgraph.evals.suites.copy_tables import MODES, Loops, tables
from merchgraph.evals.tables import Table
from merchgraph.evals.taped import Taped
from merchgraph.graphs.copywriting_state import loaded
from merchgraph.graphs.front import checked
from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.ledger import Usage
from merchgraph.runtime.models import DEFAULT_MODEL
from merchgraph.runtime.playing import on_tape
from merchgraph.runtime.trace import JsonObject
from merchgraph.tools.use_case import UseCase

CALIBRATION = "calibration"
"""The run of a trace that no case has."""


class Params(BaseModel):
    """What an evaluation of copywriting is about; a trace holds one of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    use_cases: str = Field(default="a, b, c", description="bundled names or paths, with commas")
    batches: int = Field(default=6, ge=1, le=1_000, description="per use case")
    copies: int = Field(default=5, ge=1, le=50, description="m, written in one call: a batch")
    rounds: int = Field(default=2, ge=0, le=10, description="J of the method and its baselines")
    longest: int = Field(default=4, ge=0, le=10, description="the largest J of the ablations")
    model: str = Field(default=DEFAULT_MODEL, description="PROVIDER/MODEL of all agents")
    judge: str = Field(
        default="",
        description="PROVIDER/MODEL of the held-out judge; the sentence embedder if empty",
    )
    calibrate: bool = Field(
        default=False,
        description="the loop's evaluators take off what they say of an empty copy or the worst example",
    )
    systems: str = Field(default="all", description="all, or names with commas")
    seed: int = Field(default=0, ge=0, le=10**9)


@dataclass
class Copywriting:
    """The suite.

    Attributes:
        params: what is evaluated.
        recorded: the cases of a trace; made from the use cases where there are none.
        critic: what the loop's evaluators say of labelled copies; `prepare` asks them.
    """

    params: Params = field(default_factory=Params)
    recorded: Sequence[Case] = ()
    name: str = "copy"
    critic: dict[str, list[copy_critic.Verdict]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        params = self.params
        other_than(params.judge, params.model)
        self.judge = HeldOut(params.judge)
        self.desk = Desk(params.model, params.rounds, self.judge, params.calibrate)
        ladder = sorted({*range(self.params.longest + 1), self.params.rounds})
        self.loops = Loops(self.params.rounds, ladder)
        self.reference = f"best of {self.params.rounds + 1}"

    @property
    def at_once(self) -> int:
        """Cases at the same time: one for the embedded engine, whose one prompt cache they share."""
        return 1 if self.params.model.startswith("embedded/") else 4

    def cases(self) -> Sequence[Case]:
        """As recorded, or all batches of all use cases.

        Raises:
            SetupError, DataError: as `load_use_case`.
        """
        return self.recorded or [
            self._case(name, use_case, batch)
            for name, use_case in ((name, loaded(name)) for name in self._use_cases())
            for batch in range(self.params.batches)
        ]

    async def prepare(self, recorder: Taped, progress: Progress | None = None) -> None:
        """Choose the held-out judge's thresholds, and measure the loop's evaluators.

        Raises:
            SetupError, DataError: as `load_use_case`; or the judge's model is missing.
        """
        names = self._use_cases()
        with recorder.recorder.run(CALIBRATION) as take:
            known = await on_tape("labels", lambda: labels(names), list[Labelled], names=names)
            await self.judge.calibrate(known)
            self.critic = await copy_critic.measured(known, self.desk.context())
            cuts = {
                name: {check: cut.model_dump() for check, cut in found.items()}
                for name, found in self.judge.cuts.items()
            }
            take.answered(cuts, {}, Usage())

    @property
    def notes(self) -> Sequence[str]:
        """What is counted, by whom it is judged, and what that is worth."""
        copies = self.params.copies
        return [
            f"A case is a batch of {copies} copies written in one call; n counts batches, and "
            f"{copies} times as many copies.",
            "success and accepted are by the loop's own checks, held-out is not.",
            *self.judge.told(),
        ]

    def systems(self) -> Sequence[System]:
        """In the order of the report."""
        everything = self._everything()
        if self.params.systems == "all":
            return everything
        named = {name.strip() for name in self.params.systems.split(",") if name.strip()}
        known = [system.name for system in everything]
        if unknown := sorted(named.difference(known)):
            raise SetupError(
                f"There is no system {unknown[0]!r}; there are all, {', '.join(known)}."
            )
        return [system for system in everything if system.name in {*named, self.reference}]

    def score(self, case: Case, answer: Answer) -> dict[str, float]:
        """Success, held-out success, rules, distinct and accepted, see `batch_metrics`."""
        use_case = UseCase.model_validate(case.request["use_case"])
        return batch_metrics(
            Batch.model_validate(answer.value),
            use_case.chain,
            [dict(copy) for copy in use_case.examples],
        )

    def tables(self, outcomes: Sequence[Outcome]) -> Sequence[Table]:
        """Rounds, checks, cost, the two modes against each other, and the loop's evaluators."""
        critic = copy_critic.table(self.critic)
        return [*tables(outcomes, self.loops), *([critic] if critic.rows else [])]

    def _use_cases(self) -> list[str]:
        names = [name.strip() for name in self.params.use_cases.split(",") if name.strip()]
        if not names or len(set(names)) < len(names):
            raise SetupError(
                f"The setting use_cases is {self.params.use_cases!r}, but: use cases are named there, "
                "each once, with commas between them."
            )
        return names

    def _case(self, name: str, use_case: UseCase, batch: int) -> Case:
        request = {
            "use_case": use_case.model_dump(mode="json"),
            "copies": self.params.copies,
            "seed": self.params.seed + batch,
        }
        return Case(id=f"{name}/{batch}", segment=name, request=request, truth={})

    def _everything(self) -> list[System]:
        desk, rounds = self.desk, self.params.rounds
        best = f"{rounds + 1} calls that write, the {self.params.copies} best by the loop's checks"
        found = [
            System("zero-shot", desk.zero_shot, "baseline", "one call that writes"),
            System(self.reference, desk.best_of, "baseline", best),
            System("Self-Refine", desk.self_refine, "baseline", f"{rounds} critiques in words"),
        ]
        loops = [(mode, number) for number in self.loops.ladder for mode in MODES]
        for mode, number in sorted(loops, key=lambda loop: loop[1] == rounds):
            answer = partial(desk.loop, mode, number)
            kind = "method" if number == rounds else "ablation"
            found.append(System(self.loops.name(mode, number), answer, kind))  # type: ignore[arg-type]
        return found


def make(params: JsonObject, recorded: Sequence[Case] = ()) -> Copywriting:
    """The suite with some settings.

    Args:
        params: fields of `Params`.
        recorded: the cases of a trace.

    Raises:
        SetupError: an unknown setting, or a wrong value; or the judge is the model that writes.
    """
    return Copywriting(checked(Params, params), recorded)
