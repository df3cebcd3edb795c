"""The copywriting graph's request, context, state and result; `copywriting.py` has the flow."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field

from merchgraph.graphs.refine import Mode, Refinement, Refining
from merchgraph.graphs.versions import Draft, Refined, Stop, Text, anew
from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.ledger import Call, Usage, usage_by
from merchgraph.runtime.models import DEFAULT_MODEL, chat_model
from merchgraph.runtime.node import RunError
from merchgraph.tools.copy_rules.distinct import JACCARD
from merchgraph.tools.use_case import USE_CASES, UseCase, load_use_case

AgentName = Literal["write", "topic", "coherence", "tone", "personal", "refine"]
AGENTS: tuple[AgentName, ...] = ("write", "topic", "coherence", "tone", "personal", "refine")


class Request(BaseModel):
    """For which use case."""

    model_config = ConfigDict(extra="forbid")

    use_case: UseCase | str = Field(
        default="a", description="a use case, the path of its YAML file, or a bundled one: a, b, c"
    )


class Context(Refinement):
    """The settings of one run; of the loop's, mode and patience are by default as in the paper."""

    model: str = Field(default=DEFAULT_MODEL, description="PROVIDER/MODEL of all agents")
    models: dict[AgentName, str] = Field(
        default_factory=dict, description="other models for single agents"
    )
    copies: int | None = Field(
        default=None, ge=1, le=50, description="m, copies to write; the use case's if null"
    )
    rounds: int | None = Field(
        default=None, ge=0, le=10,
        description="J, revisions of one copy at most; the use case's if null",
    )  # fmt: skip
    mode: Mode = Field(
        default="fail_fast", description="stop at the first failed check, or run them all"
    )
    patience: int = Field(
        default=10, ge=1, le=10, description="revisions in a row without gain that end the loop"
    )
    threshold: float = Field(
        default=0.5, ge=0, le=1, description="least P(yes) that passes an evaluator"
    )
    calibrate: bool = Field(
        default=False,
        description="P(yes) relative to an empty copy or the worst example, for weak models",
    )
    mend: bool = Field(
        default=True,
        description="help a reviser that brings nothing: another copy by the writer, a cut in code",
    )
    alike: float = Field(
        default=JACCARD, gt=0, le=1,
        description="share of common character 3-grams from which two copies are doubles",
    )  # fmt: skip
    alike_meaning: float | None = Field(
        default=None, gt=0, le=1,
        description="cosine of sentence embeddings from which they are doubles; null: not compared",
    )  # fmt: skip
    temperature: float = Field(default=0.9, ge=0, le=2, description="of the writer")
    revising_temperature: float = Field(default=0.7, ge=0, le=2, description="of the reviser")
    seed: int | None = Field(
        default=None, ge=0, lt=2**31,
        description="of what is sampled, drafts and revisions; null: another run, other copies",
    )  # fmt: skip
    deterministic: bool = Field(
        default=False, description="same request, same bits: no prompt cache (slower)"
    )

    def wanted(self, case: UseCase) -> int:
        """m, the copies to write."""
        return self.copies or case.copies

    def agent_model(self, agent: AgentName, sample: int = 0) -> ChatModel:
        """The live model of an agent; the evaluators' are at temperature 0.

        Args:
            agent: its name.
            sample: numbers what is sampled of it, so that the same question may get another answer.
        """
        warm = {"write": self.temperature, "refine": self.revising_temperature}
        sampled = self.seed is not None and agent in warm
        return chat_model(
            self.models.get(agent, self.model),
            temperature=warm.get(agent, 0.0),
            seed=(self.seed or 0) + sample if sampled else None,
            deterministic=self.deterministic,
        )


class Selection(BaseModel):
    """Ids of drafts that passed, best score first: the accepted ones, and those that repeat another."""

    accepted: list[str]
    duplicates: list[str]


class State(TypedDict, total=False):
    """The request comes in; `read` sets case and neutral, `write` drafts, the loop refined, `select`
    selection.

    neutral: evaluator -> P(yes) that scores .5; empty where none is calibrated.
    """

    use_case: Any  # a use case, an object that is one, or a name: `Request` reads all
    case: UseCase
    neutral: dict[str, float]
    drafts: list[Draft]
    refined: Annotated[list[Refined], anew]
    selection: Selection
    calls: Annotated[list[Call], operator.add]
    errors: Annotated[list[RunError], operator.add]


class Copying(Refining, total=False):
    """The state of one loop."""

    case: UseCase
    neutral: dict[str, float]


class Copy(BaseModel):
    """A copy that passed every check.

    Attributes:
        text: part -> text.
        rounds: revisions that it took.
        scores: P(yes) by evaluator.
    """

    id: str
    text: Text
    rounds: int
    scores: dict[str, float]


class Rejected(BaseModel):
    """A draft that did not pass, in its best version.

    Attributes:
        failed: check -> feedback; a check without an answer has none.
        stopped: why it was not revised further.
    """

    id: str
    text: Text
    rounds: int
    failed: dict[str, str]
    stopped: Stop


class Tally(BaseModel):
    """One check over all drafts.

    Attributes:
        ran, failed: of the first versions; `fail_fast` runs a check only where all before it passed.
        fixed, regressed: revisions that made it pass, or fail, where it did not before.
    """

    ran: int = 0
    failed: int = 0
    fixed: int = 0
    regressed: int = 0


class Result(BaseModel):
    """What a run returns.

    Attributes:
        accepted: copies that passed every check, best score first, none like another or an example.
        duplicates: copies that passed too, and are.
        success: share of the copies asked for that had passed by round 0, 1, ... J, doubles included.
        checks: by check, in the order in which they run.
        refined: every version of every draft.
        calls_per_copy, tokens_per_copy: of the whole run, per accepted copy; None where there is none.
        errors: the branches that failed and what the run did without.
    """

    use_case: str
    accepted: list[Copy]
    rejected: list[Rejected]
    duplicates: list[Copy]
    success: list[float]
    checks: dict[str, Tally]
    refined: list[Refined]
    calls_per_copy: float | None
    tokens_per_copy: float | None
    errors: list[RunError]
    usage: Usage
    usage_by_agent: dict[str, Usage]


def loaded(use_case: UseCase | str) -> UseCase:
    """The use case of a request; a bundled name comes before a file.

    Raises:
        SetupError, DataError: as `load_use_case`.
    """
    if isinstance(use_case, UseCase):
        return use_case
    bundled = {path.stem: path for path in USE_CASES.glob("*.yaml")}
    return load_use_case(bundled.get(use_case, Path(use_case)))


def result(state: Mapping[str, Any], context: Context | None = None) -> Result:
    """What a finished run's state says, for people."""
    context, case, selection = context or Context(), state["case"], state["selection"]
    refined: dict[str, Refined] = {one.id: one for one in state["refined"]}
    usage = Usage.of(state["calls"])
    kept = len(selection.accepted)
    return Result(
        use_case=case.name,
        accepted=[_copy(refined[name]) for name in selection.accepted],
        rejected=[_rejected(one) for one in refined.values() if not one.passed],
        duplicates=[_copy(refined[name]) for name in selection.duplicates],
        success=_success(
            list(refined.values()), context.copies or case.copies, context.revisions(case.rounds)
        ),
        checks=_tallies(case, list(refined.values())),
        refined=list(refined.values()),
        calls_per_copy=usage.calls / kept if kept else None,
        tokens_per_copy=(usage.prompt_tokens + usage.completion_tokens) / kept if kept else None,
        errors=state["errors"],
        usage=usage,
        usage_by_agent=usage_by(state["calls"], "agent"),
    )


def _copy(one: Refined) -> Copy:
    scores = {f.rule: f.score for f in one.version.findings if f.score is not None}
    return Copy(id=one.id, text=one.text, rounds=one.best, scores=scores)


def _rejected(one: Refined) -> Rejected:
    # in `fail_fast` what comes after the failed check was not run, which is no failure
    findings = one.version.findings
    failed = {f.rule: f.feedback for f in findings if f.passed is False}
    unanswered = {f.rule: "" for f in findings if f.passed is None}
    return Rejected(
        id=one.id, text=one.text, rounds=len(one.rounds) - 1, failed=failed or unanswered,
        stopped=one.stopped,
    )  # fmt: skip


def _success(refined: list[Refined], wanted: int, rounds: int) -> list[float]:
    first = [next((r.number for r in one.rounds if r.passed), None) for one in refined]
    return [
        sum(number is not None and number <= j for number in first) / wanted
        for j in range(rounds + 1)
    ]


def _tallies(case: UseCase, refined: list[Refined]) -> dict[str, Tally]:
    tallies = {name: Tally() for name in case.checks}
    for one in refined:
        for found in one.rounds[0].findings:
            tallies[found.rule].ran += found.passed is not None
            tallies[found.rule].failed += found.passed is False
        for version in one.rounds[1:]:
            for rule in version.fixed:
                tallies[rule].fixed += 1
            for rule in version.regressed:
                tallies[rule].regressed += 1
    return tallies
