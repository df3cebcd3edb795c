"""Who picks the headline that readers clicked more? Judges on real pairs of Upworthy.

    report = run()                                               # chance, length, a ridge
    report = run(Params(limit=200), judges={"pairwise": judge})  # and a judge of your own
    report = run(Params(every=True), judges={"pairwise": judge}) # which never learnt from any pair
    console.print(report.terminal()); report.markdown()

The pairs are headlines of one test and image whose click rates differ clearly (`upworthy.clear_pairs`),
of the later weeks; what learns has learnt from the earlier weeks only. A judge is asked for each pair in
both orders, and picks by the mean of both answers: what it prefers for its place alone cancels out, and
is shown. Intervals draw whole tests, since the pairs of one share headlines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.evals.baselines.headlines import Judge, Length, Pairs, Ridge, chance
from merchgraph.evals.metrics.clusters import clustered
from merchgraph.evals.suites.headlines_report import MEASURES, REFERENCE, HeadlineReport, Row
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data import upworthy
from merchgraph.tools.embedding import Embedder
from merchgraph.tools.vectors import Progress

RIDGE = "ridge on embeddings"
Floats = NDArray[np.float64]


class Params(BaseModel):
    """Which pairs are judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: Annotated[int, Field(ge=1)] | None = None
    """Pairs, drawn by the seed; None is all."""
    every: bool = False
    """Judge the 1,783 pairs of the earlier weeks, too, and not the 977 of the later ones alone; length
    and the ridge, which learn from them, are left out then."""
    week: int = upworthy.LATER
    """Begins the later part, as the data has it: 201440 is the 40th week of 2014."""
    seed: Annotated[int, Field(ge=0)] = 0


def run(
    params: Params | None = None,
    *,
    judges: Mapping[str, Judge] | None = None,
    embedder: Embedder | None = None,
    progress: Progress | None = None,
) -> HeadlineReport:
    """Judge the pairs: chance, length, the ridge, then the judges that are given.

    Args:
        params: None is `Params()`.
        judges: name -> judge; each is called once, with all pairs in both orders.
        embedder: of the ridge; None is `Embedder()`.
        progress: told how many headlines are embedded; the first time takes a minute.

    Raises:
        SetupError: the data is not there, there is no pair to learn from or to judge, or a judge
            gave something else than probabilities.
    """
    params = params or Params()
    if taken := {"chance", REFERENCE, RIDGE} & set(judges or {}):
        raise SetupError(f"There is a judge {min(taken)!r} already; give yours another name.")
    headlines = upworthy.load()
    parts = upworthy.split(headlines, week=params.week)
    pairs = upworthy.clear_pairs(headlines if params.every else parts.later)
    if params.limit is not None:
        order = np.random.default_rng(params.seed).permutation(pairs.height)
        pairs = pairs[np.sort(order[: params.limit])]
    _refuse_none(pairs)
    known: dict[str, Judge] = {"chance": chance}
    learnt: dict[str, Any] = {}
    if not params.every:
        length = Length().fit(parts.earlier)
        ridge = Ridge(embedder).fit(parts.earlier, progress=progress)
        known |= {REFERENCE: length.judge, RIDGE: ridge.judge}
        learnt = {"longer": length.longer, "penalty": ridge.penalty}
    report = evaluate(pairs, {**known, **(judges or {})})
    return report.model_copy(update={"params": params.model_dump() | learnt})


def evaluate(pairs: pl.DataFrame, judges: Mapping[str, Judge]) -> HeadlineReport:
    """Ask each judge for each pair in both orders.

    Args:
        pairs: as `upworthy.clear_pairs` has them.
        judges: name -> judge; the differences are minus the one named "length", if it is there.

    Raises:
        SetupError: there is no pair, or a judge gave something else than probabilities.
    """
    _refuse_none(pairs)
    won = pairs["z"].to_numpy() > 0
    columns = {name: _measured(name, judge, pairs, won) for name, judge in judges.items()}
    table = [found[measure] for found in columns.values() for measure in MEASURES]
    base = columns.get(REFERENCE)
    if base is not None:
        table += [found["accuracy"] - base["accuracy"] for found in columns.values()]
    found = iter(clustered(np.array(table), pairs["test"].to_list()))
    means = {name: {measure: next(found) for measure in MEASURES} for name in columns}
    rows = [
        Row(judge=name, means=mean, difference=next(found) if base is not None else None)
        for name, mean in means.items()
    ]
    return HeadlineReport(n=pairs.height, tests=pairs["test"].n_unique(), rows=rows)


def _refuse_none(pairs: pl.DataFrame) -> None:
    if not pairs.height:
        raise SetupError(
            "Judges need at least 1 clear pair of headlines, but there is none; give data with "
            "more tests."
        )


def _measured(
    name: str, judge: Judge, pairs: pl.DataFrame, won: NDArray[np.bool_]
) -> dict[str, Floats]:
    """(N,) for each measure; see `MEASURES` of `evals/suites/headlines_report.py`."""
    first, second = pairs["first"].to_list(), pairs["second"].to_list()
    orders = [*zip(first, second, strict=True), *zip(second, first, strict=True)]
    ahead, behind = np.split(_asked(name, judge, orders), 2)
    picks = _picked((ahead + 1 - behind) / 2)
    once, swapped = _picked(ahead), _picked(behind)
    return {
        "accuracy": np.where(won, picks, 1 - picks),
        "once": np.where(won, once, 1 - once),
        "place": (once + swapped) / 2,
        "agrees": (once == 1 - swapped).astype(np.float64),
    }


def _picked(p: Floats) -> Floats:
    """1 where the first is picked, 0 where the second is, 0.5 where neither is."""
    return np.asarray((np.sign(np.round(p - 0.5, 9)) + 1) / 2)


def _asked(name: str, judge: Judge, pairs: Pairs) -> Floats:
    p = np.asarray(judge(pairs), dtype=np.float64)
    if p.shape != (len(pairs),) or not ((p >= 0) & (p <= 1)).all():
        odd = f"{p[~((p >= 0) & (p <= 1))][0]}" if p.shape == (len(pairs),) else f"{p.size} values"
        raise SetupError(
            f"The judge {name!r} gave {odd} for {len(pairs):,} pairs; it must give one probability from "
            "0 to 1 for each."
        )
    return p
