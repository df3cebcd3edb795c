"""Fitted weights: found again where they were planted, and honest where there is nothing to find."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from merchgraph.evals.fusion import Slate, fit
from merchgraph.graphs.fusion import Signal, fuse, normalised
from merchgraph.runtime.errors import DataError

ITEMS = 20


def planted(weights: dict[Signal, float], slates: int, seed: int = 0) -> list[Slate]:
    """Slates of random signals on odd scales, whose targets are drawn by a conditional logit."""
    dice = np.random.default_rng(seed)
    made = []
    for _ in range(slates):
        signals = {
            name: (dice.normal(size=ITEMS) * 7**number + 3).tolist()
            for number, name in enumerate(weights)
        }
        sums = sum(weight * np.array(normalised(signals[name])) for name, weight in weights.items())
        odds = np.exp(sums) / np.exp(sums).sum()
        made.append(Slate(signals, int(dice.choice(ITEMS, p=odds))))
    return made


def test_planted_weights_are_found_again() -> None:
    wanted: dict[Signal, float] = {"copurchase": 1.5, "nli": 0.0, "frequency": 0.7, "rank": -0.4}
    found = fit(planted(wanted, slates=800))
    assert found.weights == pytest.approx(wanted, abs=0.12)
    assert found.slates == 800


def test_the_weights_are_those_that_the_graph_takes() -> None:
    slates = planted({"copurchase": 2.0, "nli": 0.5}, slates=200)
    found = fit(slates)
    items = [str(n) for n in range(ITEMS)]
    gains = []
    for one in slates:
        place = 1 + fuse(items, one.signals, found.weights).ranking.index(str(one.target))
        gains.append(1 / math.log2(1 + place) if place <= 5 else 0.0)
    assert found.ndcg == pytest.approx(np.mean(gains), abs=0.02)
    assert found.ndcg > 0.5


def test_noise_gets_no_weight_and_the_score_of_chance() -> None:
    found = fit(planted({"nli": 0.0, "rank": 0.0}, slates=2000))
    assert max(map(abs, found.weights.values())) < 0.08
    chance = sum(1 / math.log2(1 + place) for place in range(1, 6)) / ITEMS
    assert found.ndcg == pytest.approx(chance, abs=0.03)


def test_the_reported_score_is_of_slates_that_were_not_fitted_on() -> None:
    # every target is told by a signal of its own fold alone: what is learnt elsewhere misleads
    names: list[Signal] = ["rank", "nli", "semantic"]
    slates = []
    for number in range(9):
        signals: dict[Signal, list[float | None]] = {name: [0.0] * ITEMS for name in names}
        for other, name in enumerate(names):
            signals[name] = [float(place < 10) for place in range(ITEMS)]
            if other == number % 3:
                signals[name] = [float(place == 19) for place in range(ITEMS)]
        slates.append(Slate(signals, 19))
    assert fit(slates, folds=3, l2=0.1).ndcg == 0.0
    assert all(weight > 0.5 for weight in fit(slates, folds=3, l2=0.1).weights.values())


def test_a_stronger_prior_keeps_weights_smaller() -> None:
    slates = planted({"copurchase": 2.0}, slates=50)
    sizes = [fit(slates, l2=l2).weights["copurchase"] for l2 in (0.1, 10, 1000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 2 * sizes[2] > 0


def test_unknown_and_constant_values_are_borne() -> None:
    slates = [
        Slate({"nli": [None] * 3, "frequency": [0.0, 0.0, 0.0], "rank": [1.0, 0.5, None]}, 0)
    ] * 4
    found = fit(slates)
    assert found.weights["nli"] == found.weights["frequency"] == 0.0
    assert found.weights["rank"] > 0


def test_the_same_slates_give_the_same_weights_whatever_the_order_of_signals() -> None:
    slates = planted({"copurchase": 1.0, "nli": 0.3}, slates=30)
    turned = [Slate(dict([*one.signals.items()][::-1]), one.target) for one in slates]
    assert fit(slates) == fit(turned)


GOOD = Slate({"nli": [0.0, 1.0]}, 1)


@pytest.mark.parametrize(
    ("slates", "told"),
    [
        ([], ["0 slates", "at least 2"]),
        ([GOOD], ["1 slates", "at least 2"]),
        ([GOOD, Slate({"rank": [0.0, 1.0]}, 1)], ["Slate 2", "'rank'", "'nli'"]),
        ([Slate({}, 0)] * 2, ["Slate 1", "at least one"]),
        ([GOOD, Slate({"nli": [0.0, 1.0]}, 2)], ["Slate 2", "target 2", "[2] values"]),
        ([GOOD, Slate({"nli": [0.0, 1.0]}, -1)], ["Slate 2", "target -1"]),
        ([Slate({"nli": [0.0, 1.0], "rank": [1.0]}, 0)] * 2, ["Slate 1", "[1, 2] values"]),
        ([GOOD, Slate({"nli": [0.0, math.inf]}, 1)], ["Slate 2", "not finite"]),
    ],
)
def test_slates_that_cannot_be_fitted_are_named(slates: Any, told: list[str]) -> None:
    with pytest.raises(DataError) as failure:
        fit(slates)
    assert all(part in str(failure.value) for part in told), str(failure.value)


def half_judged(nli: float, slates: int = 400, judged: int = 40) -> list[Slate]:
    """Slates of which few know the judge's signal; the others' targets are drawn without it."""
    told = planted({"copurchase": 1.0, "nli": nli}, judged, seed=1)
    untold = planted({"copurchase": 1.0}, slates, seed=2)
    return told + [Slate({**one.signals, "nli": [None] * ITEMS}, one.target) for one in untold]


def test_a_judge_at_chance_is_left_out_and_a_good_one_kept() -> None:
    careful = [fit(half_judged(nli), careful=["nli"]).weights for nli in (0.0, 1.5)]
    assert abs(careful[0]["nli"]) < 0.02
    assert careful[1]["nli"] > 0.7
    assert careful[0]["copurchase"] == pytest.approx(1.0, abs=0.15)


def test_care_takes_nothing_from_signals_that_all_slates_know() -> None:
    slates = half_judged(1.5)
    plain, careful = fit(slates), fit(slates, careful=["nli"])
    assert careful.weights["copurchase"] == pytest.approx(plain.weights["copurchase"], abs=0.05)
