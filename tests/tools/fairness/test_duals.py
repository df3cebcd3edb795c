from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.fairness.data import Floats
from merchgraph.tools.fairness.duals import (
    KINDS,
    MAX_MIN,
    Goal,
    best_shares,
    conjugate,
    fairness,
    leader,
    most,
    plan_of,
    project,
)

TARGETS = np.array([0.5, 0.2, 0.05])
FAIR = sorted(KINDS)


def goal(fair: str, strength: float = 0.4) -> Goal:
    return Goal.model_validate({"fair": fair, "strength": strength, "horizon": 100})


def shares_of(fair: str, sums: list[float], trips: float) -> Floats:
    found = np.zeros(3)
    leader(plan_of(goal(fair), TARGETS), np.array(sums), trips, found)
    shares: Floats = found / TARGETS
    return shares


@pytest.mark.parametrize("fair", FAIR)
def test_who_got_more_than_its_target_is_subsidised_less(fair: str) -> None:
    equal = shares_of(fair, [10, 10, 10], 10)
    ahead = shares_of(fair, [30, 10, 10], 10)
    behind = shares_of(fair, [1, 10, 10], 10)
    assert ahead[0] < equal[0] < behind[0]


@pytest.mark.parametrize("fair", FAIR)
def test_no_strength_gives_no_subsidy(fair: str) -> None:
    found = np.ones(3)
    leader(plan_of(goal(fair, 0), TARGETS), np.array([0.0, 5, 9]), 10, found)
    assert (found == 0).all()


@given(arrays(float, 3, elements=st.floats(0, 1e4)), st.floats(0, 1e4), st.sampled_from(FAIR))
def test_subsidies_stay_in_the_domain_of_the_dual(sums: Floats, trips: float, fair: str) -> None:
    plan, found = plan_of(goal(fair), TARGETS), np.zeros(3)
    leader(plan, sums, trips, found)
    kept = found.copy()
    project(plan.kind, plan.strength, plan.caps, kept)
    np.testing.assert_allclose(kept, found, rtol=1e-9, atol=1e-12)


@given(arrays(float, 3, elements=st.floats(-2, 2)))
def test_the_projection_of_max_min_is_the_nearest_point(point: Floats) -> None:
    plan, found = plan_of(goal("max_min"), TARGETS), point.copy()
    project(plan.kind, plan.strength, plan.caps, found)
    assert found.min() >= 0
    assert found.sum() <= plan.strength + 1e-9
    others = np.random.default_rng(0).dirichlet(np.ones(4), 500)[:, :3] * plan.strength
    nearest = ((others - point) ** 2).sum(axis=1).min()
    assert ((found - point) ** 2).sum() <= nearest + 1e-9


@pytest.mark.parametrize("fair", FAIR)
def test_the_closed_form_of_the_conjugate_is_its_maximum(fair: str) -> None:
    plan, rng = plan_of(goal(fair), TARGETS), np.random.default_rng(1)
    for _ in range(20):
        nu = rng.dirichlet(np.ones(4))[:3] * plan.strength
        if plan.kind != MAX_MIN:
            nu = rng.uniform(0.02, 1, 3) * plan.caps
        box = most(plan) if fair == "proportional" else np.ones(3)
        tried = rng.uniform(0, 1, (4_000, 3)) * box
        if plan.kind == MAX_MIN:
            tried[:2_000] = tried[:2_000, :1]
        values = [plan.strength * fairness(plan, x * TARGETS) - nu @ x for x in tried]
        best = best_shares(plan.kind, plan.strength, plan.targets, plan.caps, nu)
        reached = plan.strength * fairness(plan, best * TARGETS) - nu @ best
        assert reached == pytest.approx(conjugate(plan, nu), abs=1e-9)
        assert max(values) <= conjugate(plan, nu) + 1e-9


def test_fairness_is_counted_up_to_the_targets() -> None:
    assert fairness(plan_of(goal("max_min"), TARGETS), TARGETS * [2, 0.3, 1]) == pytest.approx(0.3)
    assert fairness(plan_of(goal("max_min"), TARGETS), TARGETS * 5) == 1
    short = fairness(plan_of(goal("shortfall"), TARGETS), TARGETS * [2, 0.5, 0])
    assert short == pytest.approx(0.5 + 0.1)
    even = fairness(plan_of(goal("even_shortfall"), TARGETS), TARGETS * [2, 0.5, 0])
    assert even == pytest.approx(1.5 / 3)


def test_a_start_is_where_the_subsidies_begin() -> None:
    start, found = np.array([0.3, 0.06, 0.04]), np.zeros(3)
    leader(plan_of(goal("max_min"), TARGETS, start, keep=1 - 1e-9), np.zeros(3), 0, found)
    np.testing.assert_allclose(found, start, rtol=1e-5)


@pytest.mark.parametrize("targets", [[0.5, 0.0], [0.5, -1.0], [np.nan, 1.0], []])
def test_a_seller_without_a_target_is_refused(targets: list[float]) -> None:
    with pytest.raises(SetupError, match="needs a target above 0"):
        plan_of(Goal(), np.array(targets))
