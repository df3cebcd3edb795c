"""What the loop's own evaluators are worth, on labelled copies: the critic is measured like the judge."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from merchgraph.evals.metrics.cuts import auc_of
from merchgraph.evals.suites.copy_labels import Label, Labelled, by_side
from merchgraph.evals.tables import Cell, Table
from merchgraph.graphs import copywriting
from merchgraph.graphs.copywriting_state import Copying
from merchgraph.graphs.versions import Finding
from merchgraph.runtime.errors import ModelReplyError
from merchgraph.runtime.ledger import at, collect

Verdict = tuple[Label, Finding]


async def measured(
    known: Sequence[Labelled], context: copywriting.Context
) -> dict[str, list[Verdict]]:
    """Use case -> what the evaluators say of each labelled copy; without those they did not answer.

    Raises:
        EndpointError, BudgetError, SetupError: as `choose`.
    """
    found = {}
    with collect():
        for one in known:
            # one check after the other: a server has the beginning of its question in its cache
            rows = sorted(one.rows, key=lambda row: row.check)
            with at(node="check", lane="labelled"):
                neutral = await copywriting.neutrals(one.case, context)
            asked = [
                _verdict(
                    Copying(case=one.case, neutral=neutral), context, row, f"labelled {number}"
                )
                for number, row in enumerate(rows, start=1)
            ]
            answers = await asyncio.gather(*asked)
            found[one.case.name] = [answer for answer in answers if answer is not None]
    return found


async def _verdict(
    state: Copying, context: copywriting.Context, row: Label, lane: str
) -> Verdict | None:
    checks = copywriting.checks(state, context)
    [check] = [check for check in checks if check.name == row.check]
    with at(node="check", lane=lane):
        try:
            return row, await check.run(row.asked.text)
        except ModelReplyError:
            return None


def table(found: Mapping[str, Sequence[Verdict]]) -> Table:
    """Precision and recall of each evaluator at the loop's threshold, and how well its scores sort."""
    rows: list[list[Cell]] = []
    for name, verdicts in found.items():
        scores = [finding.score or 0.0 for _, finding in verdicts]
        for check, (holds, fails) in by_side([row for row, _ in verdicts], scores).items():
            said = [row.holds for row, finding in verdicts if row.check == check and finding.passed]
            precision = sum(said) / len(said) if said else None
            recall = sum(said) / len(holds) if holds else None
            rows.append(
                [
                    f"{name}: {check}",
                    len(holds),
                    len(fails),
                    precision,
                    recall,
                    auc_of(holds, fails),
                ]
            )
    return Table(
        title="The loop's own evaluators on labelled copies",
        columns=["use case: check", "hold", "fail", "precision", "recall", "AUC"],
        rows=rows,
        about="Precision: of the copies it passes, the share that holds; recall: of those that hold, the "
        "share it passes. AUC .5 is chance; then the gate closes and opens by chance too.",
    )
