"""The copywriting suite's own tables, from what the systems answered.

Their intervals are over batches, by the bootstrap of the report. A use case with one batch has none, and
with few a narrow one: every row says how many there were. What nobody judged has no value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

from merchgraph.evals.metrics.bootstrap import Estimate, difference, mean
from merchgraph.evals.metrics.copies import Batch, first_failures, passed_by_round, tallies
from merchgraph.evals.suite import Outcome
from merchgraph.evals.tables import Cell, Table
from merchgraph.graphs.refine import Mode

MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True)
class Loops:
    """Which systems are the loop.

    Attributes:
        rounds: J of the methods.
        ladder: the numbers of revisions that are compared, lowest first.
    """

    rounds: int
    ladder: Sequence[int]

    def name(self, mode: Mode, rounds: int) -> str:
        """The system of so many revisions."""
        return f"{mode} J={rounds}"

    @property
    def compared(self) -> dict[Mode, str]:
        """The methods."""
        return {mode: self.name(mode, self.rounds) for mode in MODES}

    @property
    def longest(self) -> dict[Mode, str]:
        """The systems with the most revisions, from which all rounds are read."""
        return {mode: self.name(mode, self.ladder[-1]) for mode in MODES}


def tables(outcomes: Sequence[Outcome], loops: Loops) -> list[Table]:
    """Those that there is something to show in."""
    answers = _Answers(outcomes)
    found = [
        _rounds(answers, loops),
        _held_out(answers, loops),
        _first_pass(answers, loops),
        _fixed(answers, loops),
        _cost(answers),
        _modes(answers, loops),
    ]
    return [table for table in found if table.rows]


@dataclass(frozen=True)
class _Answers:
    """Outcomes by system and use case; answers that failed are left out of what only answers have."""

    outcomes: Sequence[Outcome]

    @cached_property
    def segments(self) -> list[str]:
        return sorted({outcome.segment for outcome in self.outcomes})

    @cached_property
    def systems(self) -> list[str]:
        return list(dict.fromkeys(outcome.system for outcome in self.outcomes))

    def of(self, system: str, segment: str | None = None) -> list[Outcome]:
        """In the order of the cases' ids, so that two systems' rows are paired."""
        rows = [
            outcome
            for outcome in self.outcomes
            if outcome.system == system and segment in (None, outcome.segment)
        ]
        return sorted(rows, key=lambda outcome: outcome.case)

    def batches(self, system: str, segment: str | None = None) -> list[Batch]:
        return [
            Batch.model_validate(outcome.answer)
            for outcome in self.of(system, segment)
            if outcome.answer
        ]


def _value(outcome: Outcome, metric: str) -> float:
    """0 where there was no answer, NaN where the metric is undefined."""
    return 0.0 if outcome.error else outcome.metrics.get(metric, math.nan)


def _sizes(batches: Sequence[Batch]) -> list[Cell]:
    return [len(batches), sum(batch.wanted for batch in batches)]


def _rounds(answers: _Answers, loops: Loops) -> Table:
    """success by round, by the loop's own critic."""
    most = loops.ladder[-1]
    rows: list[list[Cell]] = []
    for mode, segment, batches in _looped(answers, loops):
        shares = [passed_by_round(batch, most) for batch in batches]
        by_round: list[Cell] = [mean(column) for column in zip(*shares, strict=True)]
        rows.append([f"{segment}, {mode}", *_sizes(batches), *by_round])
    return Table(
        title="Success by round, by the loop's own checks",
        columns=["use case, mode", "batches", "copies", *(f"round {n}" for n in range(most + 1))],
        rows=rows,
        about="Share of the copies asked for that had passed every check by that round.",
    )


def _held_out(answers: _Answers, loops: Loops) -> Table:
    rows: list[list[Cell]] = []
    for segment in answers.segments:
        for mode in MODES:
            ladder = [answers.of(loops.name(mode, n), segment) for n in loops.ladder]
            if any(ladder):
                cells = [mean([_value(o, "held-out") for o in outcomes]) for outcomes in ladder]
                rows.append([f"{segment}, {mode}", *cells])
    return Table(
        title="Held-out success by J",
        columns=["use case, mode", *(f"J={number}" for number in loops.ladder)],
        rows=rows,
        about="Rules in code and the held-out judge, on the best version of every copy; copies that "
        "repeat each other count once. No value where the judge can tell nothing of a use case.",
    )


def _first_pass(answers: _Answers, loops: Loops) -> Table:
    """Of `collect_all`, where every check runs on every draft."""
    system = loops.longest["collect_all"]
    rows: list[list[Cell]] = []
    for check in _checks(answers, system):
        shares = [
            mean([first_failures(batch, check) for batch in answers.batches(system, segment)])
            for segment in answers.segments
        ]
        rows.append([check, *shares])
    return Table(
        title="First versions that fail, by check",
        columns=["check", *answers.segments],
        rows=rows,
        about="Share of the drafts that a check was run on; every check runs on every draft.",
    )


def _fixed(answers: _Answers, loops: Loops) -> Table:
    rows: list[list[Cell]] = []
    for mode, system in loops.longest.items():
        copies = [copy for batch in answers.batches(system) for copy in batch.copies]
        for check, tally in tallies(copies, _checks(answers, system)).items():
            if tally.had_failed or tally.had_passed:
                rows.append(
                    [f"{check}, {mode}", tally.had_failed, tally.fixed,
                     _share(tally.fixed, tally.had_failed), tally.had_passed, tally.regressed,
                     _share(tally.regressed, tally.had_passed)]
                )  # fmt: skip
    return Table(
        title="Fixed and regressed, by check",
        columns=[
            "check, mode",
            "had failed",
            "fixed",
            "of these",
            "had passed",
            "regressed",
            "of those",
        ],
        rows=rows,
        about="Revisions of a version that the check had failed, or passed, over all rounds; fail_fast "
        "does not run what comes after the first failure.",
    )


def _cost(answers: _Answers) -> Table:
    rows: list[list[Cell]] = []
    for system in answers.systems:
        outcomes = answers.of(system)
        judged = [one for one in outcomes if not math.isnan(_value(one, "held-out"))]
        calls, tokens, seconds = _spent(outcomes)
        kept, held = _count(outcomes, "accepted"), _count(judged, "held-out")
        calls_judged, tokens_judged, _ = _spent(judged)
        rows.append(
            [system, kept, _share(calls, kept), _share(tokens, kept), _share(seconds, kept),
             held if judged else None, _share(calls_judged, held), _share(tokens_judged, held)]
        )  # fmt: skip
    return Table(
        title="Cost of a copy that may be used",
        columns=[
            "system",
            "accepted",
            "calls each",
            "tokens each",
            "model s each",
            "held-out",
            "calls per held-out",
            "tokens per held-out",
        ],
        rows=rows,
        about="Of all cases together: accepted copies and what the system asked for each of them; then "
        "the same for copies that pass the rules and the held-out judge, of the cases that were judged.",
    )


def _spent(outcomes: Sequence[Outcome]) -> tuple[int, int, float]:
    """Calls, tokens and seconds."""
    usage = [outcome.usage for outcome in outcomes]
    tokens = sum(used.prompt_tokens + used.completion_tokens for used in usage)
    return sum(used.calls for used in usage), tokens, sum(used.seconds for used in usage)


def _count(outcomes: Sequence[Outcome], metric: str) -> int:
    """How many copies a share of each batch is, of all batches that were answered."""
    wanted = {o.case: Batch.model_validate(o.answer).wanted for o in outcomes if o.answer}
    return round(sum(_value(o, metric) * wanted.get(o.case, 0) for o in outcomes))


def _modes(answers: _Answers, loops: Loops) -> Table:
    """collect_all minus fail_fast, paired by batch."""
    rows: list[list[Cell]] = []
    for segment in [*answers.segments, None]:
        pairs = list(
            zip(
                answers.of(loops.compared["collect_all"], segment),
                answers.of(loops.compared["fail_fast"], segment),
                strict=False,
            )
        )
        if pairs and all(one.case == other.case for one, other in pairs):
            cells: list[Cell] = [_minus(pairs, value) for value in DIFFERENCES.values()]
            rows.append([segment or "all", len(pairs), *cells])
    return Table(
        title="collect_all minus fail_fast",
        columns=["use case", "batches", *DIFFERENCES],
        rows=rows,
        about=f"Paired by batch: {loops.compared['collect_all']} minus {loops.compared['fail_fast']}.",
    )


DIFFERENCES: dict[str, Callable[[Outcome], float]] = {
    "success": lambda outcome: _value(outcome, "success"),
    "held-out": lambda outcome: _value(outcome, "held-out"),
    "accepted": lambda outcome: _value(outcome, "accepted"),
    "calls": lambda outcome: outcome.usage.calls,
    "tokens": lambda outcome: outcome.usage.prompt_tokens + outcome.usage.completion_tokens,
}


def _minus(
    pairs: Sequence[tuple[Outcome, Outcome]], value: Callable[[Outcome], float]
) -> Estimate | None:
    return difference([value(one) for one, _ in pairs], [value(other) for _, other in pairs])


def _looped(answers: _Answers, loops: Loops) -> Iterator[tuple[Mode, str, list[Batch]]]:
    for segment in answers.segments:
        for mode, system in loops.longest.items():
            if batches := answers.batches(system, segment):
                yield mode, segment, batches


def _checks(answers: _Answers, system: str) -> list[str]:
    """All checks, in the order in which they ran in the longest chain first."""
    chains = [
        list(copy.checks)
        for batch in answers.batches(system)
        for copy in batch.copies
    ]  # fmt: skip
    return list(
        dict.fromkeys(name for chain in sorted(chains, key=len, reverse=True) for name in chain)
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
