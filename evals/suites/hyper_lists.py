"""Which ad does a user click? Metrics over all new ads of a launch at once, under several intercepts.

Weights alone cannot rank one ad above another: intercepts do most of it. So every system is measured with
the same ones, those that its weights need for the rate of the 5 nearest ads, and once more for the rate
that the ad really had, which nobody knows beforehand; trained models and language models also with their
own. Sizes: N visits, n ads, F features, R reference users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.metrics.clusters import clustered
from merchgraph.evals.metrics.ctr import auc, calibration, ndcg
from merchgraph.evals.suites.hyper_launches import Drawn, Launches
from merchgraph.tools.ctr.pool import Doubles
from merchgraph.tools.ctr.weights import DIGITS, FROM, TO

Intercept = Literal["nearest", "true rate", "own"]
KINDS: tuple[Intercept, ...] = ("nearest", "true rate", "own")
HALVINGS = 24
"""Of the interval in which an intercept lies, to 1e-6."""


class Given(NamedTuple):
    """What a system gave an ad; where it has no intercept of its own, that of the nearest ads' rate."""

    seed: int
    ad: str
    weights: Sequence[float]
    intercept: float | None


class Listed(BaseModel):
    """One system with one kind of intercepts, over the lists of all launches.

    Attributes:
        ndcg5, ndcg10: over lists of ten ads or more with a click; the interval draws households.
        auc: over all exposures together; this and what follows are means over launches.
        error: ECE in 20 bins of equal size.
        ratio: predicted clicks / clicks.
        lists: how many there are.
    """

    model_config = ConfigDict(frozen=True)

    system: str
    intercept: Intercept
    ndcg5: Estimate
    ndcg10: Estimate
    auc: float
    error: float
    ratio: float
    lists: int


def listed(launches: Launches, given: Mapping[str, Sequence[Given]]) -> list[Listed]:
    """Measure systems on the lists of the ads that they gave models to.

    Args:
        launches: with the clicks that were held out.
        given: system -> the same ads for each system.
    """
    runs: dict[tuple[str, Intercept], list[_Measured]] = {}
    seeds = sorted({one.seed for every in given.values() for one in every})
    for seed in seeds:
        drawn = launches.of(seed)
        for system, every in given.items():
            models = [one for one in every if one.seed == seed]
            for kind, measured in _measured(drawn, models).items():
                runs.setdefault((system, kind), []).append(measured)
    if not runs:
        return []
    columns = np.stack([
        np.concatenate([getattr(one, name) for one in every])
        for every in runs.values() for name in ("ndcg5", "ndcg10")
    ])  # fmt: skip
    counted = ~np.isnan(columns[0])
    users = np.concatenate([launches.of(seed).users for seed in seeds])[counted]
    means = iter(clustered(columns[:, counted], users.tolist()) if counted.any() else [])
    return [
        Listed(
            system=system, intercept=kind, ndcg5=next(means), ndcg10=next(means),
            **{name: _mean(every, name) for name in ("auc", "error", "ratio")},
            lists=int(counted.sum()),
        )
        for (system, kind), every in runs.items()
    ] if counted.any() else []  # fmt: skip


class _Measured(NamedTuple):
    """One launch: NDCG by visit (N,), NaN where it does not count, and three numbers."""

    ndcg5: Doubles
    ndcg10: Doubles
    auc: float
    error: float
    ratio: float


def _measured(drawn: Drawn, given: Sequence[Given]) -> dict[Intercept, _Measured]:
    rows = [drawn.rows[one.ad] for one in given]
    weights, held = np.array([one.weights for one in given]), drawn.held
    shown, clicked, logits = held.shown[:, rows], held.clicked[:, rows], held.x @ weights.T
    reference = (drawn.launch.pool.users @ weights.T).astype(np.float32)
    kinds: dict[Intercept, Doubles] = {
        "nearest": intercepts(reference, drawn.expected[rows]),
        "true rate": intercepts(reference, held.rates[rows]),
    }
    if any(one.intercept is not None for one in given):
        pairs = zip(given, kinds["nearest"], strict=True)
        kinds["own"] = np.array([b if one.intercept is None else one.intercept for one, b in pairs])
    found: dict[Intercept, _Measured] = {}
    for kind, offsets in kinds.items():
        scores = logits + offsets
        odds = 1 / (1 + np.exp(-scores[shown]))
        error, ratio = calibration(odds, clicked[shown])
        found[kind] = _Measured(
            ndcg(scores, shown, clicked, 5), ndcg(scores, shown, clicked, 10),
            auc(scores[shown], clicked[shown]), error, ratio,
        )  # fmt: skip
    return found


def intercepts(logits: NDArray[np.float32], wanted: Doubles) -> Doubles:
    """(n,) — b_a with mean over users of sigmoid(b_a + logits) = wanted_a, all by one bisection.

    Args:
        logits: (R, n) w_a . z of reference users.
        wanted: (n,) rates, 0 to 1.
    """
    low, high = np.full(len(wanted), FROM), np.full(len(wanted), TO)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = (1 / (1 + np.exp(-(logits + middle.astype(np.float32))))).mean(axis=0) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


def _mean(every: Sequence[_Measured], name: str) -> float:
    return round(float(np.mean([getattr(one, name) for one in every])), DIGITS)
