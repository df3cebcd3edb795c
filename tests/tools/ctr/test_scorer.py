"""Scores of users for ads, and why they are as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.ctr.explain import explain
from merchgraph.tools.ctr.scorer import ROWS, Scorer

NAMES = ["tea", "baby", "trips"]
SCORER = Scorer(
    ("a", "b"),
    np.array([[1, 0, 0], [0, -2, 0.5]], np.float32),
    np.array([-1, 0], np.float32),
    np.full(3, 0.5, np.float32),
    np.full(3, 0.1, np.float32),
    np.array([0, 0, 0.2, -3], np.float32),
)
USER = [0.6, 0.5, 0.3]  # z = 1, 0, -2
RAW = arrays(np.float64, st.tuples(st.integers(0, 150), st.just(3)), elements=st.floats(0, 1))


def sigmoid(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))


def test_a_score_is_the_sigmoid_of_intercept_and_weighted_features() -> None:
    np.testing.assert_allclose(SCORER.scores(USER), [sigmoid(0), sigmoid(-1)], rtol=1e-5)


@given(RAW)
def test_many_users_have_the_scores_that_each_has_alone(raw: Any) -> None:
    scores = SCORER.scores(raw)
    assert scores.shape == (len(raw), 2)
    assert scores.dtype == np.float32
    for user, row in zip(raw, scores, strict=True):
        np.testing.assert_allclose(SCORER.scores(user), row, rtol=1e-5)


def test_batches_longer_than_a_step_are_whole() -> None:
    raw = np.random.default_rng(1).random((ROWS * 2 + 5, 3))
    whole = SCORER.scores(raw)
    np.testing.assert_allclose(whole[-1], SCORER.scores(raw[-1]), rtol=1e-5)
    assert (whole > 0).all()


def test_values_far_from_usual_count_as_four_deviations_and_scores_stay_numbers() -> None:
    steep = replace(SCORER, weights=np.full((2, 3), 99, np.float32))
    with np.errstate(over="raise"):
        np.testing.assert_allclose(steep.scores([9.0, 9, 9]), [1, 1])
        np.testing.assert_allclose(steep.scores([-9.0, -9, -9]), [0, 0], atol=1e-30)
    np.testing.assert_array_equal(SCORER.standardised([9.0, 0.5, -9]), [4, 0, -4])


def test_the_best_ads_come_first_and_ties_in_their_order() -> None:
    assert [one.ad for one in SCORER.top(USER, 5)] == ["a", "b"]
    assert [one.ad for one in SCORER.top([0.5, 0.9, 0.5], 1)] == ["a"]
    alike = SCORER.slate(["x", "y", "z"])
    assert [one.ad for one in alike.top(USER, 2)] == ["x", "y"]


def test_a_slate_scores_ads_without_weights_by_the_median_ones() -> None:
    slate = SCORER.slate(["b", "new", "a"])
    assert slate.ads == ("b", "new", "a")
    assert slate.unknown == {"new"}
    scores = SCORER.scores(USER)
    np.testing.assert_allclose(
        slate.scores(USER), [scores[1], sigmoid(-3 - 0.4), scores[0]], rtol=1e-5
    )
    assert SCORER.slate([]).scores(USER).shape == (0,)


@pytest.mark.parametrize("raw", [[0.1, 0.2], [[0.1] * 4], [[[0.1] * 3]], [], 0.3])
def test_features_of_another_shape_are_refused(raw: Any) -> None:
    with pytest.raises(DataError, match=r"expected \(users, 3\) or \(3,\)"):
        SCORER.scores(raw)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(DataError, match="not finite"):
        SCORER.scores([0.1, bad, 0.2])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", np.full((2, 3), np.nan, np.float32)),
        ("weights", np.zeros((2, 4), np.float32)),
        ("intercepts", np.zeros(3, np.float32)),
        ("cold", np.zeros(3, np.float32)),
    ],
)
def test_a_scorer_is_not_made_of_what_does_not_fit(name: str, value: Any) -> None:
    with pytest.raises(DataError, match=f"A scorer's {name} have"):
        replace(SCORER, **{name: value})


@pytest.mark.parametrize("k", [0, 1, 2, 9])
def test_an_explanation_adds_up(k: int) -> None:
    why = explain(SCORER, "b", [0.6, 0.4, 0.3], NAMES, k=k)
    assert len(why.top) == min(k, 3)
    parts = why.intercept + sum(part.adds for part in why.top) + why.rest
    assert parts == pytest.approx(why.logit)
    assert why.probability == pytest.approx(SCORER.scores([0.6, 0.4, 0.3])[1], rel=1e-5)


def test_an_explanation_names_the_largest_contributions_first() -> None:
    why = explain(SCORER, "b", [0.6, 0.4, 0.3], NAMES, k=2)
    assert [(part.feature, round(part.adds, 4)) for part in why.top] == [("baby", 2), ("trips", -1)]
    assert why.top[0].weight == -2
    assert why.top[0].z == pytest.approx(-1)


def test_an_ad_without_weights_is_explained_by_the_median_ones() -> None:
    why = explain(SCORER, "new", USER, NAMES, k=1)
    assert (why.intercept, why.top[0].feature) == (-3, "trips")


def test_an_explanation_needs_a_name_for_each_feature() -> None:
    with pytest.raises(SetupError, match="3 features, but 1 names"):
        explain(SCORER, "a", USER, ["tea"])
