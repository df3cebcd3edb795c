"""The complement suite's systems: what is trained, how it scores, and the file that keeps each result.

A result is the place of every case's target under one system and seed. It is kept in the cache, so that a
run that was stopped goes on, and one with more seeds asks only for the new ones.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from merchgraph.evals.baselines.complement import COUNTED, Scorer, item2vec
from merchgraph.runtime.files import put
from merchgraph.runtime.settings import settings
from merchgraph.tools.complement.blend import SIGNALS, Doubles, Signals, weigh
from merchgraph.tools.complement.config import PRESETS, Config
from merchgraph.tools.complement.data import Log, read
from merchgraph.tools.complement.fit import passes
from merchgraph.tools.complement.holdout import Case, Placed, cases, placed
from merchgraph.tools.complement.learned import MOST, Given
from merchgraph.tools.complement.model import Model
from merchgraph.tools.data.splits import Split

AT_ONCE = 250
VERSION = 1
"""Part of a result's name; raise it when a system comes out otherwise."""
LONG: dict[str, Any] = {"user": False, "context": False, "epochs": 20, "rate": 0.15}
SHORT = {"user": True, "user_dim": 64, "epochs": 8, "rate": 0.05}
"""What each did best with on the validation days: without the user's term 20 passes, with it fewer, since
longer ones fit single households and lose popularity."""
TUNED: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType({
    "complete_journey": {"full": {"epochs": 5}},
    "online_retail": {
        "full": {"epochs": 10},
        "no context": {"epochs": 20, "rate": 0.1},
        "triple2vec": {"epochs": 20, "rate": 0.1},
    },
})  # fmt: skip
"""Shop -> variant -> what its validation days changed of that."""
SHIPPED = "shipped blend"


class Variant(NamedTuple):
    """A training of the model, and the criteria that rank by it.

    Attributes:
        settings: what differs from the defaults.
        scored: name of a system -> criterion.
        about: for the report.
    """

    settings: Mapping[str, Any]
    scored: Mapping[str, Literal[1, 2]]
    about: str


VARIANTS: Mapping[str, Variant] = MappingProxyType({
    "full": Variant(
        {**SHORT, "context": True},
        {"paper, criterion 1": 1, "paper, criterion 2": 2}, "all losses: users, tokens, k = 5",
    ),
    "no user": Variant(
        PRESETS["cpu"].model_dump(), {"paper, no user": 1}, "tokens, no user; the shipped embedding"
    ),
    "no context": Variant(
        {**SHORT, "context": False}, {"paper, no context (prod2vec)": 2}, "users, no tokens"
    ),
    "items": Variant(LONG, {"items alone": 1}, "neither users nor tokens, k = 5"),
    "k 2": Variant({**LONG, "history": 2}, {"items alone, k = 2": 1}, "a history of 2"),
    "pairs": Variant(
        {**LONG, "history": 1}, {"items alone, k = 1 (item-item CF)": 1}, "p(i | i')"
    ),
    "triple2vec": Variant(
        {**SHORT, "history": 1, "context": False}, {"triple2vec": 2},
        "p(i | i', u), this network's case, not its authors' code",
    ),
    "tied": Variant({**LONG, "dual": False}, {"items alone, one vector": 1}, "item-in = item-out"),
    "max": Variant({**LONG, "pooling": "max"}, {"items alone, maximum": 1}, "max pooling"),
})  # fmt: skip
ITEM2VEC = "gensim item2vec"


@dataclass(frozen=True, eq=False)
class Asked:
    """What is asked of every system.

    Attributes:
        shop, fingerprint: of the data.
        given: catalogue, log and users' rows; the log ends before the test.
        log: of it.
        cases: of the test window.
        validation: a split of the log, its later part the last days.
    """

    shop: str
    fingerprint: str
    given: Given
    log: Log
    cases: Sequence[Case]
    validation: Split

    @property
    def key(self) -> str:
        """What a kept result depends on beside system and seed."""
        targets = [case.target for case in self.cases]
        told = [
            VERSION,
            f"{self.shop} {self.fingerprint}",
            len(self.log.rows),
            len(self.log.items),
            targets,
        ]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


Found = dict[str, Placed]
"""Systems that one training stands for, and where their targets are."""


def counted(asked: Asked, name: str) -> Found:
    """A baseline that only counts."""
    return {name: ranked(COUNTED[name](asked.log), asked.cases)}


def gensim(asked: Asked, seed: int) -> Found:
    """gensim's item2vec."""
    return {ITEM2VEC: ranked(item2vec(asked.log, seed), asked.cases)}


def trained(asked: Asked, name: str, seed: int) -> Found:
    """A variant of the model; that without users also gives the shipped blend."""
    variant = VARIANTS[name]
    config = config_of(asked.shop, name).with_(seed=seed)
    model = fitted(asked.log, config)
    found = {
        system: ranked(partial(by_criterion, model, criterion), asked.cases)
        for system, criterion in variant.scored.items()
    }
    if name == "no user":
        found[SHIPPED] = ranked(blended(asked, model, config), asked.cases)
    return found


def config_of(shop: str, name: str) -> Config:
    """The settings of a variant on a shop."""
    changes = TUNED.get(shop, {}).get(name, {})
    return Config(**{**VARIANTS[name].settings, **changes})


def fitted(log: Log, config: Config) -> Model:
    """A model after all passes over a log."""
    model, run = Model.fresh(log, config), passes(log, config)
    for epoch in range(config.epochs):
        run.run(model, epoch)
    return model


def by_criterion(model: Model, criterion: int, asked: Sequence[Case]) -> Doubles:
    """(C, I) float64 — criterion 1 or 2."""
    scores = model.by_basket([case.session for case in asked])
    if criterion == 2:
        scores = scores + model.by_user([case.user for case in asked])
    return scores.astype(np.float64)


def blended(asked: Asked, model: Model, config: Config) -> Scorer:
    """The shipped score; its weights are those of a first training that ends before the last days."""
    early, later = asked.validation
    first = read(asked.given.items, early, config, asked.given.told)
    seen = cases(first, early, later, most=MOST)
    weights = weigh(Signals.counted(fitted(first, config), first), seen)
    whole = Signals.counted(model, asked.log)
    return lambda some: np.stack([weights @ whole.of(case) for case in some])


def ranked(scorer: Scorer, asked: Sequence[Case]) -> Placed:
    """Where the targets are, some cases at a time."""
    parts = []
    for start in range(0, len(asked), AT_ONCE):
        some = asked[start : start + AT_ONCE]
        parts.append(placed(scorer(some), some))
    return Placed(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def plan(seeds: Sequence[int], variants: Sequence[str]) -> Iterator[tuple[str, int]]:
    """What is to be done: every baseline once, everything that is trained per seed."""
    yield from ((name, 0) for name in COUNTED)
    for seed in seeds:
        yield from ((name, seed) for name in [*variants, ITEM2VEC])


def results(
    asked: Asked,
    seeds: Sequence[int],
    variants: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[int, Placed]]:
    """System -> seed -> places; kept results are read, others made and kept."""
    found: dict[str, dict[int, Placed]] = {}
    work = list(plan(seeds, variants))
    for done, (name, seed) in enumerate(work, start=1):
        for system, places in _kept(asked, name, seed).items():
            found.setdefault(system, {})[seed] = places
        if progress:
            progress(done, len(work))
    return found


def _kept(asked: Asked, name: str, seed: int) -> Found:
    folder = settings().cache_dir / "complement" / asked.key
    file = (
        folder / f"{hashlib.sha256(_told(asked.shop, name).encode()).hexdigest()[:12]}-{seed}.npz"
    )
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _keep(file, _made(asked, name, seed))
    with np.load(file) as kept:
        systems = [key.removesuffix("/rank") for key in kept.files if key.endswith("/rank")]
        return {name: Placed(kept[f"{name}/rank"], kept[f"{name}/auc"]) for name in systems}


def _told(shop: str, name: str) -> str:
    """A system's name with its settings."""
    signals = SIGNALS if name == "no user" else ""
    return f"{name} {config_of(shop, name).model_dump_json() if name in VARIANTS else ''}{signals}"


def _made(asked: Asked, name: str, seed: int) -> Found:
    if name in COUNTED:
        return counted(asked, name)
    return gensim(asked, seed) if name == ITEM2VEC else trained(asked, name, seed)


def _keep(file: Path, found: Found) -> None:
    packed = io.BytesIO()
    arrays = {f"{name}/rank": places.rank for name, places in found.items()}
    np.savez_compressed(packed, **arrays, **{f"{n}/auc": p.auc for n, p in found.items()})  # type: ignore[arg-type]
    put(file, packed.getvalue())
