"""The loop that CARTS and the copywriting graph share: one candidate text, checked and revised.

    START -> check -+-> END          all passed, no gain, max rounds
               ^    +-> revise -+-> END    the reviser gave no answer
               +----------------+

A method writes drafts, sends each into a loop of its own (one lane per draft, side by side) and selects
among what comes back:

    loop = refine_loop(Titling, Context, checks=checks, revise=revise)
    builder.add_node("refine", loop)
    builder.add_conditional_edges("draft", lambda state: [Send("refine", ...) for ...], ["refine"])

`checks(state, context)` lists the checks, cheap before dear: code first, then models. `fail_fast` stops
at the first that fails, and only that one is told to the reviser; `collect_all` runs them all and tells
every failure. Each revision starts from the best version so far, so a bad rewrite cannot lose ground, and
the best version is what comes out. The order of versions: feasible before infeasible (all hard checks
passed), then by checks passed, then by the mean score of the checks that have one; ties to the earlier.

The stages are those of "LLM-driven Constrained Copy Generation through Iterative Refinement" (arXiv
2504.10391) and of the refinement circle of CARTS (arXiv 2506.17765); keeping the best version,
`collect_all` and the stop without gain are ours.
"""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypedDict, TypeVar

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.graphs.versions import Draft, Finding, Refined, Round, Stop, Text, best, next_round
from merchgraph.runtime.errors import MerchgraphError, SetupError
from merchgraph.runtime.ledger import Call
from merchgraph.runtime.node import RunError, add_node
from merchgraph.tools.constraints import Rule

Mode = Literal["fail_fast", "collect_all"]


class Refinement(BaseModel):
    """The loop's settings; the context of a method that uses it is one of these."""

    model_config = ConfigDict(extra="forbid")

    mode: Mode = Field(
        default="collect_all", description="stop at the first failed check, or run them all"
    )
    rounds: int | None = Field(
        default=2, ge=0, le=10, description="J, revisions of one draft at most; 2 if null"
    )
    patience: int = Field(
        default=1, ge=1, le=10, description="revisions in a row without gain that end the loop"
    )

    def revisions(self, otherwise: int = 2) -> int:
        """J: as set, or else."""
        return otherwise if self.rounds is None else self.rounds


@dataclass(frozen=True)
class Check:
    """One check of a candidate; `run` asks a tool or an agent."""

    name: str
    run: Callable[[Text], Awaitable[Finding]]
    hard: bool = True


def coded(rule: Rule) -> Check:
    """The check of a rule in code, see `tools/constraints.py`; always a hard one."""

    async def run(text: Text) -> Finding:
        verdict = rule(text)
        return Finding(rule=rule.name, passed=verdict.passed, feedback=verdict.feedback)

    return Check(rule.name, run)


class Refining(TypedDict, total=False):
    """The state of one loop; a method adds what its checks and its reviser read."""

    draft: Draft
    rounds: Annotated[list[Round], operator.add]
    refined: Annotated[list[Refined], operator.add]
    calls: Annotated[list[Call], operator.add]
    errors: Annotated[list[RunError], operator.add]


class Left(TypedDict, total=False):
    """What a loop leaves in the graph around it."""

    refined: Annotated[list[Refined], operator.add]
    calls: Annotated[list[Call], operator.add]
    errors: Annotated[list[RunError], operator.add]


S = TypeVar("S", bound=Refining)
C = TypeVar("C", bound=Refinement)


def refine_loop(
    state: type[S],
    context: type[C],
    *,
    checks: Callable[[S, C], Sequence[Check]],
    revise: Callable[[S, C, Round], Awaitable[Text]],
    rounds: Callable[[S, C], int] = lambda state, context: context.revisions(),
) -> CompiledStateGraph[S, C, S, Left]:
    """The loop of a method, to be added to its graph as a node.

    Args:
        state: `Refining` with what the method's checks and reviser read.
        context: the method's settings.
        checks: the checks of a candidate, cheap before dear.
        revise: the next version of a round's text; it reads the findings that did not pass.
        rounds: J, where it is not the settings' alone.
    """
    loop = _Loop(checks, revise, rounds)
    builder: StateGraph[Any, Any, Any, Any] = StateGraph(
        state, context_schema=context, output_schema=Left
    )
    add_node(builder, "check", loop.check, lane=_lane, fallback=loop.as_it_was)
    add_node(builder, "revise", loop.rewrite, lane=_lane, fallback=loop.as_it_was)
    builder.add_edge(START, "check")
    builder.add_conditional_edges("check", _next("revise"), ["revise", END])
    builder.add_conditional_edges("revise", _next("check"), ["check", END])
    return builder.compile(name="refine")


@dataclass(frozen=True)
class _Loop(Generic[S, C]):
    """The nodes of a loop over what its method gives."""

    checks: Callable[[S, C], Sequence[Check]]
    revise: Callable[[S, C, Round], Awaitable[Text]]
    limit: Callable[[S, C], int]

    async def check(self, now: S, runtime: Runtime[C]) -> dict[str, Any]:
        draft, rounds, errors = now["draft"], _rounds(now), list[RunError]()
        same = next((one for one in rounds if one.text == draft.text and one.settled), None)
        if same is not None:  # said before: asking again would cost as much and tell nothing
            findings = same.findings
        else:
            listed = self.checks(now, runtime.context)
            findings = await _examine(listed, draft, runtime.context.mode, errors)
        rounds = [*rounds, next_round(draft.text, findings, rounds)]
        update: dict[str, Any] = {"rounds": rounds[-1:], "errors": errors}
        limit = self.limit(now, runtime.context)
        stopped = _stop(rounds, limit, runtime.context.patience)
        runtime.stream_writer(_told(draft, rounds[-1], stopped))
        if stopped:
            update["refined"] = [Refined.of(draft.id, rounds, stopped)]
        return update

    async def rewrite(self, now: S, runtime: Runtime[C]) -> dict[str, Any]:
        text = await self.revise(now, runtime.context, best(now["rounds"]))
        return {"draft": Draft(id=now["draft"].id, text=text)}

    def as_it_was(self, now: S, error: MerchgraphError, settings: C) -> dict[str, Any]:
        """The update of a branch that got no further."""
        unread = Round(
            number=0, text=now["draft"].text,
            findings=[_unknown(check) for check in self.checks(now, settings)],
        )  # fmt: skip
        rounds = _rounds(now) or [unread]
        return {"refined": [Refined.of(now["draft"].id, rounds, "no answer")]}


def _rounds(now: Refining) -> list[Round]:
    return now.get("rounds", [])


def _lane(now: Refining) -> str:
    return now["draft"].id


def _next(node: str) -> Callable[[Refining], str]:
    def follow(now: Refining) -> str:
        return END if now.get("refined") else node

    return follow


async def _examine(
    checks: Sequence[Check], draft: Draft, mode: Mode, errors: list[RunError]
) -> list[Finding]:
    """Run the checks; one that gets no answer is no pass, and an entry in `errors`."""

    async def run(check: Check) -> Finding:
        try:
            return (await check.run(draft.text)).model_copy(update={"hard": check.hard})
        except SetupError:
            raise
        except MerchgraphError as error:
            errors.append(RunError.of("check", draft.id, error))
            return _unknown(check)

    if mode == "collect_all":
        return list(await asyncio.gather(*(run(check) for check in checks)))
    findings: list[Finding] = []
    for check in checks:
        failed = bool(findings) and not findings[-1].passed
        findings.append(_unknown(check) if failed else await run(check))
    return findings


def _told(draft: Draft, last: Round, stopped: Stop | None) -> dict[str, Any]:
    """The event of a checked version, for live views."""
    checks = {found.rule: found.passed for found in last.findings}
    return {"event": "round", "lane": draft.id, "round": last.number, "text": last.text,
            "checks": checks, "stopped": stopped}  # fmt: skip


def _unknown(check: Check) -> Finding:
    return Finding(rule=check.name, passed=None, hard=check.hard)


def _stop(rounds: Sequence[Round], limit: int, patience: int) -> Stop | None:
    if rounds[-1].passed:
        return "passed"
    if len(rounds) > limit:
        return "max rounds"
    since = len(rounds) - 1 - best(rounds).number
    return "no gain" if since >= patience else None
