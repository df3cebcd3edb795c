"""Weights for new ads without a language model."""

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from merchgraph.evals.baselines.weights import (
    PENALTIES,
    cold,
    near,
    neighbours,
    own_aisle,
    ridge,
    strangers,
)
from merchgraph.tools.ctr.pool import Ad, Feature, Pool

P, D = 30, 6
GROUPS = ("dairy", "pets", "")


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.fixture
def pool() -> Pool:
    rng = np.random.default_rng(0)
    names = ("aisle: dairy", "aisle: pets", "trips")
    weights = rng.normal(size=(P, 3)) * 0.1
    for row in range(P):
        if row % 3 < 2:
            weights[row, row % 3] += 0.5
    ads = tuple(Ad(id=str(row), text="t", group=GROUPS[row % 3]) for row in range(P))
    return Pool(
        features=tuple(Feature(name=name, meaning="m") for name in names), ads=ads, weights=weights,
        intercepts=np.zeros(P), rates=rng.random(P), exposures=np.ones(P), centre=np.zeros(3),
        spread=np.ones(3), users=np.zeros((1, 3)),
    )  # fmt: skip


def test_the_nearest_ads_come_first() -> None:
    found = near(np.array([[1.0, 0]]), unit(np.array([[0.0, 1], [1, 0], [1, 1]])))
    assert found.rows.tolist() == [[1, 2, 0]]
    np.testing.assert_allclose(found.cosines[0], [1, 2**-0.5, 0])


def test_neighbours_are_averaged_and_strangers_are_drawn(pool: Pool) -> None:
    rng = np.random.default_rng(1)
    found = near(unit(rng.normal(size=(4, D))), unit(rng.normal(size=(P, D))))
    mean = neighbours(pool.weights, found, 5)
    np.testing.assert_allclose(mean[2], pool.weights[found.rows[2, :5]].mean(axis=0))
    np.testing.assert_allclose(neighbours(pool.rates, found, 1), pool.rates[found.rows[:, 0]])
    first, again = (strangers(pool, 4, 5, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first, axis=0)) == 4


def test_the_cold_model_is_the_median_of_the_pool(pool: Pool) -> None:
    found = cold(pool, 2)
    np.testing.assert_array_equal(found, np.tile(np.median(pool.weights, axis=0), (2, 1)))


def test_the_ridge_is_scikit_learn_s_with_the_penalty_that_leaves_out_best(pool: Pool) -> None:
    rng = np.random.default_rng(2)
    texts, new = unit(rng.normal(size=(P, D))), unit(rng.normal(size=(4, D)))
    mapped = texts @ rng.normal(size=(D, 3))
    known = dataclasses.replace(pool, weights=mapped + 0.1 * rng.normal(size=(P, 3)))

    def left_out(penalty: float) -> float:
        errors = []
        for row in range(P):
            rest = np.arange(P) != row
            model = Ridge(penalty).fit(texts[rest], known.weights[rest])
            errors.append((model.predict(texts[row : row + 1])[0] - known.weights[row]) ** 2)
        return float(np.mean(errors))

    best = min(PENALTIES, key=left_out)
    expected = Ridge(best).fit(texts, known.weights).predict(new)
    np.testing.assert_allclose(ridge(known, texts, new), expected, atol=1e-8)


def test_the_rule_lifts_the_own_aisle_and_nothing_else(pool: Pool) -> None:
    found = own_aisle(pool, ["pets", "dairy", "", "moon"]) - cold(pool, 4)
    assert found[0, 1] == pytest.approx(found[1, 0])
    assert found[1, 0] > 0.2
    assert found[0, [0, 2]].tolist() == [0, 0]
    assert not found[2:].any()


def test_a_pool_without_aisles_makes_the_rule_the_cold_model(pool: Pool) -> None:
    plain = dataclasses.replace(pool, ads=tuple(Ad(id=ad.id, text="t") for ad in pool.ads))
    np.testing.assert_array_equal(own_aisle(plain, ["dairy"]), cold(plain, 1))
