"""From a model's reply to weights that may be kept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from merchgraph.tools.ctr import weights as w
from merchgraph.tools.ctr.weights import LEVELS, Checked, Direction, Near

NAMES = ["tea", "baby", "trips"]
FINITE = st.floats(-3, 3)
VECTORS = arrays(np.float64, 3, elements=FINITE)
HOSTILE: st.SearchStrategy[Any] = st.one_of(
    st.floats(), st.integers(-(10**400), 10**400), st.booleans(), st.none(), st.text(max_size=5),
    st.lists(st.floats(), max_size=2),
)  # fmt: skip
REPLIES = st.dictionaries(st.sampled_from([*NAMES, "moon", "", "TEA"]), HOSTILE)
DIRECTIONS = st.dictionaries(st.sampled_from([*NAMES, "moon"]), st.sampled_from("+-0"))


def test_a_good_reply_is_kept_as_it_is() -> None:
    found = w.checked({"trips": 0.1, "tea": 1, "baby": -0.2}, NAMES, {"tea": "+", "baby": "-"})
    assert found == Checked(
        weights={"tea": 1.0, "baby": -0.2, "trips": 0.1}, reasons=2, agreeing=2
    )  # fmt: skip
    assert list(found.weights) == NAMES
    assert found.consistency == 1


@pytest.mark.parametrize(
    ("reply", "fault", "named"),
    [
        ({"tea": 1, "baby": 1}, "missing", "trips"),
        ({"tea": 1, "baby": 1, "trips": 1, "moon": 1}, "unknown", "moon"),
        ({"tea": 1, "baby": 1, "trips": math.nan}, "unusable", "trips"),
        ({"tea": 1, "baby": 1, "trips": -math.inf}, "unusable", "trips"),
        ({"tea": 1, "baby": 1, "trips": 10**400}, "unusable", "trips"),
        ({"tea": 1, "baby": 1, "trips": True}, "unusable", "trips"),
        ({"tea": 1, "baby": 1, "trips": "0.1"}, "unusable", "trips"),
        ({"tea": 1, "baby": 1, "trips": None}, "unusable", "trips"),
        ({"tea": 1, "baby": 1, "trips": -0.4}, "contrary", "trips"),
    ],
    ids=str,
)
def test_each_fault_is_named_and_its_weight_is_0(reply: Any, fault: str, named: str) -> None:
    found = w.checked(reply, NAMES, {"trips": "+"})
    assert getattr(found, fault) == (named,)
    others = {"missing", "unknown", "unusable", "contrary"} - {fault}
    assert not any(getattr(found, other) for other in others)
    kept = 1.0 if fault == "unknown" else 0.0
    assert found.weights == {"tea": 1.0, "baby": 1.0, "trips": kept}


@pytest.mark.parametrize(
    ("weight", "direction", "agrees"),
    [
        (0.01, "+", True), (0.004, "+", False), (0.004, "0", True), (-0.004, "0", True),
        (0.01, "0", False), (-0.01, "-", True), (0.01, "-", False), (0.0, "-", False),
    ],
)  # fmt: skip
def test_a_weight_has_the_direction_that_its_two_digits_say(
    weight: float, direction: Direction, agrees: bool
) -> None:
    found = w.checked({"tea": weight}, ["tea"], {"tea": direction, "moon": "+"})
    assert found.consistency == agrees
    assert found.reasons == 1  # the reason of an unknown feature does not count
    assert found.weights["tea"] == (weight if agrees else 0)


def test_checks_of_batches_add_up() -> None:
    one = w.checked({"tea": 1, "trips": 1}, ["tea", "baby"], {"tea": "+"})
    two = w.checked({"trips": -1}, ["trips"], {"trips": "+"})
    both = one + two
    assert both.weights == {"tea": 1, "baby": 0, "trips": 0}
    assert (both.missing, both.unknown, both.contrary) == (("baby",), ("trips",), ("trips",))
    assert both.consistency == 0.5
    assert Checked().consistency is None
    np.testing.assert_array_equal(one.vector(NAMES), [1, 0, np.nan])


@given(REPLIES, DIRECTIONS)
def test_no_reply_brings_a_weight_that_cannot_be_used(
    reply: dict[str, Any], directions: dict[str, Direction]
) -> None:
    found = w.checked(reply, NAMES, directions)
    assert list(found.weights) == NAMES
    assert all(math.isfinite(weight) for weight in found.weights.values())
    for name in found.weights.keys() & directions.keys():
        sign = round(found.weights[name], 2)
        assert not (directions[name] == "+" and sign < 0)
        assert not (directions[name] == "-" and sign > 0)
        assert not (directions[name] == "0" and sign != 0)
    assert set(found.unknown) == reply.keys() - set(NAMES)
    assert set(found.missing) == set(NAMES) - reply.keys()


def test_a_weight_is_clipped_to_the_pool_and_0_is_always_allowed() -> None:
    low, high = np.array([-0.1, 0.1, -0.3]), np.array([0.2, 0.4, -0.1])
    np.testing.assert_array_equal(w.clip(np.array([9.0, 9, 9]), low, high), [0.2, 0.4, 0])
    np.testing.assert_array_equal(w.clip(np.array([-9.0, -9, -9]), low, high), [-0.1, 0, -0.3])
    np.testing.assert_array_equal(w.clip(np.array([0.0, 0, 0]), low, high), [0, 0, 0])


def test_weights_are_scaled_to_the_usual_norm() -> None:
    neighbours = np.array([[3.0, 4], [0, 1], [0, 2]])
    assert w.usual_norm(neighbours) == 2
    np.testing.assert_allclose(w.rescale(np.array([3.0, 4]), 2), [1.2, 1.6])
    np.testing.assert_array_equal(w.rescale(np.zeros(2), 2), [0, 0])
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        assert np.isfinite(w.rescale(np.array([1e-200, 0]), 1)).all()


def test_shrinking_goes_from_the_neighbours_to_the_model() -> None:
    own, near = np.array([1.0, -1]), np.array([0.0, 1])
    np.testing.assert_array_equal(w.shrink(own, near, 0), near)
    np.testing.assert_array_equal(w.shrink(own, near, 1), own)
    np.testing.assert_allclose(w.shrink(own, near, 0.7), [0.7, -0.4])


@pytest.mark.parametrize(
    ("cosines", "expected"),
    [([1, 3], 3.5), ([1, 0], 2), ([1, -2], 2), ([0, 0], 3), ([-1, -2], 3)],
)
def test_the_mean_counts_neighbours_by_their_likeness(
    cosines: list[float], expected: float
) -> None:
    assert w.rate(np.array([2.0, 4]), cosines) == pytest.approx(expected)
    table = np.array([[2.0, 0], [4, 0]])
    np.testing.assert_allclose(w.mean(table, cosines), [expected, 0])


@given(arrays(np.float64, 40, elements=st.floats(-4.5, 6)), st.floats(0.001, 0.5))
def test_the_intercept_gives_the_wanted_rate(logits: Any, wanted: float) -> None:
    b = w.intercept(logits, wanted)
    assert w.predicted(logits, b) == pytest.approx(wanted, rel=1e-4)


def test_an_intercept_out_of_reach_is_the_nearer_end() -> None:
    assert w.intercept(np.zeros(3), 0) == -15
    assert w.intercept(np.zeros(3), 1) == 5
    assert w.intercept(np.full(3, -1000.0), 0.5) == 5


def test_the_first_guess_is_exact_where_users_are_alike() -> None:
    logits = np.full(7, 0.3)
    assert w.first_guess(logits, 0.03) == pytest.approx(w.intercept(logits, 0.03), abs=2e-6)
    assert math.isfinite(w.first_guess(logits, 0))


def test_levels_stand_for_quantiles_and_back() -> None:
    values = dict(zip(LEVELS, (-0.4, -0.1, 0, 0.2, 0.6), strict=True))
    assert [w.level_of(x, values) for x in (-9, -0.11, 0.01, 0.25, 0.5)] == [*LEVELS]
    assert w.expected(dict.fromkeys(LEVELS, 0.2), values) == pytest.approx(0.06)
    assert list(LEVELS.values()) == sorted(LEVELS.values())


NEAR = Near(np.array([[0.3, 0, 0.1], [0.1, 0.2, 0.1]]), [0.8, 0.2],
            np.array([-0.2, -0.3, 0.05]), np.array([0.4, 0.3, 0.15]))  # fmt: skip


def test_every_step_is_kept_and_follows_from_the_one_before() -> None:
    found = w.normalise(np.array([9.0, -0.1, 0.0]), NEAR, 0.7)
    assert found.clipped == (0.4, -0.1, 0)
    norm = np.median([np.hypot(0.3, 0.1), np.sqrt(0.06)])
    assert found.norm == pytest.approx(norm, abs=1e-6)
    scaled = np.array([0.4, -0.1, 0]) * norm / np.hypot(0.4, 0.1)
    np.testing.assert_allclose(found.scaled, scaled, atol=1e-6)
    np.testing.assert_allclose(found.neighbours, [0.26, 0.04, 0.1])
    np.testing.assert_allclose(
        found.weights, 0.7 * scaled + 0.3 * np.array(found.neighbours), atol=1e-6
    )


def test_a_few_small_weights_are_not_stretched_beyond_the_pool() -> None:
    found = w.normalise(np.array([0.0, 0.0, 0.001]), NEAR, 1)
    assert found.clipped == (0, 0, 0.001)
    assert found.scaled == (0, 0, 0.15)


def test_what_was_not_written_is_the_neighbours_mean() -> None:
    found = w.normalise(np.array([np.nan, 0.1, np.nan]), NEAR, 1)
    assert found.weights[0] == found.neighbours[0]
    assert found.weights[2] == found.neighbours[2]
    assert found.norm == pytest.approx(0.1)  # of what was written, among the neighbours
    nothing = w.normalise(np.full(3, np.nan), NEAR, 1)
    assert nothing.weights == nothing.neighbours


@given(arrays(np.float64, 3, elements=st.one_of(FINITE, st.just(math.nan))), st.floats(0, 1))
def test_what_is_kept_lies_between_the_pool_and_the_neighbours(written: Any, share: float) -> None:
    found = w.normalise(written, NEAR, share)
    low = np.minimum(np.minimum(NEAR.low, 0), NEAR.weights.min(axis=0))
    high = np.maximum(np.maximum(NEAR.high, 0), NEAR.weights.max(axis=0))
    assert (np.array(found.weights) >= low - 1e-6).all()
    assert (np.array(found.weights) <= high + 1e-6).all()


@given(VECTORS, VECTORS, st.integers(0, 10**6), st.floats(0.1, 1000))
def test_a_hand_over_moves_from_written_to_trained(
    written: Any, trained: Any, clicks: int, prior: float
) -> None:
    now = w.hand_over(written, trained, clicks, prior)
    share = clicks / (clicks + prior)
    np.testing.assert_allclose(now, (1 - share) * written + share * trained, atol=1e-9)


def test_a_hand_over_begins_and_ends_where_it_should() -> None:
    written, trained = np.array([1.0, 0]), np.array([0.0, 2])
    np.testing.assert_array_equal(w.hand_over(written, trained, 0, 50), written)
    np.testing.assert_allclose(w.hand_over(written, trained, 50, 50), [0.5, 1])
    np.testing.assert_allclose(w.hand_over(written, trained, 10**9, 50), trained, atol=1e-6)
