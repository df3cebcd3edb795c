"""The complement suite: which item was taken out of a real basket?

    report = run(Params(data="online_retail", seeds=(0, 1, 2)))

A case is a basket of the test window with three known items or more; one is taken out at random, and all
items of the catalogue that the basket does not hold are ranked. Everything is learned before that window;
settings and blend were chosen on the four weeks before it. Values are means over seeds, case by case, and
their intervals are bootstraps over cases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.evals.metrics.bootstrap import estimates
from merchgraph.evals.report import Report
from merchgraph.evals.results import Comparison, Row
from merchgraph.evals.suites.complement_probes import classified, cold
from merchgraph.evals.suites.complement_systems import (
    ITEM2VEC,
    SHIPPED,
    VARIANTS,
    Asked,
    results,
)
from merchgraph.evals.suites.complement_tables import against, orderings, spread
from merchgraph.evals.tables import Table
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.complement.config import PRESETS
from merchgraph.tools.complement.data import facts, read
from merchgraph.tools.complement.holdout import Placed, cases
from merchgraph.tools.complement.learned import Given
from merchgraph.tools.data.shops import shop
from merchgraph.tools.data.splits import split_at
from merchgraph.tools.data.tables import Shop

METRICS = ("NDCG@10", "AUC", "NDCG", "Hit@10")
TESTS = {"complete_journey": datetime(2017, 11, 27), "online_retail": datetime(2011, 11, 11)}
"""Where the test window of a known log begins: week 49 of 53, and the last four weeks."""
DAYS = 28
EMBEDDED = (SHIPPED, "paper, criterion 2", "paper, no user", "items alone")
REFERENCE = "cosine, baskets by size"
Told = Callable[[str], Callable[[int, int], None]]


class Params(BaseModel):
    """What is evaluated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = "complete_journey"
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0, 1, 2, 3, 4)
    limit: Annotated[int, Field(ge=1)] = 5_000
    """Cases, drawn by seed 0; a smaller window has fewer."""
    variants: tuple[str, ...] = tuple(VARIANTS)
    """Trainings of the model, by name."""
    probes: bool = True
    """Also classify items by their vectors and place cold ones, with the first seed."""


def run(params: Params | None = None, *, telling: Told | None = None) -> Report:
    """Evaluate all systems on one shop.

    Args:
        params: None is `Params()`.
        telling: begins a bar of progress.

    Raises:
        SetupError: an unknown shop or variant, no case, or a package is missing.
    """
    params = params or Params()
    if unknown := [name for name in params.variants if name not in VARIANTS]:
        raise SetupError(
            f"There is no variant {unknown[0]!r}; there are {', '.join(VARIANTS)}; name some of those."
        )
    store = shop(params.data)
    asked = asked_of(store, params.limit)
    found = results(asked, params.seeds, params.variants, telling and telling("systems"))
    tables = [against(found, EMBEDDED, (ITEM2VEC, "triple2vec")), orderings(found), spread(found)]
    if params.probes:
        more = classified(store, asked, params.seeds[0]), cold(asked, params.seeds[0])
        tables += [table for table in more if table]
    told = [table for table in tables if table.rows]
    return report(found, told, params.model_dump(mode="json"))


def asked_of(store: Shop, limit: int) -> Asked:
    """The log before the test window, and the cases of the window.

    Raises:
        SetupError: no basket of the window has three known items.
    """
    last = store.events.frame["time"].max()
    assert isinstance(last, datetime), last
    begin = TESTS.get(store.name, last - timedelta(days=DAYS))
    early, later = split_at(store.events, begin)
    config, told = PRESETS["cpu"], facts(store)
    log = read(store.items, early, config, told)
    found = cases(log, early, later, most=limit)
    if not found:
        raise SetupError(
            f"From {begin} on no basket of {store.name} holds 3 known items; give a longer log."
        )
    validation = split_at(early, begin - timedelta(days=config.days))
    given = Given(store.items, early, told)
    return Asked(store.name, store.fingerprint, given, log, found, validation)


def report(
    found: dict[str, dict[int, Placed]], tables: Sequence[Table], params: dict[str, Any]
) -> Report:
    """Means, intervals, and differences from the cosine and from the best baseline."""
    values = {system: _values(list(by_seed.values())) for system, by_seed in found.items()}
    best = max(
        (name for name in values if kind(name) == "baseline"), key=lambda n: values[n][0].mean()
    )
    columns = [*values.values(), *(v - values[REFERENCE] for v in values.values())]
    columns += [v - values[best] for v in values.values()]
    flat = iter(estimates(np.concatenate(columns)))
    means, minus, over = (
        {name: {m: e for m in METRICS if (e := next(flat)) is not None} for name in values}
        for _ in range(3)
    )
    rows = [
        Row(
            system=name, kind=kind(name), about=about(name), metrics=means[name],
            difference=minus[name] if name != REFERENCE else {}, calls=0, prompt_tokens=0,
            completion_tokens=0, seconds=0, errors={},
        )
        for name in values
    ]  # fmt: skip
    return Report(
        suite="complement", params=params, reference=REFERENCE, metrics=list(METRICS), rows=rows,
        n=len(next(iter(values.values()))[0]), segments=[], tables=list(tables), notes=[],
        comparisons=[
            Comparison(system=name, against=best, metric=METRICS[0],
                       difference=over[name][METRICS[0]])
            for name in values if kind(name) == "method"
        ],
    )  # fmt: skip


def _values(seeds: Sequence[Placed]) -> NDArray[np.float64]:
    """(metrics, cases) — means over seeds."""
    means: NDArray[np.float64] = np.mean([measured(places) for places in seeds], axis=0)
    return means


def measured(places: Placed) -> NDArray[np.float64]:
    """(metrics, cases) in the order of `METRICS`; with one relevant item NDCG is 1 / log2(1 + rank)."""
    return np.stack([places.ndcg, places.auc, 1 / np.log2(1 + places.rank), places.hit])


def kind(system: str) -> Literal["baseline", "ablation", "method"]:
    """A row's place in the report: the tool and the whole paper are methods."""
    if system in (SHIPPED, "paper, criterion 2"):
        return "method"
    own = {name for variant in VARIANTS.values() for name in variant.scored} - {"triple2vec"}
    return "ablation" if system in own else "baseline"


def about(system: str) -> str:
    """What a system is, in a few words."""
    if system == SHIPPED:
        return "embedding, cosine, own purchases and popularity, weighed before the test"
    told = {name: v.about for v in VARIANTS.values() for name in v.scored}
    return told.get(system, "skip-gram, in-out" if system == ITEM2VEC else "counts")
