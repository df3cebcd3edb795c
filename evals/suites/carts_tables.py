"""The CARTS suite's own tables: how varied the titles of a system are, and some as they came out."""

from __future__ import annotations

from collections.abc import Sequence

from merchgraph.evals.metrics.titles import distinct
from merchgraph.evals.suite import Outcome
from merchgraph.evals.tables import Cell, Table

SHOWN = 6
"""Modules whose titles are shown."""
Answers = dict[str, dict[str, dict[str, object]]]
"""System -> case -> what it answered."""


def variety(outcomes: Sequence[Outcome], systems: Sequence[str]) -> Table:
    """Per system, over the titles of all modules."""
    rows: list[list[Cell]] = []
    for system, answers in _answers(outcomes, systems).items():
        titles = [str(answer["title"]) for answer in answers.values()]
        by_code = sum(answer.get("origin") == "template" for answer in answers.values())
        rows.append([
            system, len(titles), distinct(titles, 1), distinct(titles), len(set(titles)), by_code,
            sum(bool(answer.get("trimmed")) for answer in answers.values()),
            sum(not _verdict(answer)["truth"] for answer in answers.values()),
            sum(map(_overstated, answers.values())),
        ])  # fmt: skip
    return Table(
        title="Titles of all modules together",
        columns=["system", "titles", "distinct-1", "distinct-2", "different", "by code", "cut",
                 "not judged", "called feasible, not so"],
        rows=rows,
        about="distinct-n: different n-grams of words among all; by code: titles that CARTS' template "
        "made of the features and the arbiters preferred to the model's; cut: nothing was feasible; "
        "not judged: the held-out judge gave no answer; called feasible, not so: by CARTS, whose "
        "features may say what no item's own text does; the check after the run asks for those texts.",
    )  # fmt: skip


def examples(outcomes: Sequence[Outcome], systems: Sequence[str]) -> Table:
    """The titles of the first modules, a column per system."""
    answers = _answers(outcomes, systems)
    cases = list(dict.fromkeys(outcome.case for outcome in outcomes if outcome.answer))[:SHOWN]
    rows: list[list[Cell]] = [
        [case, *(_title(answers[system].get(case)) for system in answers)] for case in cases
    ]
    return Table(
        title="Titles as they came out",
        columns=["module", *answers],
        rows=rows,
        about="The first modules of the sample; nothing was chosen.",
    )


def _answers(outcomes: Sequence[Outcome], systems: Sequence[str]) -> Answers:
    """In the order of the report; systems without an answer are left out."""
    found: Answers = {system: {} for system in systems}
    for outcome in outcomes:
        if outcome.answer:
            found[outcome.system][outcome.case] = outcome.answer
    return {system: answers for system, answers in found.items() if answers}


def _title(answer: dict[str, object] | None) -> Cell:
    return None if answer is None else str(answer["title"])


def _overstated(answer: dict[str, object]) -> bool:
    return answer.get("feasible") is True and bool(_verdict(answer)["broken"])


def _verdict(answer: dict[str, object]) -> dict[str, object]:
    verdict = answer["verdict"]
    assert isinstance(verdict, dict)
    return verdict
