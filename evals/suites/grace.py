"""The next visit of each household: GRACE, its ablations, and who tells it otherwise.

    report = run(Params(systems="main", seeds=1), telling=lambda stage: lambda done, total: None)

Everything is learned from the log before the cut; a case is a household's first visit after it, judged
row by row over the full catalogue (`grace_cases.py`). Systems: `grace_systems.py`. What attention costs
is measured by `grace_speed.py`.
Intervals draw households, 9,999 times; a trained system is the mean of its seeds, row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from merchgraph.evals.baselines.cornac_nets import Effort
from merchgraph.evals.baselines.grace import RANKERS
from merchgraph.evals.baselines.sequential import KINDS
from merchgraph.evals.named import named
from merchgraph.evals.report import Report
from merchgraph.evals.suites.grace_cases import Cases
from merchgraph.evals.suites.grace_systems import METHOD, Answers, Compared, systems
from merchgraph.evals.suites.grace_tables import Judged, report
from merchgraph.runtime.errors import SetupError
from merchgraph.tools import checkpoint
from merchgraph.tools.data.shops import shop
from merchgraph.tools.data.splits import split_at
from merchgraph.tools.data.tables import Shop, local
from merchgraph.tools.grace.config import PRESETS, Config
from merchgraph.tools.grace.data import read

Progress = Callable[[int, int], None]
Telling = Callable[[str], Progress]
MAIN = (*RANKERS, *KINDS, "TIGER", "MBGen", "dense", "no copy path", METHOD)


class Params(BaseModel):
    """What is compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = "complete_journey"
    before: datetime | None = None
    """The cut; None is the Monday `days` before the end of the log's last week."""
    days: Annotated[int, Field(ge=1)] = 35
    """Length of the test, in days from the cut."""
    seeds: Annotated[int, Field(ge=1, le=20)] = 3
    systems: str = "main"
    """"main", "all" (every ablation, too), "baselines" (nothing is trained), or names with commas."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Households, drawn by the seed; None is all."""
    epochs: Annotated[int, Field(ge=1)] = 3
    """Of the library's sequence models; on The Complete Journey one and five end within .001."""
    config: Config = PRESETS["cpu"]
    """Of the tool; the seed counts up from its own."""


def run(params: Params | None = None, *, telling: Telling | None = None) -> Report:
    """Compare the systems.

    Args:
        params: None is `Params()`.
        telling: begins a stage, the name of a system, and gives what is told of its progress.

    Raises:
        SetupError: an unknown shop or system, a cut that leaves nothing, or a missing package.
    """
    params = params or Params()
    chosen = _chosen(params)
    begin = telling or (lambda stage: lambda done, total: None)
    answers, before = prepare(shop(params.data), params)
    judged = _judged(answers, chosen, params, begin)
    return report(params.model_dump(mode="json"), answers.cases, judged, before)


def prepare(store: Shop, params: Params) -> tuple[Answers, datetime]:
    """The cases, what makes lists for them, and the cut.

    Raises:
        SetupError: the cut leaves nothing to learn from or to test on, or has a time zone.
    """
    before = local(params.before) if params.before else _cut(store, params.days)
    known, later = split_at(store.events, before)
    later = split_at(later, before + timedelta(days=params.days)).train
    log = read(store.items, known, params.config.with_(behaviours=True))
    if not len(log.samples):
        raise SetupError(
            f"Nothing of {store.name} before {before:%Y-%m-%d} can be learned from: no shopper came "
            f"twice for items of {params.config.least} events; cut later (--before), or set a lower "
            f"least."
        )
    cases = Cases.of(log, known, later).some(params.limit, params.config.seed)
    data = (
        f"{store.name} {store.fingerprint} {before} {params.days} {params.limit} {len(cases.row)}"
    )
    return Answers(data, store.items, known, cases, Effort(epochs=params.epochs)), before


def _cut(store: Shop, days: int) -> datetime:
    """So many days before the end of the week in which the log ends."""
    last = store.events.frame["time"].max()
    if not isinstance(last, datetime):
        raise SetupError(f"The log of {store.name} has no times to cut at.")
    midnight = datetime(last.year, last.month, last.day)
    return midnight + timedelta(days=7 - midnight.weekday()) - timedelta(days=days)


def _judged(
    answers: Answers, chosen: Sequence[Compared], params: Params, begin: Telling
) -> list[Judged]:
    found = {}
    # the tool comes first: what a stopped suite has kept is then what it is about
    for system in sorted(chosen, key=lambda system: system.kind != "method"):
        count = 1 if system.name in RANKERS else params.seeds
        tell, lists = begin(system.name), []
        for number in range(count):
            told = _of_several(tell, number, count)
            lists.append(answers.of(system, params.config.seed + number, told))
            tell(number + 1, count)
        found[system.name] = Judged(system, lists)
    return [found[system.name] for system in chosen]


def _of_several(tell: Progress, before: int, count: int) -> checkpoint.Progress:
    """What one training tells, as part of several."""
    return lambda done, total, _: tell(before * total + done, count * total)


def _chosen(params: Params) -> list[Compared]:
    """The systems that are asked for.

    Raises:
        SetupError: a name that is not known, or none.
    """
    every = systems(params.config)
    known = tuple(system.name for system in every)
    names = named(params.systems, {"main": MAIN, "all": known, "baselines": tuple(RANKERS)}, known)
    return [system for system in every if system.name in names]
