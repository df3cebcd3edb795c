"""The systems of the copywriting suite: the loop, and what it is measured against.

All start from the same drafts: the writer's first reply of a case has a seed of its own, and a recording
serves it to every system. Each answer is judged by the held-out judge, at nobody's cost; where it fails,
the answer stands unjudged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from merchgraph.agents.copy_baselines import SelfCritic
from merchgraph.evals.metrics.copies import Batch, Checks, Shipped, Version, line
from merchgraph.evals.suite import Answer, Case
from merchgraph.evals.suites.copy_judge import HeldOut
from merchgraph.graphs import copywriting
from merchgraph.graphs.copywriting_brief import brief
from merchgraph.graphs.copywriting_state import Copying
from merchgraph.graphs.refine import Mode
from merchgraph.graphs.versions import Refined, Round
from merchgraph.runtime.errors import BudgetError, MerchgraphError, SetupError
from merchgraph.runtime.ledger import Usage, at, collect
from merchgraph.runtime.models import chat_model
from merchgraph.tools.copy_rules.distinct import distinct
from merchgraph.tools.use_case import UseCase

ANOTHER = 1_000
"""Between the seeds of a case's batches; more cases than that no use case has."""


@dataclass(frozen=True)
class Desk:
    """Answers cases.

    Attributes:
        model: PROVIDER/MODEL of all agents.
        rounds: J, by which the baselines are given as much as the loop.
        judge: the held-out judge.
        calibrate: whether the loop's evaluators are.
    """

    model: str
    rounds: int
    judge: HeldOut
    calibrate: bool = False

    def context(self, **settings: Any) -> copywriting.Context:
        """The graph's settings."""
        return copywriting.Context(model=self.model, calibrate=self.calibrate, **settings)

    async def loop(self, mode: Mode, rounds: int, case: Case) -> Answer:
        """The graph."""
        result = await self._run(case, mode=mode, rounds=rounds)
        return await self._answer(case, [_shipped(one) for one in result.refined], result.usage)

    async def zero_shot(self, case: Case) -> Answer:
        """The first reply as it is; the checks only measure it, and cost it nothing."""
        result = await self._run(case, rounds=0)
        shipped = [_shipped(one, versions=False) for one in result.refined]
        return await self._answer(case, shipped, _writing(result))

    async def best_of(self, case: Case) -> Answer:
        """J + 1 replies, as many texts as the loop writes at most; the m best by the loop's own checks.

        What passed all of them comes first, and in it what repeats no other and no example; the rest
        by how many it passed.
        """
        results = [
            await self._run(case, rounds=0, seed=case.request["seed"] + ANOTHER * number)
            for number in range(self.rounds + 1)
        ]
        drafts: dict[str, Refined] = {}
        for one in chain.from_iterable(result.refined for result in results):
            drafts.setdefault(line(one.text), one)
        ranked = sorted(drafts.values(), key=lambda one: one.version.value, reverse=True)
        shipped = [_shipped(one, versions=False) for one in ranked]
        shown = [line(dict(copy)) for copy in _use_case(case).examples]
        kept = distinct([*shown, *(line(copy.text) for copy in shipped)])
        new = {number - len(shown) for number in kept}
        order = sorted(range(len(shipped)), key=lambda n: (not shipped[n].passed, n not in new))
        best = [shipped[number] for number in order[: case.request["copies"]]]
        return await self._answer(case, best, total(result.usage for result in results))

    async def self_refine(self, case: Case) -> Answer:
        """Each copy criticised by its writer's model in words and rewritten, J times, without checks."""
        result = await self._run(case, rounds=0)
        with collect() as calls:
            texts = await asyncio.gather(*map(partial(self._refined, case), result.refined))
        with collect():
            state = await self._unchecked(case)
            lanes = [one.id for one in result.refined]
            checked = await asyncio.gather(*map(partial(self._checks, case, state), lanes, texts))
        shipped = [Shipped(text=t, checks=c) for t, c in zip(texts, checked, strict=True)]
        return await self._answer(case, shipped, total([_writing(result), Usage.of(calls)]))

    async def _refined(self, case: Case, one: Refined) -> dict[str, str]:
        use_case, context, text = _use_case(case), self._context(case), one.rounds[0].text
        told, critic = brief(use_case), SelfCritic(chat_model(self.model))
        with at(node="self_refine", lane=one.id):
            for number in range(self.rounds):
                sample = int(one.id) * self.rounds + number
                writer = SelfCritic(context.agent_model("refine", sample))
                try:
                    critique = await critic.criticise(told, text)
                    text = use_case.tidy(await writer.rewrite(told, text, critique))
                except SetupError:
                    raise
                except MerchgraphError:  # as in the loop: what there is stands
                    break
        return text

    async def _unchecked(self, case: Case) -> Copying:
        with at(node="check"):
            neutral = await copywriting.neutrals(_use_case(case), self._context(case))
        return Copying(case=_use_case(case), neutral=neutral)

    async def _checks(
        self, case: Case, state: Copying, lane: str, text: Mapping[str, str]
    ) -> Checks:
        """The loop's checks of a text, cheap to dear up to the first that fails."""
        listed = copywriting.checks(state, self._context(case))
        found: Checks = dict.fromkeys((check.name for check in listed), None)
        with at(node="check", lane=lane):
            for check in listed:
                try:
                    found[check.name] = (await check.run(dict(text))).passed
                except SetupError:
                    raise
                except MerchgraphError:  # no answer is no pass
                    break
                if not found[check.name]:
                    break
        return found

    async def _run(self, case: Case, **settings: Any) -> copywriting.Result:
        request = copywriting.Request(use_case=_use_case(case))
        return await copywriting.arun(request, self._context(case, **settings))

    def _context(self, case: Case, **settings: Any) -> copywriting.Context:
        wanted = {"copies": case.request["copies"], "seed": case.request["seed"], **settings}
        return self.context(**wanted)

    async def _answer(self, case: Case, copies: Sequence[Shipped], usage: Usage) -> Answer:
        use_case, judged = _use_case(case), [copy.judged for copy in copies]
        unjudged = use_case.name in self.judge.unjudged
        try:
            judged = await self.judge.judge(use_case, [copy.text for copy in copies])
        except (SetupError, BudgetError):
            raise
        except MerchgraphError:  # the judge's failure is not the system's
            unjudged = True
        batch = Batch(
            wanted=case.request["copies"],
            copies=[
                copy.model_copy(update={"judged": found})
                for copy, found in zip(copies, judged, strict=True)
            ],
            unjudged=unjudged,
        )
        return Answer(value=batch.model_dump(), usage=usage)


def total(usages: Iterable[Usage]) -> Usage:
    """The sum; the cost is None as soon as one part has no price."""
    parts = [usage.model_dump() for usage in usages]
    sums = {
        name: None if any(part[name] is None for part in parts) else sum(p[name] for p in parts)
        for name in Usage.model_fields
    }
    return Usage.model_validate(sums)


def _use_case(case: Case) -> UseCase:
    return UseCase.model_validate(case.request["use_case"])


def _writing(result: copywriting.Result) -> Usage:
    return result.usage_by_agent.get("write", Usage())


def _shipped(one: Refined, *, versions: bool = True) -> Shipped:
    return Shipped(
        text=one.text,
        checks=_passed(one.version),
        versions=[
            Version(checks=_passed(round), source=round.source, fixed=round.fixed,
                    regressed=round.regressed)
            for round in one.rounds
        ] if versions else [],
    )  # fmt: skip


def _passed(round: Round) -> Checks:
    return {found.rule: found.passed for found in round.findings}
