"""The held-out judge of the copywriting suite: it reports, and never drives a loop.

Without a model it is the sentence embedder: a topic is conveyed where the greatest cosine of its sentence
with the copy or a part of it is high, header and subheader belong together where theirs is. An embedder
cannot hear a tone, nor tell for whom something was written: these are not judged then, and the report
says so. With a model (`Params.judge`), another one than the writer's, it is `agents/copy_judge.py`.

Each check has a threshold of its own, chosen on labelled copies (`copy_labels.py`). A judge that cannot
tell these apart (AUC below .8) is not asked for that check, and the report says so. Where that leaves it
nothing of a use case, held-out has no value there: the rules alone are another metric.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

from merchgraph.agents.copy_judge import Aspect, CopyJudge
from merchgraph.evals.metrics.copies import Judgement
from merchgraph.evals.metrics.cuts import Cut
from merchgraph.evals.suites.copy_labels import Asked, Labelled, asked, cuts
from merchgraph.runtime.ledger import at, collect
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.playing import on_tape
from merchgraph.tools.embedding import Embedder
from merchgraph.tools.use_case import UseCase

OFFLINE: tuple[Aspect, ...] = ("topic", "coherence")
"""What an embedder can judge."""
LEAST_AUC = 0.8
"""On labelled copies; a judge that is worth less would add chance to the numbers."""
DECIMALS = 5


@dataclass
class HeldOut:
    """The judge.

    Attributes:
        model: PROVIDER/MODEL; the embedder if empty.
        cuts: use case -> check -> threshold; `calibrate` finds them.
        unjudged: the use cases of which it can tell nothing that only a judge can; as `cuts`.
    """

    model: str = ""
    cuts: dict[str, dict[str, Cut]] = field(default_factory=dict)
    unjudged: list[str] = field(default_factory=list)

    def judged(self, case: UseCase) -> list[str]:
        """The checks of a use case that it stands for; none before it is calibrated."""
        found = self.cuts.get(case.name, {})
        return [name for name in case.judged if name in found and _worth(found[name])]

    async def judge(
        self, case: UseCase, copies: Sequence[Mapping[str, str]]
    ) -> list[dict[str, Judgement]]:
        """What it says of each copy, by check; what that costs is not the system's.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        checks = self.judged(case)
        scores = iter(
            await self._scores([asked(case, name, copy) for copy in copies for name in checks])
        )
        found: list[dict[str, Judgement]] = []
        for _ in copies:
            row = {}
            for name in checks:
                score = next(scores)
                passed = score >= self.cuts[case.name][name].threshold
                row[name] = Judgement(score=score, passed=passed)
            found.append(row)
        return found

    async def calibrate(self, known: Sequence[Labelled]) -> None:
        """Choose the thresholds of some use cases.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        for one in known:
            rows = [row for row in one.rows if self.model or row.asked.aspect in OFFLINE]
            scores = await self._scores([row.asked for row in rows])
            self.cuts[one.case.name] = cuts(rows, scores)
            if one.case.judged and not self.judged(one.case):
                self.unjudged.append(one.case.name)

    def told(self) -> list[str]:
        """The calibration, for the report."""
        who = self.model or "cosines of sentence embeddings (tone and readers are not judged)"
        lines = [f"The held-out judge is {who}."]
        for name, found in self.cuts.items():
            if found:
                worth = "; ".join(_told(check, one) for check, one in found.items())
                lines.append(f"Its worth on labelled copies of {name}: {worth}.")
        if self.unjudged:
            open_ = ", ".join(self.unjudged)
            lines.append(f"It can tell no check of {open_}: held-out has no value there.")
        return lines

    async def _scores(self, questions: Sequence[Asked]) -> list[float]:
        """One score in [0, 1] per question, equal questions once."""
        once = list({question.model_dump_json(): question for question in questions}.values())
        if not once:
            return []
        if self.model:
            agent = CopyJudge(chat_model(self.model))
            with at(node="judge", lane="judge"), collect():
                found = await asyncio.gather(*(agent.judge(q.aspect, q.what, q.text) for q in once))
        else:
            found = await on_tape("cosines", lambda: self._cosines(once), list[float], asked=once)
        known = {q.model_dump_json(): score for q, score in zip(once, found, strict=True)}
        return [known[question.model_dump_json()] for question in questions]

    @cached_property
    def _embedder(self) -> Embedder:
        return Embedder()

    def _cosines(self, questions: Sequence[Asked]) -> list[float]:
        """The embedder's score of each question: topics and coherence only."""
        texts = [
            [*question.text.values(), ". ".join(question.text.values())] for question in questions
        ]
        whole = list({*chain.from_iterable(texts), *(question.what for question in questions)})
        vectors = dict(zip(whole, self._embedder.embed(whole), strict=True))
        found = []
        for question, parts in zip(questions, texts, strict=True):
            if question.aspect == "coherence":
                score = float(vectors[parts[0]] @ vectors[parts[-2]])
            else:
                score = max(float(vectors[part] @ vectors[question.what]) for part in parts)
            found.append(round(max(0.0, score), DECIMALS))
        return found


def _worth(found: Cut) -> bool:
    return found.auc is not None and found.auc >= LEAST_AUC


def _told(check: str, found: Cut) -> str:
    if found.auc is None or found.accuracy is None:
        return f"{check} has no labelled copies of both sides and is not judged"
    told = (
        f"{check} AUC {found.auc:.2f}, balanced accuracy {found.accuracy:.2f} "
        f"({found.holds} hold, {found.fails} fail; each left out in turn)"
    )
    return told if _worth(found) else f"{told}, too little to be asked"
