"""Who guesses the next purchase without a model: what a reader of histories has to beat.

    learnt = learn(episodes, earlier=[episodes_of_an_earlier_cut, ...])
    guess(learnt, "Markov", history, candidates)     # -> Guess(best="Bananas", odds={...})

    chance                every candidate alike
    popular               bought most by all households, in the histories
    last item             bought last by this household
    most frequent         bought most often by this household; odds count + 1
    Markov                what households bought on the day after a day with the items of the last one
    recency-frequency     conditional logit (McFadden 1974) over how often, how lately and how regularly
                          the household bought it; fitted on the questions of earlier weeks

Ties go to the candidate shown first, which is chance. What is learnt comes from before the cut; it is
JSON, so that it goes onto a tape and a replay guesses without the shop.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from merchgraph.evals.extra import bench
from merchgraph.tools.histories import Episode, History
from merchgraph.tools.next_purchase import bought, candidates

PENALTY = 1.0
"""Of the squared weights, against the sum of the questions' log-losses."""
SMOOTHING = 1.0
"""Purchases added to each item, in shares of purchases and in what follows what."""
LONGEST_GAP = 3.0
"""Times its usual gap after which an item's being due says no more."""
DECIMALS = 6
FEATURES = ("bought", "often", "events ago", "days ago", "due", "follows")


class Learnt(BaseModel):
    """What the baselines know, JSON only.

    Attributes:
        popular: item -> purchases in the histories.
        follows: item -> item of the household's next shopping day -> how often.
        weights: feature -> weight, of features that are scaled by `scales`; empty if not fitted.
        scales: feature -> standard deviation over the candidates of the questions.
        questions: how many the weights were fitted on.
    """

    model_config = ConfigDict(frozen=True)

    popular: dict[str, int]
    follows: dict[str, dict[str, int]]
    weights: dict[str, float] = {}
    scales: dict[str, float] = {}
    questions: int = 0


class Guess(BaseModel):
    """A baseline's answer; `odds` sum to 1 over the candidates, empty where it has none."""

    model_config = ConfigDict(frozen=True)

    best: str
    odds: dict[str, float] = {}


Odds = Callable[[Learnt, History, Sequence[str]], list[float]]
"""Of each candidate; need not sum to 1."""


def guess(learnt: Learnt, name: str, history: History, offered: Sequence[str]) -> Guess:
    """A baseline's answer to one question.

    Args:
        learnt: by `learn`.
        name: one of `BASELINES`.
        history: what the household bought.
        offered: the candidates, in the order in which they are shown.
    """
    odds = np.asarray(BASELINES[name][0](learnt, history, offered), dtype=np.float64)
    best = offered[int(np.argmax(odds))]
    if name in WITHOUT_ODDS:
        return Guess(best=best)
    shares = [round(float(share), DECIMALS) for share in odds / odds.sum()]
    return Guess(best=best, odds=dict(zip(offered, shares, strict=True)))


def learn(
    episodes: Sequence[Episode],
    earlier: Sequence[Sequence[Episode]] = (),
    *,
    size: int,
    seed: int = 0,
) -> Learnt:
    """Count in the histories of the test, and fit the weights on the questions of earlier cuts.

    Each earlier cut's counts are of its own histories, so nothing that a question asks for is counted.

    Args:
        episodes: those of the test; only their histories are read.
        earlier: those of earlier cuts, whose next purchases lie before the test.
        size: candidates of a question, as in the test.
        seed: of the candidates.
    """
    learnt = _counted(episodes)
    tables, truths = [], []
    for fold in earlier:
        known = _counted(fold)
        for episode in fold:
            offered = candidates(episode, known.popular, size=size, seed=seed)
            tables.append(features(known, episode.history, offered))
            truths.append(offered.index(episode.next.item))
    if not tables:
        return learnt
    scales, weights = _fitted(np.asarray(tables), np.asarray(truths))
    return learnt.model_copy(
        update={"weights": weights, "scales": scales, "questions": len(truths)}
    )


def features(learnt: Learnt, history: History, offered: Sequence[str]) -> NDArray[np.float64]:
    """(C, 6) float64 — the numbers of each candidate, in the order of `FEATURES`; 0 if never bought.

    bought 0 or 1; often log(1 + purchases); events ago, days ago log(1 + those since the last
    purchase); due: days since then over the mean days between its purchases, at most 3, 0 after a
    single one; follows: log of the Markov chance times the number of candidates.
    """
    events, last = history.events, history.events[-1].when
    chances = _markov(learnt, history, offered)
    rows = []
    for item, chance in zip(offered, chances, strict=True):
        own = [(place, event.when) for place, event in enumerate(events) if event.item == item]
        follows = math.log(chance * len(offered) / sum(chances))
        if not own:
            rows.append([0.0, 0.0, 0.0, 0.0, 0.0, follows])
            continue
        place, day = own[-1]
        since = (last - day).days
        gap = (day - own[0][1]).days / (len(own) - 1) if len(own) > 1 else 0.0
        due = min(since / gap, LONGEST_GAP) if gap else 0.0
        rows.append([1.0, math.log1p(len(own)), math.log1p(len(events) - 1 - place),
                     math.log1p(since), due, follows])  # fmt: skip
    return np.asarray(rows, dtype=np.float64)


def _fitted(
    tables: NDArray[np.float64], truths: NDArray[np.int64]
) -> tuple[dict[str, float], dict[str, float]]:
    """tables: (Q, C, F), truths: (Q,) the true candidate's place -> scales and weights."""
    with bench("The recency-frequency baseline"):
        from scipy.optimize import minimize
    spread = tables.reshape(-1, tables.shape[-1]).std(axis=0)
    scales = np.where(spread > 0, spread, 1.0)
    scaled, rows = tables / scales, np.arange(len(truths))

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = scaled @ weights
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        odds /= odds.sum(axis=1, keepdims=True)
        value = -np.log(odds[rows, truths]).sum() + PENALTY * weights @ weights / 2
        odds[rows, truths] -= 1
        return float(value), np.einsum("qc,qcf->f", odds, scaled) + PENALTY * weights

    found = minimize(loss, np.zeros(len(FEATURES)), jac=True, method="L-BFGS-B").x
    return (
        {name: round(float(scale), DECIMALS) for name, scale in zip(FEATURES, scales, strict=True)},
        {
            name: round(float(weight), DECIMALS)
            for name, weight in zip(FEATURES, found, strict=True)
        },
    )


def _counted(episodes: Sequence[Episode]) -> Learnt:
    follows: dict[str, Counter[str]] = {}
    for episode in episodes:
        for day, after in pairwise(days(episode.history)):
            for item in day:
                follows.setdefault(item, Counter()).update(after)
    return Learnt(
        popular=bought(episodes),
        follows={item: dict(sorted(follows[item].items())) for item in sorted(follows)},
    )


def days(history: History) -> Iterator[list[str]]:
    """The items of each shopping day, oldest first, each item once a day."""
    for _, events in groupby(history.events, key=lambda event: event.when):
        yield list(dict.fromkeys(event.item for event in events))


def _chance(learnt: Learnt, history: History, offered: Sequence[str]) -> list[float]:
    return [1.0] * len(offered)


def _popular(learnt: Learnt, history: History, offered: Sequence[str]) -> list[float]:
    return [learnt.popular.get(item, 0) + SMOOTHING for item in offered]


def _last(learnt: Learnt, history: History, offered: Sequence[str]) -> list[float]:
    places = {event.item: float(place) for place, event in enumerate(history.events)}
    return [places.get(item, -1.0) for item in offered]


def _frequent(learnt: Learnt, history: History, offered: Sequence[str]) -> list[float]:
    counts = Counter(event.item for event in history.events)
    return [counts[item] + SMOOTHING for item in offered]


def _markov(learnt: Learnt, history: History, offered: Sequence[str]) -> list[float]:
    """The mean over the last day's items of the smoothed chance that an item follows."""
    *_, last = days(history)
    shares = []
    for item in last:
        after = learnt.follows.get(item, {})
        whole = sum(after.values()) + SMOOTHING * max(len(learnt.popular), 1)
        shares.append([(after.get(one, 0) + SMOOTHING) / whole for one in offered])
    mean: list[float] = np.mean(shares, axis=0).tolist()
    return mean


def _logit(learnt: Learnt, history: History, offered: Sequence[str]) -> list[float]:
    if not learnt.weights:
        return _chance(learnt, history, offered)
    weights = np.array([learnt.weights[name] / learnt.scales[name] for name in FEATURES])
    logits = features(learnt, history, offered) @ weights
    odds: list[float] = np.exp(logits - logits.max()).tolist()
    return odds


BASELINES: dict[str, tuple[Odds, str]] = {
    "chance": (_chance, "the candidate shown first"),
    "popular": (_popular, "bought most by all, in the histories"),
    "last item": (_last, "bought last by the household"),
    "most frequent": (_frequent, "bought most often by the household"),
    "Markov": (_markov, "what follows the last day's items, in all histories"),
    "recency-frequency": (_logit, "how often, how lately, how regularly; fitted on earlier weeks"),
}
WITHOUT_ODDS = {"last item"}
