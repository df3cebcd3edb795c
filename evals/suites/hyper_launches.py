"""What the LLM-HYPER suite reads of a shop: new ads, weights without a language model, clicks held out.

Launches are drawn and fitted at the first question, once per seed (`tools/ctr/launch.py`), and never in a
replay. Sizes: n new ads, F features.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from pydantic import BaseModel, ConfigDict

from merchgraph.evals.baselines import weights as made
from merchgraph.evals.metrics.ctr import auc
from merchgraph.evals.suite import Case
from merchgraph.tools.ctr.fit import Models, Sample, fit
from merchgraph.tools.ctr.launch import L2, Launch, launch
from merchgraph.tools.ctr.likeness import AdVectors
from merchgraph.tools.ctr.pool import Ad, Doubles
from merchgraph.tools.ctr.weights import DIGITS, mean
from merchgraph.tools.data.shops import shop

NEAREST = 5
"""Neighbours whose rate every ad is expected to have, whatever its weights are."""
RANDOM = "5 random ads"
BASELINES = {
    "popularity": "the 5 nearest ads' rate; no weights",
    "LR_cold": "median of the pool's weights",
    RANDOM: "mean of their weights",
    "5 nearest ads": "mean of their weights",
    "10 nearest ads": "mean of their weights",
    "5 nearest by cosine": "weighted mean: LLM-HYPER with lambda 0",
    "ridge": "a linear map from text vectors to weights",
    "own-aisle rule": "LR_cold and one constant on the ad's aisle",
}
BOUNDS = {
    "LR_warm": "trained on the new ads' own clicks",
    "LR_warm_EB": "the same, pulled towards the ridge",
}


class Made(BaseModel):
    """A click model, and how well it tells who clicks.

    Attributes:
        weights: (F,)
        intercept: its own; None where it has none.
        auc: on held-out users.
    """

    model_config = ConfigDict(frozen=True)

    weights: list[float]
    intercept: float | None = None
    auc: float


@dataclass
class Drawn:
    """One launch, and the models that others than the method give its new ads."""

    seed: int
    launch: Launch

    @cached_property
    def ads(self) -> tuple[Ad, ...]:
        """The n new ones."""
        return self.launch.ads(self.launch.new)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Ad to column of `held`."""
        return {ad.id: row for row, ad in enumerate(self.ads)}

    @cached_property
    def held(self) -> Sample:
        """The held-out users in the weeks after the launch."""
        return self.launch.sample(self.launch.held, self.launch.new)

    @cached_property
    def users(self) -> list[str]:
        """The user of each row of `held`."""
        return self.launch.mailers.visits["user"].gather(self.launch.held).to_list()

    @cached_property
    def expected(self) -> Doubles:
        """(n,) the rate of each new ad's nearest ads."""
        return made.neighbours(self.launch.pool.rates, self._near, NEAREST)

    def auc(self, row: int, weights: Sequence[float]) -> float:
        """The AUC of weights (F,) for the new ad of a row."""
        seen = self.held.shown[:, row]
        return auc(self.held.x[seen] @ np.asarray(weights), self.held.clicked[seen, row])

    @cached_property
    def models(self) -> Mapping[str, Models]:
        """By system; intercepts are NaN for those that have none of their own."""
        pool, n = self.launch.pool, len(self.ads)
        rng = np.random.default_rng(self.seed)
        near, ridge = self._near, made.ridge(pool, *self._vectors)
        cosine = [mean(pool.weights[rows[:NEAREST]], cosines[:NEAREST].tolist())
                  for rows, cosines in zip(near.rows, near.cosines, strict=True)]  # fmt: skip
        found = {
            "popularity": np.zeros((n, len(pool.features))),
            "LR_cold": made.cold(pool, n),
            RANDOM: made.strangers(pool, n, NEAREST, rng),
            "5 nearest ads": made.neighbours(pool.weights, near, 5),
            "10 nearest ads": made.neighbours(pool.weights, near, 10),
            "5 nearest by cosine": np.stack(cosine),
            "ridge": ridge,
            "own-aisle rule": made.own_aisle(pool, [ad.group for ad in self.ads]),
        }
        clicks = self.launch.sample(self.launch.late, self.launch.new)
        trained = {"LR_warm": fit(clicks, l2=L2), "LR_warm_EB": fit(clicks, l2=L2, prior=ridge)}
        none = np.full(n, np.nan)
        return {**{name: Models(weights, none) for name, weights in found.items()}, **trained}

    @cached_property
    def _vectors(self) -> tuple[Doubles, Doubles]:
        """Of the pool's texts and of the new ads'."""
        both = AdVectors().of([*self.launch.pool.ads, *self.ads]).astype(np.float64)
        return both[: len(self.launch.pool.ads)], both[len(self.launch.pool.ads) :]

    @cached_property
    def _near(self) -> made.Near:
        pool, new = self._vectors
        return made.near(new, pool)


@dataclass
class Launches:
    """The launches of a shop by seed."""

    data: str
    seeds: Sequence[int]
    _drawn: dict[int, Drawn] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, seed: int) -> Drawn:
        """One launch; worker threads wait for the one that draws it."""
        with self._lock:
            if seed not in self._drawn:
                self._drawn[seed] = Drawn(seed, launch(shop(self.data), seed))
            return self._drawn[seed]

    def cases(self) -> list[Case]:
        """Every new ad of every launch."""
        return [
            Case(
                id=f"{seed}: {ad.id}",
                segment=f"seed {seed}",
                request={"ad": ad.model_dump(), "seed": seed},
                truth={"clicks": int(drawn.held.clicks[row]),
                       "exposures": int(drawn.held.exposures[row])},
            )
            for seed in self.seeds
            for drawn in (self.of(seed),)
            for row, ad in enumerate(drawn.ads)
        ]  # fmt: skip

    def baseline(self, case: Case, name: str) -> Made:
        """The model that a baseline or a bound gives a case's ad."""
        drawn, ad = self._find(case)
        with self._lock:
            models = drawn.models[name]
        weights, own = np.round(models.weights[ad], DIGITS).tolist(), models.intercepts[ad]
        return Made(
            weights=weights,
            intercept=None if np.isnan(own) else round(float(own), DIGITS),
            auc=round(drawn.auc(ad, weights), DIGITS),
        )

    def auc(self, case: Case, weights: Sequence[float]) -> float:
        """How well weights tell who clicks a case's ad."""
        drawn, ad = self._find(case)
        return round(drawn.auc(ad, weights), DIGITS)

    def _find(self, case: Case) -> tuple[Drawn, int]:
        drawn = self.of(case.request["seed"])
        return drawn, drawn.rows[case.request["ad"]["id"]]
