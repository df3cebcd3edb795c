"""What a batch of copies is worth, and what a loop did to it.

A batch is what one call wrote: its copies are alike in what they lack, so that it and not the copy is
the unit of the bootstrap. All shares are of the copies asked for: one that was not written has failed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from merchgraph.tools.constraints import Rule
from merchgraph.tools.copy_rules.distinct import distinct

Checks = dict[str, bool | None]
"""Check -> whether it passed; None where it was not run, or had no answer: that is no pass."""


class Judgement(BaseModel):
    """What the held-out judge says of one aspect of a copy."""

    model_config = ConfigDict(frozen=True)

    score: float
    passed: bool


class Version(BaseModel):
    """One version of a copy in the loop; `source` is the number of the version that was revised."""

    model_config = ConfigDict(frozen=True)

    checks: Checks
    source: int | None = None
    fixed: list[str] = Field(default_factory=list)
    regressed: list[str] = Field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every check was run and passed."""
        return all(self.checks.values())


class Shipped(BaseModel):
    """A copy as a system gives it.

    Attributes:
        checks: what the loop's own checks say of it; they drove the loop, and only measured the others.
        judged: what the held-out judge says, by the check that it stands for.
        versions: all of its versions, where there was a loop.
    """

    model_config = ConfigDict(frozen=True)

    text: dict[str, str]
    checks: Checks
    judged: dict[str, Judgement] = Field(default_factory=dict)
    versions: list[Version] = Field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the loop's checks all passed."""
        return all(self.checks.values())


class Batch(BaseModel):
    """What a system gives for one case.

    Attributes:
        wanted: m, the copies asked for; at least 1.
        copies: m at most.
        unjudged: whether its use case has checks for a judge, and the held-out one answered none of them.
    """

    model_config = ConfigDict(frozen=True)

    wanted: int = Field(ge=1)
    copies: list[Shipped]
    unjudged: bool = False


class Tally(BaseModel):
    """One check over the versions of many copies.

    Attributes:
        ran, failed: of first versions.
        had_failed, fixed: revisions of a version that it failed; of these, those that it passes.
        had_passed, regressed: revisions of a version that it passed; of these, those that it fails.
    """

    ran: int = 0
    failed: int = 0
    had_failed: int = 0
    fixed: int = 0
    had_passed: int = 0
    regressed: int = 0


def batch_metrics(
    batch: Batch, rules: Rule, examples: Sequence[Mapping[str, str]] = ()
) -> dict[str, float]:
    """Shares of a batch, each from 0 to 1.

    success: passes all checks of the loop, the loop's own critic. held-out: passes the rules in code,
    checked again here, and the held-out judge, and repeats no example and no other that does; NaN where
    the judge said nothing of what only a judge can check. code rules: passes the rules. distinct: share
    of the copies there are that repeat no example and none before them; NaN where there is none.
    accepted: passes all checks of the loop, and repeats no example and no other that does.

    Args:
        batch: what was given.
        rules: all rules in code as one.
        examples: copies that the writer was shown.
    """
    shown = [line(copy) for copy in examples]
    ruled = [rules(copy.text).passed for copy in batch.copies]
    held = [
        copy
        for by_rule, copy in zip(ruled, batch.copies, strict=True)
        if by_rule and all(judgement.passed for judgement in copy.judged.values())
    ]
    there = len(batch.copies)
    return {
        "success": sum(copy.passed for copy in batch.copies) / batch.wanted,
        "held-out": math.nan if batch.unjudged else _new(held, shown) / batch.wanted,
        "code rules": sum(ruled) / batch.wanted,
        "distinct": _new(batch.copies, shown) / there if there else math.nan,
        "accepted": _new([copy for copy in batch.copies if copy.passed], shown) / batch.wanted,
    }


def line(copy: Mapping[str, str]) -> str:
    """The parts of a copy on one line."""
    return " / ".join(copy.values())


def _new(copies: Sequence[Shipped], shown: Sequence[str]) -> int:
    """How many repeat nothing that was shown, and none before them."""
    kept = distinct([*shown, *(line(copy.text) for copy in copies)])
    return sum(number >= len(shown) for number in kept)


def passed_by_round(batch: Batch, rounds: int) -> list[float]:
    """Share of the copies asked for that had passed every check by round 0, 1 ... `rounds`."""
    first = [
        next((number for number, version in enumerate(copy.versions) if version.passed), math.inf)
        for copy in batch.copies
    ]
    return [sum(at <= number for at in first) / batch.wanted for number in range(rounds + 1)]


def first_failures(batch: Batch, check: str) -> float:
    """Share of the first versions that a check failed, of those that it was run on; NaN for none."""
    ran = [
        found
        for copy in batch.copies
        for version in copy.versions[:1]
        if (found := version.checks.get(check)) is not None
    ]
    return ran.count(False) / len(ran) if ran else math.nan


def tallies(copies: Iterable[Shipped], checks: Sequence[str]) -> Mapping[str, Tally]:
    """What each check found over all versions, in the order of `checks`; unknown ones are left out."""
    counts = {name: dict.fromkeys(Tally.model_fields, 0) for name in checks}
    for copy in copies:
        for name in counts.keys() & (copy.versions[0].checks if copy.versions else {}).keys():
            found = copy.versions[0].checks[name]
            counts[name]["ran"] += found is not None
            counts[name]["failed"] += found is False
        for version in copy.versions[1:]:
            assert version.source is not None, "only the first version has no source"
            before = copy.versions[version.source].checks
            for name, count in counts.items():
                count["had_failed"] += before.get(name) is False
                count["had_passed"] += before.get(name) is True
                count["fixed"] += name in version.fixed
                count["regressed"] += name in version.regressed
    return {name: Tally(**count) for name, count in counts.items()}
