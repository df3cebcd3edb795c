"""Similar items with a price: NDCG and value of what is shown, on real substitutions after a cut.

    report = run(Params(), telling=lambda stage: lambda done, total: None)
    console.print(report.terminal()); report.markdown(); report.model_dump_json()

Everything is learned from the log before the cut, hyperparameters by a cut four weeks earlier
(`--before 2017-10-30 --days 28`); how long graph networks learn is chosen there in each run
(`gmvo_lengths.py`). Cases, metrics and what they cannot say: `gmvo_cases.py`; systems: `gmvo_systems.py`.
Intervals draw households, 9,999 times; a trained system is the mean of its seeds, case by case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from merchgraph.evals.baselines.gmvo import RANKERS, Ranker, priced, with_prior
from merchgraph.evals.named import named
from merchgraph.evals.report import Report
from merchgraph.evals.suites.gmvo_cases import Cases, Columns
from merchgraph.evals.suites.gmvo_lengths import Earlier, Length, choose, earlier, table
from merchgraph.evals.suites.gmvo_systems import Trained, Trainer, frontier, trained
from merchgraph.evals.suites.gmvo_tables import Judged, report
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.shops import shop
from merchgraph.tools.data.tables import Shop, local
from merchgraph.tools.gmvo.config import Config
from merchgraph.tools.gmvo.data import Floats
from merchgraph.tools.gmvo.learn import day_of, history
from merchgraph.tools.gmvo.windows import Window

Progress = Callable[[int, int], None]
Telling = Callable[[str], Progress]
POWERS = (0.25, 0.5, 1.0, 2.0)
"""Of the price, for the frontier by hand."""


class Params(BaseModel):
    """What is compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = "complete_journey"
    before: datetime | None = None
    """The cut; None is `days` before the end of the log."""
    days: Annotated[int, Field(ge=1)] = 35
    """Length of the test, in days from the cut."""
    seeds: Annotated[int, Field(ge=1, le=20)] = 3
    losses: bool = True
    """Whether the value losses are compared over lambda as well."""
    systems: str = "all"
    """"all", "baselines" (nothing is trained), or names with commas."""
    config: Config = Config()
    """Of the tool; the seed counts up from its own."""


class Prepared(NamedTuple):
    """What all systems share."""

    cases: Cases
    trainer: Trainer
    before: datetime
    earlier: Callable[[], Earlier]
    """The weeks before the cut, on which epochs are chosen."""


def run(params: Params | None = None, *, telling: Telling | None = None) -> Report:
    """Compare the systems.

    Args:
        params: None is `Params()`.
        telling: begins a stage, "windows", "epochs" or "training", and gives what is told of it.

    Raises:
        SetupError: an unknown shop or system, a cut that leaves nothing, or a missing package.
    """
    params = params or Params()
    systems = _chosen(params)
    begin = telling or (lambda stage: lambda done, total: None)
    ready = prepare(shop(params.data), params, begin("windows"), train=bool(systems))
    cases = ready.cases
    names = _names(params.systems, [*RANKERS])
    judged = [_ranked(name, ranker, cases) for name, ranker in RANKERS.items() if name in names]
    lengths = _lengths(ready, systems, params.config.seed, begin("epochs"))
    found = {length.system.name: length.system for length in lengths}
    chosen = [found.get(system.name, system) for system in systems]
    losses = frontier(params.config) if params.losses and params.systems == "all" else []
    made = _trained(ready, [*chosen, *losses], params, begin("training"))
    rest = [made[system.name] for system in losses] + (_by_hand(cases) if losses else [])
    main = judged + [made[system.name] for system in chosen]
    told = report(params.model_dump(mode="json"), cases, main, rest, ready.before)
    return told.model_copy(update={"tables": [*told.tables, table(lengths)]}) if lengths else told


def prepare(store: Shop, params: Params, tell: Progress, *, train: bool = True) -> Prepared:
    """Cases and windows, as arrays.

    Raises:
        SetupError: the cut leaves nothing to learn from or to test on, or has a time zone.
    """
    before = local(params.before) if params.before else _cut(store, params.days)
    told = history(store.items, store.events, params.config, day_of(before))
    if not told.goods.items:
        raise SetupError(
            f"No item of {store.name} with a type has {params.config.least} purchases before "
            f"{before:%Y-%m-%d}; cut later (--before, --days), or set fewer (--set least=...)."
        )
    total = 1 + params.config.windows * train
    now = told.at(told.end, params.config)
    tell(1, total)
    cases = Cases.of(now, told.moves, told.end + params.days)

    def windows() -> list[tuple[Window, Floats]]:
        made = []
        for window in told.windows(params.config):
            made.append(window)
            tell(1 + len(made), total)
        return made

    data = f"{store.name} {store.fingerprint} {before} {len(now.pairs)}"
    sooner = partial(earlier, told, params.config, data)
    return Prepared(cases, Trainer(data, windows, now), before, sooner)


def _cut(store: Shop, days: int) -> datetime:
    """So many days before the end of the log's last day."""
    last = store.events.frame["time"].max()
    if not isinstance(last, datetime):
        raise SetupError(f"The log of {store.name} has no times to cut at.")
    midnight = datetime(last.year, last.month, last.day) + timedelta(days=1)
    return midnight - timedelta(days=days)


def _lengths(
    ready: Prepared, systems: Sequence[Trained], seed: int, tell: Progress
) -> list[Length]:
    """Systems of the graph alone, which learn slowly, each with the epochs that suit it."""
    slow = [system for system in systems if system.config.parts == "graph"]
    if not slow:
        return []
    before, found = ready.earlier(), list[Length]()
    for system in slow:
        found.append(choose(system, before, seed))
        tell(len(found), len(slow))
    return found


def _trained(
    ready: Prepared, systems: Sequence[Trained], params: Params, tell: Progress
) -> dict[str, Judged]:
    """Each system, by name."""
    done, made = 0, {}
    # the tool comes first: what a stopped suite has kept is then what it is about
    for system in sorted(systems, key=lambda system: system.kind != "method"):
        columns: list[Columns] = []
        for seed in range(params.config.seed, params.config.seed + params.seeds):
            columns.append(ready.cases.judge(ready.trainer.scores(system, seed)))
            done += 1
            tell(done, params.seeds * len(systems))
        first = ready.trainer.scores(system, params.config.seed)
        told = system.name, system.about, system.kind
        made[system.name] = Judged(*told, columns, ready.cases.lengths(first))
    return made


def _ranked(name: str, ranker: Ranker, cases: Cases) -> Judged:
    """A ranking by hand."""
    scores = ranker(cases.window)
    return Judged(name, "", "baseline", [cases.judge(scores)], cases.lengths(scores))


def _chosen(params: Params) -> list[Trained]:
    """The trained systems that are asked for."""
    every = trained(params.config)
    names = _names(params.systems, [*RANKERS, *(system.name for system in every)])
    return [system for system in every if system.name in names]


def _names(asked: str, known: list[str]) -> list[str]:
    """Names of systems.

    Raises:
        SetupError: a name that is not known, or none.
    """
    every = [*RANKERS, *(system.name for system in trained(Config()))]
    return named(asked, {"all": known, "baselines": [*RANKERS]}, every)


def _by_hand(cases: Cases) -> list[Judged]:
    """S and the blend times powers of the price: a frontier without training."""
    bases = {"S": with_prior, "blend": RANKERS["blend"]}
    return [
        _ranked(f"{name} by hand, {power:g}", priced(base, power), cases)
        for name, base in bases.items()
        for power in (0.0, *POWERS)
    ]
