"""Click models of many ads in one solve, against scikit-learn's, one ad at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.ctr import fit as module
from merchgraph.tools.ctr.fit import Sample, fit

ROWS, ADS, WIDTH = 700, 5, 4


def sample(seed: int = 0, scale: float = 1.0) -> Sample:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, WIDTH)) * scale
    odds = 1 / (1 + np.exp(-(x @ rng.normal(size=(WIDTH, ADS)) - 1.5)))
    shown = rng.random((ROWS, ADS)) < 0.6
    clicked = shown & (rng.random((ROWS, ADS)) < odds)
    # each ad has both, whatever was drawn
    shown[:2], clicked[0], clicked[1] = True, True, False
    return Sample(x, shown, clicked)


@pytest.mark.parametrize("l2", [0.5, 30.0, 300.0])
def test_each_ad_has_the_model_that_scikit_learn_gives_it_alone(l2: float) -> None:
    data = sample()
    models = fit(data, l2=l2)
    for ad in range(ADS):
        seen = data.shown[:, ad]
        alone = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=1_000)
        alone.fit(data.x[seen], data.clicked[seen, ad])
        np.testing.assert_allclose(models.weights[ad], alone.coef_[0], atol=1e-5)
        np.testing.assert_allclose(models.intercepts[ad], alone.intercept_[0], atol=1e-5)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.01, 1.0, 4.0, 30.0]))
def test_a_model_expects_as_many_clicks_as_there_were(seed: int, scale: float) -> None:
    data = sample(seed, scale)
    models = fit(data, l2=1.0)
    odds = 1 / (1 + np.exp(-(data.x @ models.weights.T + models.intercepts)))
    np.testing.assert_allclose((odds * data.shown).sum(axis=0), data.clicks, rtol=1e-4)


def test_ads_do_not_depend_on_each_other_nor_on_the_order_of_rows() -> None:
    data, order = sample(), np.random.default_rng(1).permutation(ROWS)
    together = fit(data, l2=10.0)
    alone = fit(Sample(data.x[order], data.shown[order, 2:3], data.clicked[order, 2:3]), l2=10.0)
    np.testing.assert_allclose(together.weights[2:3], alone.weights, atol=1e-6)


def test_rows_in_several_chunks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = sample()
    whole = fit(data, l2=10.0)
    monkeypatch.setattr(module, "CHUNK", 97)
    np.testing.assert_allclose(fit(data, l2=10.0).weights, whole.weights, atol=1e-6)


def test_a_strong_penalty_leaves_the_prior_and_a_weak_one_the_clicks() -> None:
    data, prior = sample(), np.full((ADS, WIDTH), 0.7)
    np.testing.assert_allclose(fit(data, l2=1e9, prior=prior).weights, prior, atol=1e-4)
    weak, none = fit(data, l2=1e-3, prior=prior), fit(data, l2=1e-3)
    np.testing.assert_allclose(weak.weights, none.weights, atol=1e-3)


def test_a_prior_far_away_still_comes_to_rest() -> None:
    data = sample()
    found = fit(data, l2=1e-2, prior=np.full((ADS, WIDTH), 40.0))
    assert np.isfinite(found.weights).all()
    np.testing.assert_allclose(found.weights, fit(data, l2=1e-2).weights, atol=0.5)


@pytest.mark.parametrize("column", [np.zeros(ROWS, bool), np.ones(ROWS, bool)])
def test_an_ad_without_clicks_or_with_nothing_else_is_refused(column: np.ndarray) -> None:
    data = sample()
    shown, clicked = data.shown.copy(), data.clicked.copy()
    shown[:, 3], clicked[:, 3] = True, column
    with pytest.raises(
        SetupError, match=rf"column 3 has {int(column.sum())} clicks of {ROWS} expo"
    ):
        fit(Sample(data.x, shown, clicked), l2=1.0)


@pytest.mark.parametrize("l2", [0.0, -1.0, float("nan")])
def test_a_penalty_that_is_not_above_0_is_refused(l2: float) -> None:
    with pytest.raises(SetupError, match="above 0, such as 300"):
        fit(sample(), l2=l2)


def test_a_prior_of_another_shape_is_refused() -> None:
    with pytest.raises(SetupError, match=r"\(4, 5\); expected \(5, 4\)"):
        fit(sample(), l2=1.0, prior=np.zeros((WIDTH, ADS)))


def test_a_click_on_what_was_not_shown_is_refused() -> None:
    data = sample()
    with pytest.raises(SetupError, match="was not shown"):
        Sample(data.x, data.shown & False, data.clicked)
    with pytest.raises(SetupError, match=r"exposures of the shape \(10, 5\)"):
        Sample(data.x, data.shown[:10], data.clicked[:10])


def test_rates_are_clicks_per_exposure_and_0_without_any() -> None:
    data = Sample(
        np.zeros((2, 1)), np.array([[1, 0], [1, 0]], bool), np.array([[1, 0], [0, 0]], bool)
    )
    assert data.rates.tolist() == [0.5, 0.0]
