"""The TMF suite: which of 20 candidates is in the household's next basket?

    report = run(Params(), telling=lambda stage: lambda done, total: None)

Every household is asked once, about its first basket after the cut: one item of it, under one behaviour,
among 19 others that are not in the basket. A random slate draws them evenly from the goods, a hard one
from those of the category nearest in price; both are about the same item. The graph is of the weeks
before the trained systems' questions, histories go up to the basket (`tools/tmf/data.py`).

    HitRate@1     1 if the target has the best score; of equal bests its share. Scores are mean
                  log-likelihoods of labels, so that every answer is one of the candidates; those of
                  the tool and of its ablations are weighed beside the fusion's score
    ValidRatio    part of the free answers in which exactly one candidate's label occurs (LLaRA)

What the fusion is worth without the language model takes minutes, not hours, of all ablations: with
warm_steps, align_steps and joint_steps at 0 the language model is taught nothing and not asked.
Intervals draw households, 9,999 times; a trained system is the mean of its seeds, case by case.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.evals.baselines.tmf import RANKERS
from merchgraph.evals.named import named
from merchgraph.evals.report import Report
from merchgraph.evals.suites.tmf_systems import Trained, Trainer, systems
from merchgraph.evals.suites.tmf_tables import FUSION, Judged, Values, hits, report, valid
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.data.shops import shop
from merchgraph.tools.data.tables import Shop, local
from merchgraph.tools.tmf.config import Config
from merchgraph.tools.tmf.data import KINDS, Draw, Log, Question, log, questions
from merchgraph.tools.tmf.lesson import View, view

Progress = Callable[[int, int], None]
Telling = Callable[[str], Progress]
DRAWN = 1
"""Seed of the test's questions, other than that of any training's."""
METHOD, SUM, SASREC = "tmf", "tmf + fusion score", "SASRec"
MAIN = ("untuned LLM", "text-only LoRA", METHOD)


class Params(BaseModel):
    """What is compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = "complete_journey"
    before: datetime | None = None
    """The cut; None is `days` before the end of the log."""
    days: Annotated[int, Field(ge=1)] = 35
    """Length of the test, in days from the cut."""
    cases: Annotated[int, Field(ge=1)] = 200
    """Households; each is asked twice, with a random slate and with a hard one."""
    generate: Annotated[int, Field(ge=0)] = 40
    """Questions that are answered freely as well."""
    seeds: Annotated[int, Field(ge=1, le=20)] = 1
    systems: str = "all"
    """"all", "main" (tmf, text alone, untuned, counts), "baselines" (no language model), or names with
    commas."""
    config: Config = Config()
    """Of the tool; the seed counts up from its own."""


class Prepared(NamedTuple):
    """What all systems share: Q = 2 N questions, the random ones of all households, then the hard."""

    seen: View
    asked: list[Question]
    trainer: Trainer
    before: datetime


def run(params: Params | None = None, *, telling: Telling | None = None) -> Report:
    """Compare the systems.

    Args:
        params: None is `Params()`.
        telling: begins a stage, "graph" or the name of a system, and gives what is told of its progress.

    Raises:
        SetupError: an unknown shop or system, a cut that leaves nothing, or a missing package.
    """
    params = params or Params()
    names = _names(params)
    begin = telling or (lambda stage: lambda done, total: None)
    ready = prepare(shop(params.data), params)
    judged = _ranked(ready, params, names, begin)
    if SASREC in names:
        judged.append(_sasrec(ready, params, begin(SASREC)))
    for system in _ordered(systems(params.config)):
        if system.name in names:
            judged += _trained(ready, system, params, begin(system.name))
    behaviours = ready.seen.past.behaviours
    told = params.model_dump(mode="json")
    return report(told, ready.asked, behaviours, judged, _notes(ready, params, names))


def prepare(store: Shop, params: Params) -> Prepared:
    """The questions, and what is learned from.

    Raises:
        SetupError: the cut leaves nothing to learn from or to ask about, or has a time zone.
    """
    before = local(params.before) if params.before else _cut(store, params.days)
    seen = view(store.items, store.events, params.config, before)
    whole = log(store.events, seen.kept, seen.past.behaviours)
    asked = [one for kind in KINDS for one in _asked(whole, seen, params, kind)]
    if not asked or not seen.questions:
        raise SetupError(
            f"The cut {before:%Y-%m-%d} leaves {len(seen.questions)} questions of {store.name} to learn "
            f"from and {len(asked)} to ask; cut at another time (--before, --days), or set fewer "
            f"purchases (--set least=...)."
        )
    data = f"{store.name} {store.fingerprint} {before} {len(seen.past.item)}"
    trainer = Trainer(data, store.items, seen, asked, params.generate)
    return Prepared(seen, asked, trainer, before)


def _cut(store: Shop, days: int) -> datetime:
    """So many days before the end of the log's last day."""
    last = store.events.frame["time"].max()
    if not isinstance(last, datetime):
        raise SetupError(f"The log of {store.name} has no times to cut at.")
    return datetime(last.year, last.month, last.day) + timedelta(days=1 - days)


def _asked(whole: Log, seen: View, params: Params, kind: str) -> list[Question]:
    kinds = tuple(one for one in KINDS if one == kind)
    draw = Draw(seen.end, seen.end + params.days, params.cases, kinds=kinds, each=True, seed=DRAWN)
    found = questions(whole, seen.kept, draw, params.config)
    return [one for one in found if len(one.slate) == params.config.slate]


def _ranked(
    ready: Prepared, params: Params, names: Collection[str], begin: Telling
) -> list[Judged]:
    chosen = {name: how for name, how in RANKERS.items() if name in names}
    if not chosen:
        return []
    tell = begin("graph")
    known = ready.trainer.known(params.config, lambda done, total, what: tell(done, total))
    found = []
    for name, (ranker, about) in chosen.items():
        scores = [ranker(ready.seen.kept, known, one) for one in ready.asked]
        found.append(Judged(name, about, "baseline", [hits(scores, ready.asked)]))
    return found


def _sasrec(ready: Prepared, params: Params, tell: Progress) -> Judged:
    values = []
    for seed in range(params.config.seed, params.config.seed + params.seeds):
        values.append(hits([*ready.trainer.sasrec(seed).likely], ready.asked))
        tell(len(values), params.seeds)
    return Judged(SASREC, "of the library Cornac; knows no behaviours", "baseline", values)


def _trained(ready: Prepared, system: Trained, params: Params, tell: Progress) -> list[Judged]:
    """A baseline by its likelihoods, an ablation as the tool would rank; the tool itself by either and
    by both, where its language model was taught anything."""
    plain: list[Values] = []
    fused: list[Values] = []
    both: list[Values] = []
    share = None
    for seed in range(params.config.seed, params.config.seed + params.seeds):
        found = ready.trainer.opinions(system, seed, lambda done, total, what: tell(done, total))
        plain.append(hits([*found.likely], ready.asked))
        fused.append(hits([*found.fused], ready.asked))
        both.append(hits([*found.both], ready.asked))
        share = share or valid(found.answers, ready.asked, ready.seen.kept)
    if system.kind == "ablation":
        return [Judged(system.name, system.about, system.kind, both, share, fused)]
    judged = [Judged(system.name, system.about, system.kind, plain, share)]
    if system.name != METHOD:
        return judged
    alone = Judged(FUSION, "its fusion, no language model", "ablation", fused, fused=fused)
    if not any(system.config.steps):
        return [alone]
    return [*judged, alone, Judged(SUM, "both, as the tool weighs them", "method", both)]


def _names(params: Params) -> list[str]:
    """The systems that are asked for.

    Raises:
        SetupError: a name that is not known, or none.
    """
    plain = (*RANKERS, SASREC)
    known = [*plain, *(one.name for one in systems(params.config))]
    groups = {"all": known, "main": [*RANKERS, *MAIN], "baselines": [*plain]}
    return named(params.systems, groups, known)


def _ordered(every: Sequence[Trained]) -> list[Trained]:
    """The untuned model and the smaller ones first."""
    order = {name: place for place, name in enumerate(MAIN)}
    return sorted(every, key=lambda one: order.get(one.name, len(order)))


def _notes(ready: Prepared, params: Params, names: Collection[str]) -> list[str]:
    half = ready.asked[: len(ready.asked) // 2]
    repeats = np.mean([bool(np.isin(q.slate[q.right], q.trail.items).any()) for q in half])
    ranked = not RANKERS.keys().isdisjoint(names)
    known = ready.trainer.known(params.config) if ranked else None
    return [
        f"{len(half):,} households, asked once each after {ready.before:%Y-%m-%d}; {repeats:.0%} of the "
        f"targets were bought before. Trained on {len(ready.seen.questions):,} questions of the "
        f"{params.config.weeks} weeks before; goods: {len(ready.seen.kept):,}.",
        "Negatives may be of the household's own past, as a shop's shelf is; LLaRA leaves those out.",
        *(known.pictures.told if known else ()),
    ]
