from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.tools.beta import Floats, best_of

COUNTS = st.tuples(st.integers(1, 300), st.integers(1, 30_000))
ARMS = st.lists(COUNTS, min_size=2, max_size=6)


def arrays(arms: list[tuple[int, int]]) -> tuple[Floats, Floats]:
    a, b = np.array(arms, dtype=np.float64).T
    return a, b


def log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def second_is_greater(first: tuple[int, int], second: tuple[int, int]) -> float:
    """The sum in closed form for whole parameters (Miller 2014, Formulas for Bayesian A/B testing)."""
    (a, b), (c, d) = first, second
    terms = (
        log_beta(a + i, b + d) - math.log(d + i) - log_beta(1 + i, d) - log_beta(a, b)
        for i in range(c)
    )
    return math.fsum(math.exp(term) for term in terms)


@given(COUNTS, COUNTS)
def test_two_arms_agree_with_the_closed_form(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    p = best_of(*arrays([first, second])).p
    assert p[1] == pytest.approx(second_is_greater(first, second), abs=1e-6)


@given(ARMS)
def test_probabilities_are_shared_out_and_the_greatest_beats_each_mean(
    arms: list[tuple[int, int]],
) -> None:
    a, b = arrays(arms)
    found = best_of(a, b)
    assert found.p.sum() == pytest.approx(1)
    assert ((found.p >= 0) & (found.p <= 1)).all()
    assert (a / (a + b)).max() - 1e-6 <= found.top <= 1


@given(ARMS, st.randoms(use_true_random=False))
def test_the_order_of_the_arms_does_not_matter(
    arms: list[tuple[int, int]], random: np.random.RandomState
) -> None:
    a, b = arrays(arms)
    order = list(range(len(arms)))
    random.shuffle(order)
    np.testing.assert_allclose(best_of(a[order], b[order]).p, best_of(a, b).p[order], atol=1e-9)


@given(ARMS)
def test_one_more_click_makes_an_arm_more_probable(arms: list[tuple[int, int]]) -> None:
    a, b = arrays(arms)
    more = a.copy()
    more[0] += 1
    assert best_of(more, b).p[0] >= best_of(a, b).p[0] - 1e-9


@pytest.mark.parametrize("k", [2, 3, 7])
@pytest.mark.parametrize("size", [1.0, 50.0, 1e4, 1e9])
def test_equal_arms_are_equally_probable(k: int, size: float) -> None:
    found = best_of(np.full(k, size), np.full(k, 60 * size))
    np.testing.assert_allclose(found.p, 1 / k, atol=1e-9)


@pytest.mark.parametrize("k", [2, 3, 9])
def test_the_greatest_of_uniform_variables_has_its_known_mean(k: int) -> None:
    assert best_of(np.ones(k), np.ones(k)).top == pytest.approx(k / (k + 1), abs=1e-6)


def test_many_arms_agree_with_draws() -> None:
    a = np.array([41.0, 55.0, 3.0, 60.0, 51.0])
    b = np.array([3_000.0, 3_900.0, 180.0, 4_100.0, 2_900.0])
    draws = np.random.default_rng(0).beta(a, b, (400_000, 5))
    found = best_of(a, b)
    shares = np.bincount(draws.argmax(axis=1), minlength=5) / len(draws)
    np.testing.assert_allclose(found.p, shares, atol=4e-3)
    assert found.top == pytest.approx(draws.max(axis=1).mean(), rel=1e-3)


@pytest.mark.parametrize("size", [1e3, 1e6, 1e7])
def test_a_narrow_arm_beside_one_that_may_be_anything_is_exact(size: float) -> None:
    found = best_of(np.array([1.0, size]), np.array([1.0, 9 * size]))
    assert found.p[0] == pytest.approx(0.9, abs=1e-6)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(AssertionError, match=r"\(2,\) against \(3,\)"):
        best_of(np.ones(2), np.ones(3))
