"""AUC per ad, NDCG over lists of ads, and calibration; against scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, roc_auc_score

from merchgraph.evals.metrics.ctr import BINS, auc, auc_by_ad, calibration, ndcg

# few different values, so that many scores tie
SCORES = st.lists(st.integers(-3, 3), min_size=2, max_size=60)


@given(SCORES, st.randoms(use_true_random=False))
def test_auc_is_that_of_scikit_learn_with_ties(scores: list[int], dice: object) -> None:
    clicked = np.array([dice.random() < 0.5 for _ in scores])  # type: ignore[attr-defined]
    values = np.array(scores, dtype=np.float64)
    if clicked.all() or not clicked.any():
        assert np.isnan(auc(values, clicked))
    else:
        assert auc(values, clicked) == pytest.approx(roc_auc_score(clicked, values))


def test_auc_by_ad_sees_only_who_was_shown_the_ad() -> None:
    scores = np.array([[3.0, 0], [2, 0], [1, 1], [9, 0]])
    shown = np.array([[1, 1], [1, 0], [1, 1], [0, 1]], bool)
    clicked = np.array([[1, 0], [0, 0], [0, 1], [0, 0]], bool)
    assert auc_by_ad(scores, shown, clicked).tolist() == [1.0, 1.0]
    assert np.isnan(auc_by_ad(scores, shown, clicked & False)).all()


@pytest.mark.parametrize("k", [1, 5, 10, 40])
def test_ndcg_is_that_of_scikit_learn(k: int) -> None:
    rng = np.random.default_rng(0)
    scores, clicked = rng.normal(size=(50, 14)), rng.random((50, 14)) < 0.2
    clicked[:, 0] = True
    found = ndcg(scores, np.ones((50, 14), bool), clicked, k)
    for row in range(50):
        expected = ndcg_score(clicked[row : row + 1], scores[row : row + 1], k=k)
        assert found[row] == pytest.approx(expected)


def test_a_list_is_only_of_the_ads_that_were_shown() -> None:
    scores, shown, clicked = np.arange(12.0)[None], np.ones((1, 12), bool), np.zeros((1, 12), bool)
    clicked[0, 9] = True
    assert ndcg(scores, shown, clicked, 5)[0] == pytest.approx(1 / np.log2(4))
    shown[0, [10, 11]] = False
    assert ndcg(scores, shown, clicked, 5)[0] == 1


def test_short_lists_and_lists_without_a_click_do_not_count() -> None:
    shown, clicked = np.ones((3, 11), bool), np.zeros((3, 11), bool)
    clicked[0, 0] = clicked[1, 0] = True
    shown[1, 5:] = False
    found = ndcg(np.zeros((3, 11)), shown, clicked, 10)
    assert np.isnan(found).tolist() == [False, True, True]
    assert found[0] == 1, "ties stand in the order of the columns"


def test_calibration_compares_predicted_with_actual_clicks() -> None:
    rng = np.random.default_rng(0)
    odds = rng.random(20_000)
    clicked = rng.random(20_000) < odds
    good, double = calibration(odds, clicked), calibration(odds / 2, clicked)
    assert good.ratio == pytest.approx(1, abs=0.02)
    assert good.error < 0.02 < double.error
    assert double.ratio == pytest.approx(good.ratio / 2)


def test_the_calibration_error_is_over_bins_of_equal_size() -> None:
    odds = np.repeat([0.1, 0.6], BINS // 2 * 10)
    clicked = np.tile([True, *[False] * 9], BINS)
    assert calibration(odds, clicked).error == pytest.approx(0.25)
    assert np.isnan(calibration(odds, clicked & False)).all()
    assert np.isnan(calibration(odds[:0], clicked[:0])).all()
