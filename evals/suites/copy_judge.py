"""The held-out judge of the copywriting suite: it reports, and never drives a loop.

Without a model it is the sentence embedder: a topic is conveyed where the greatest cosine of its sentence
with the copy or a part of it is high, header and subheader belong together where theirs is. An embedder
cannot hear a tone, nor tell for whom something was written: these are not judged then, and the report
says so. With a model (`Params.judge`), another one than the writer's, it is `agents/copy_judge.py`.

Each check has a threshold of its own, chosen on copies labelled by hand (`copy_labels.yaml`), on the use
case's examples, which hold, and on those of other use cases, which do not. A judge that cannot tell these
apart (AUC below .8) is not asked for that check, and the report says so. All of it is on the tape.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from merchgraph.agents.copy_judge import Aspect, CopyJudge
from merchgraph.evals.metrics.copies import Judgement
from merchgraph.evals.metrics.cuts import Cut, cut
from merchgraph.evals.taped import Taped
from merchgraph.graphs.copywriting_brief import guidelines
from merchgraph.graphs.copywriting_state import loaded
from merchgraph.runtime.ledger import Usage, at, collect
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.playing import on_tape
from merchgraph.tools.embedding import Embedder
from merchgraph.tools.use_case import USE_CASES, UseCase

LABELS = Path(__file__).parent / "copy_labels.yaml"
CALIBRATION = "calibration"
OFFLINE: tuple[Aspect, ...] = ("topic", "coherence")
"""What an embedder can judge."""
LEAST_AUC = 0.8
"""On labelled copies; a judge that is worth less would add chance to the numbers."""
DECIMALS = 5


class Asked(BaseModel):
    """One question about one copy."""

    model_config = ConfigDict(frozen=True)

    aspect: Aspect
    what: str
    text: dict[str, str]


class Label(BaseModel):
    """The right answer to a question."""

    model_config = ConfigDict(frozen=True)

    check: str
    asked: Asked
    holds: bool


class _Written(BaseModel):
    """A copy of `copy_labels.yaml`; what is in neither list is not labelled."""

    model_config = ConfigDict(extra="forbid")

    header: str
    subheader: str
    holds: list[str]
    fails: list[str]


@dataclass
class HeldOut:
    """The judge.

    Attributes:
        model: PROVIDER/MODEL; the embedder if empty.
        cuts: use case -> check -> threshold; `calibrate` finds them.
    """

    model: str = ""
    cuts: dict[str, dict[str, Cut]] = field(default_factory=dict)

    def judged(self, case: UseCase) -> list[str]:
        """The checks of a use case that it stands for; none before it is calibrated."""
        cuts = self.cuts.get(case.name, {})
        return [name for name in case.judged if name in cuts and _worth(cuts[name])]

    async def judge(
        self, case: UseCase, copies: Sequence[Mapping[str, str]]
    ) -> list[dict[str, Judgement]]:
        """What it says of each copy, by check; what that costs is not the system's.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        checks = self.judged(case)
        scores = iter(
            await self._scores([_asked(case, name, copy) for copy in copies for name in checks])
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

    async def calibrate(self, recorder: Taped, use_cases: Sequence[str]) -> None:
        """Choose the thresholds of some use cases.

        Args:
            recorder: keeps what is read and judged.
            use_cases: bundled names, or paths.
        """
        with recorder.recorder.run(CALIBRATION) as take:
            known = await on_tape(
                "labels", lambda: labels(use_cases), dict[str, list[Label]], names=list(use_cases)
            )
            for name, rows in known.items():
                can = [row for row in rows if self.model or row.asked.aspect in OFFLINE]
                scores = await self._scores([row.asked for row in can])
                self.cuts[name] = _cuts(can, scores)
            told = {
                name: {check: found.model_dump() for check, found in cuts.items()}
                for name, cuts in self.cuts.items()
            }
            take.answered(told, {}, Usage())

    def told(self) -> list[str]:
        """The calibration, for the report."""
        who = self.model or "cosines of sentence embeddings (tone and readers are not judged)"
        lines = [f"The held-out judge is {who}."]
        for name, cuts in self.cuts.items():
            if cuts:
                worth = "; ".join(_told(check, found) for check, found in cuts.items())
                lines.append(f"Its worth on labelled copies of {name}: {worth}.")
        return lines

    async def _scores(self, asked: Sequence[Asked]) -> list[float]:
        """One score in [0, 1] per question, equal questions once."""
        once = list({question.model_dump_json(): question for question in asked}.values())
        if not once:
            return []
        if self.model:
            agent = CopyJudge(chat_model(self.model))
            with at(node="judge", lane="judge"), collect():
                found = await asyncio.gather(*(agent.judge(q.aspect, q.what, q.text) for q in once))
        else:
            found = await on_tape("cosines", lambda: self._cosines(once), list[float], asked=once)
        known = {q.model_dump_json(): score for q, score in zip(once, found, strict=True)}
        return [known[question.model_dump_json()] for question in asked]

    @cached_property
    def _embedder(self) -> Embedder:
        return Embedder()

    def _cosines(self, asked: Sequence[Asked]) -> list[float]:
        """The embedder's score of each question: topics and coherence only."""
        texts = [[*question.text.values(), ". ".join(question.text.values())] for question in asked]
        whole = list({*chain.from_iterable(texts), *(question.what for question in asked)})
        vectors = dict(zip(whole, self._embedder.embed(whole), strict=True))
        found = []
        for question, parts in zip(asked, texts, strict=True):
            if question.aspect == "coherence":
                score = float(vectors[parts[0]] @ vectors[parts[-2]])
            else:
                score = max(float(vectors[part] @ vectors[question.what]) for part in parts)
            found.append(round(max(0.0, score), DECIMALS))
        return found


def labels(use_cases: Sequence[str]) -> dict[str, list[Label]]:
    """Labelled copies by use case: those of the file, the examples, and those of other use cases.

    Raises:
        SetupError, DataError: as `load_use_case`.
    """
    cases = [loaded(name) for name in use_cases]
    known = {case.name: case for case in cases}
    for path in sorted(USE_CASES.glob("*.yaml")):
        other = loaded(path.stem)
        known.setdefault(other.name, other)
    by_hand = _by_hand()
    return {
        case.name: [
            *_labelled(case, by_hand.get(case.name, [])),
            *(row for other in known.values() if other != case for row in _foreign(case, other)),
        ]
        for case in cases
    }


def _labelled(case: UseCase, written: Sequence[_Written]) -> list[Label]:
    rows = [
        Label(check=name, asked=_asked(case, name, dict(copy.items())), holds=True)
        for copy in case.examples
        for name in case.judged
    ]
    for one in written:
        copy = {"header": one.header, "subheader": one.subheader}
        for names, holds in ((one.holds, True), (one.fails, False)):
            rows += [Label(check=n, asked=_asked(case, n, copy), holds=holds) for n in names]
    return rows


def _foreign(case: UseCase, other: UseCase) -> list[Label]:
    """Another campaign's examples: they convey no topic of this one, and are not for its readers."""
    rows = []
    for name, guideline in guidelines(case).items():
        for copy in other.examples:
            if guideline.kind in ("topic", "personal"):
                asked = _asked(case, name, dict(copy.items()))
                rows.append(Label(check=name, asked=asked, holds=False))
            elif guideline.kind == "coherence" and "subheader" in copy:
                mixed = {"header": case.examples[0]["header"], "subheader": copy["subheader"]}
                rows.append(Label(check=name, asked=_asked(case, name, mixed), holds=False))
    return rows


def _cuts(rows: Sequence[Label], scores: Sequence[float]) -> dict[str, Cut]:
    sides: dict[str, tuple[list[float], list[float]]] = {}
    for row, score in zip(rows, scores, strict=True):
        sides.setdefault(row.check, ([], []))[not row.holds].append(score)
    return {check: cut(holds, fails) for check, (holds, fails) in sides.items()}


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


def _asked(case: UseCase, check: str, copy: Mapping[str, str]) -> Asked:
    guideline = guidelines(case)[check]
    return Asked(aspect=guideline.kind, what=guideline.what, text=dict(copy))


def _by_hand() -> dict[str, list[_Written]]:
    import yaml

    groups: list[dict[str, Any]] = yaml.safe_load(LABELS.read_text(encoding="utf-8"))
    return {
        group["use_case"]: [_Written.model_validate(copy) for copy in group["copies"]]
        for group in groups
    }
