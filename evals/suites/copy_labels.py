"""Labelled copies: what the judges of the copywriting suite are measured on.

Made up and labelled for two of the bundled use cases (`copy_labels.yaml`). For every use case its own
examples are there too, which hold, and those of the others, which convey no topic of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from merchgraph.agents.copy_judge import Aspect
from merchgraph.evals.metrics.cuts import Cut, cut
from merchgraph.graphs.copywriting_brief import guidelines
from merchgraph.graphs.copywriting_state import loaded
from merchgraph.tools.use_case import USE_CASES, UseCase

LABELS = Path(__file__).parent / "copy_labels.yaml"


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


class Labelled(BaseModel):
    """A use case with its labelled copies."""

    model_config = ConfigDict(frozen=True)

    case: UseCase
    rows: list[Label]


class _Written(BaseModel):
    """A copy of `copy_labels.yaml`; what is in neither list is not labelled."""

    model_config = ConfigDict(extra="forbid")

    header: str
    subheader: str
    holds: list[str]
    fails: list[str]


def labels(use_cases: Sequence[str]) -> list[Labelled]:
    """The labelled copies of some use cases, bundled names or paths.

    Raises:
        SetupError, DataError: as `load_use_case`.
    """
    cases = [loaded(name) for name in use_cases]
    known = {case.name: case for case in cases}
    for path in sorted(USE_CASES.glob("*.yaml")):
        other = loaded(path.stem)
        known.setdefault(other.name, other)
    made_up = _made_up()
    found = []
    for case in cases:
        others = [other for other in known.values() if other != case]
        foreign = [row for other in others for row in _foreign(case, other)]
        own = _labelled(case, made_up.get(case.name, []))
        found.append(Labelled(case=case, rows=[*own, *foreign]))
    return found


def _labelled(case: UseCase, written: Sequence[_Written]) -> list[Label]:
    rows = [
        Label(check=name, asked=asked(case, name, dict(copy.items())), holds=True)
        for copy in case.examples
        for name in case.judged
    ]
    for one in written:
        copy = {"header": one.header, "subheader": one.subheader}
        for names, holds in ((one.holds, True), (one.fails, False)):
            rows += [Label(check=n, asked=asked(case, n, copy), holds=holds) for n in names]
    return rows


def _foreign(case: UseCase, other: UseCase) -> list[Label]:
    """Another campaign's examples: they convey no topic of this one, and are not for its readers."""
    rows = []
    for name, guideline in guidelines(case).items():
        for copy in other.examples:
            if guideline.kind in ("topic", "personal"):
                question = asked(case, name, dict(copy.items()))
                rows.append(Label(check=name, asked=question, holds=False))
            elif guideline.kind == "coherence" and "subheader" in copy:
                mixed = {"header": case.examples[0]["header"], "subheader": copy["subheader"]}
                rows.append(Label(check=name, asked=asked(case, name, mixed), holds=False))
    return rows


def cuts(rows: Sequence[Label], scores: Sequence[float]) -> dict[str, Cut]:
    """The threshold of each check, and what it is worth."""
    return {check: cut(*sides) for check, sides in by_side(rows, scores).items()}


def by_side(
    rows: Sequence[Label], scores: Sequence[float]
) -> dict[str, tuple[list[float], list[float]]]:
    """Check -> the scores of copies that hold, and of those that fail."""
    sides: dict[str, tuple[list[float], list[float]]] = {}
    for row, score in zip(rows, scores, strict=True):
        sides.setdefault(row.check, ([], []))[not row.holds].append(score)
    return sides


def asked(case: UseCase, check: str, copy: Mapping[str, str]) -> Asked:
    """What a check of a use case asks about a copy."""
    guideline = guidelines(case)[check]
    return Asked(aspect=guideline.kind, what=guideline.what, text=dict(copy))


def _made_up() -> dict[str, list[_Written]]:
    import yaml

    groups: list[dict[str, Any]] = yaml.safe_load(LABELS.read_text(encoding="utf-8"))
    return {
        group["use_case"]: [_Written.model_validate(copy) for copy in group["copies"]]
        for group in groups
    }
