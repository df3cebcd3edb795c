"""The LLM-HYPER suite's own tables: what of the head-room is recovered, and metrics over lists of ads."""

from __future__ import annotations

import math
from collections.abc import Sequence

from merchgraph.evals.metrics.bootstrap import difference, mean
from merchgraph.evals.suite import Outcome
from merchgraph.evals.suites.hyper_edits import EDITS, Edit, right
from merchgraph.evals.suites.hyper_lists import Listed
from merchgraph.evals.tables import Cell, Table

FLOOR, CEILING = "LR_cold", "LR_warm_EB"
AGAINST = (FLOOR, "ridge", "5 nearest by cosine")


def gains(outcomes: Sequence[Outcome], systems: Sequence[str]) -> Table:
    """AUC minus that of some baselines, and how much of what is possible above the median."""
    cases = list(dict.fromkeys(outcome.case for outcome in outcomes))
    found = {(outcome.system, outcome.case): outcome for outcome in outcomes}
    columns = {
        system: [found[system, case].metrics.get("AUC", 0.0) for case in cases]
        for system in systems
        if any("AUC" in outcome.metrics for outcome in outcomes if outcome.system == system)
    }
    means = {system: math.fsum(values) / len(cases) for system, values in columns.items()}
    against = [name for name in AGAINST if name in columns]
    room = means[CEILING] - means[FLOOR] if {CEILING, FLOOR} <= means.keys() else 0.0
    rows: list[list[Cell]] = []
    for system, values in columns.items():
        gained = [difference(values, columns[name]) if system != name else None for name in against]
        share = (means[system] - means[FLOOR]) / room if room > 0 else None
        rows.append([system, means[system], *gained, share])
    return Table(
        title="AUC per ad against the baselines",
        columns=["system", "AUC", *(f"minus {name}" for name in against), "recovered"],
        rows=rows,
        about=f"Paired by ad. Recovered: share of the way from {FLOOR} to {CEILING}, which knows the "
        "ads' own clicks.",
    )


def edits(outcomes: Sequence[Outcome]) -> Table:
    """How often a sentence moved the weight of its feature the right way, by kind of sentence."""
    answers = [o.answer["edits"] for o in outcomes if "edits" in o.answer]
    shares = [right(answer) for answer in answers]
    rows: list[list[Cell]] = [[kind, mean([one[kind] for one in shares])] for kind in Edit._fields]
    return Table(
        title="Edited texts",
        columns=["sentence", "moved right"],
        rows=rows,
        about=f"Of {len(EDITS) + 1} features per ad; n counts ads. A half is chance.",
    )


def lists(measured: Sequence[Listed]) -> Table:
    """A row per system and kind of intercepts."""
    rows: list[list[Cell]] = [
        [one.system, one.intercept, one.ndcg5, one.ndcg10, one.auc, one.error, one.ratio]
        for one in measured
    ]
    count = measured[0].lists if measured else 0
    return Table(
        title="All new ads together",
        columns=["system", "intercepts", "NDCG@5", "NDCG@10", "pooled AUC", "ECE",
                 "predicted / actual"],
        rows=rows,
        about=f"Over {count:,} visits that were shown ten of the ads or more and clicked one; intervals "
        "draw households, which n counts. Intercepts for the mean rate of the 5 nearest retired ads, for "
        "the rate that the ad really had, and those of the model itself.",
    )  # fmt: skip
