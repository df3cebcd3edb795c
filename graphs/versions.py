"""Versions of one candidate text: what checks found of each, and which is the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Text = dict[str, str]
"""A candidate: part -> text, as {"title": ...} or {"header": ..., "subheader": ...}."""
Stop = Literal["passed", "no gain", "max rounds", "no answer", "by code"]
"""Why a candidate was not revised further; "by code" made it, beside the loop, and nobody revises it."""


class Finding(BaseModel):
    """What one check found.

    Attributes:
        rule: the check's name.
        passed: None where it was not run, or could not be answered: that is no pass.
        feedback: what was seen, what is required, the smallest change; for the reviser.
        hard: a text that fails it is infeasible.
        score: how well it did, in [0, 1], where the check measures that.
        details: what the score is made of, as item -> probability.
    """

    model_config = ConfigDict(frozen=True)

    rule: str
    passed: bool | None
    feedback: str = ""
    hard: bool = True
    score: float | None = None
    details: dict[str, float] = Field(default_factory=dict)


class Draft(BaseModel):
    """A candidate on its way; its id is the lane of its calls."""

    model_config = ConfigDict(frozen=True)

    id: str
    text: Text


class Round(BaseModel):
    """One version of a candidate and what the checks found; round 0 is the draft.

    Attributes:
        source: the round whose text was revised; None for the draft.
        fixed: checks that the source failed and this version passes.
        regressed: checks that the source passed and this version fails.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    text: Text
    findings: list[Finding]
    source: int | None = None
    fixed: list[str] = Field(default_factory=list)
    regressed: list[str] = Field(default_factory=list)

    @property
    def feasible(self) -> bool:
        """Whether every hard check was run and passed."""
        return all(found.passed for found in self.findings if found.hard)

    @property
    def passed(self) -> bool:
        """Whether every check was run and passed."""
        return all(found.passed for found in self.findings)

    @property
    def settled(self) -> bool:
        """Whether checking it again would find the same: it failed, or every check has an answer."""
        answers = [found.passed for found in self.findings]
        return False in answers or None not in answers

    @property
    def score(self) -> float:
        """Mean score of the checks that have one, 0 where none has."""
        scores = [found.score for found in self.findings if found.score is not None]
        return sum(scores) / len(scores) if scores else 0.0

    @property
    def value(self) -> tuple[bool, int, float]:
        """What versions are ordered by."""
        return self.feasible, sum(found.passed is True for found in self.findings), self.score


class Refined(BaseModel):
    """A candidate as it left the loop.

    Attributes:
        text: its best version.
        feasible, passed: of that version.
        best: the number of its round.
        stopped: why no further revision was made.
        rounds: every version, oldest first.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    text: Text
    feasible: bool
    passed: bool
    best: int
    stopped: Stop
    rounds: list[Round]

    @classmethod
    def of(cls, draft: str, rounds: Sequence[Round], stopped: Stop) -> Refined:
        """The best of some rounds, of which there is at least one."""
        top = best(rounds)
        return cls(id=draft, text=top.text, feasible=top.feasible, passed=top.passed,
                   best=top.number, stopped=stopped, rounds=list(rounds))  # fmt: skip

    @property
    def version(self) -> Round:
        """The round of the best version."""
        return self.rounds[self.best]


def anew(before: list[Refined], now: list[Refined]) -> list[Refined]:
    """The reducer of what comes out of the loops: gather; an empty list begins afresh, for threads
    that run again, as in Studio.
    """
    return [*before, *now] if now else []


def best(rounds: Sequence[Round]) -> Round:
    """The best version; of equals the earliest."""
    return max(rounds, key=lambda one: (one.value, -one.number))


def next_round(text: Text, findings: list[Finding], before: Sequence[Round]) -> Round:
    """The round of a new version, told apart from the best of those before it."""
    if not before:
        return Round(number=0, text=text, findings=findings)
    source = best(before)
    was = {found.rule: found.passed for found in source.findings}
    now = {found.rule: found.passed for found in findings}
    return Round(
        number=len(before), text=text, findings=findings, source=source.number,
        fixed=[rule for rule, passed in now.items() if passed and was.get(rule) is False],
        regressed=[rule for rule, passed in now.items() if passed is False and was.get(rule)],
    )  # fmt: skip
