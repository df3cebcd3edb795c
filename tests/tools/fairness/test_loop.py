from __future__ import annotations

import numpy as np
import pytest

from merchgraph.tools.fairness.bound import dual, fluid, outcomes_of
from merchgraph.tools.fairness.duals import Goal, fairness, leader, plan_of
from merchgraph.tools.fairness.loop import Window, serve, shown_at
from tests.tools.fairness.toy_window import K, equal_targets, even, toy_window, trips_of_toy

SHOPPERS = np.arange(30)


@pytest.mark.parametrize("fair", ["max_min", "shortfall", "even_shortfall", "proportional"])
@pytest.mark.parametrize("size", [0.0, 0.1])
def test_strength_0_is_the_greedy_ranker(fair: str, size: float) -> None:
    window = toy_window()
    trips = trips_of_toy(window, 200)
    plan = plan_of(Goal.model_validate({"fair": fair, "strength": 0}), np.ones(6))
    shown, _ = serve(window, plan, trips, K, size=size)
    worth = window.chance * window.reward
    best = np.argsort(-worth, axis=1, kind="stable")[:, :K]
    np.testing.assert_array_equal(shown, best[trips])


def test_two_equal_sellers_end_equal() -> None:
    one = toy_window(items=20, sellers=1, seed=3)
    twins = Window(
        np.concatenate([one.chance, one.chance * np.float32(0.999)], axis=1),
        np.concatenate([one.reward, one.reward]),
        np.concatenate([one.unit, one.unit]),
        np.repeat([0, 1], 20),
    )
    trips = trips_of_toy(twins, 4_000)
    targets = equal_targets(twins, trips)
    plan = plan_of(Goal(strength=2, horizon=len(trips)), targets)
    shown, _ = serve(twins, plan, trips, 4)
    outcomes, _ = outcomes_of(twins, trips, shown, 2, even(trips))
    assert outcomes[0] == pytest.approx(outcomes[1], rel=0.01)
    free, _ = serve(twins, plan_of(Goal(strength=0), targets), trips, 1)
    assert (twins.seller[free] == 0).all()  # without it the first would have all


@pytest.mark.parametrize("fair", ["max_min", "shortfall", "even_shortfall", "proportional"])
@pytest.mark.parametrize("strength", [0.05, 0.3])
def test_one_pass_comes_within_a_percent_of_the_optimum(fair: str, strength: float) -> None:
    window = toy_window()
    trips = trips_of_toy(window, 20_000)
    targets = equal_targets(window, trips)
    goal = Goal.model_validate({"fair": fair, "strength": strength, "horizon": len(trips)})
    plan = plan_of(goal, targets)
    best = fluid(window, plan, SHOPPERS, np.bincount(trips, minlength=30).astype(float), K)
    assert best.objective <= best.bound + 1e-9
    assert best.bound - best.objective <= 0.005 * best.bound
    for size in (0.0, strength / np.sqrt(len(trips))):
        shown, _ = serve(window, plan, trips, K, size=size)
        outcomes, reward = outcomes_of(window, trips, shown, len(targets), even(trips))
        reached = reward + strength * fairness(plan, outcomes)
        assert reached <= best.bound + 1e-9
        assert reached >= 0.99 * best.bound


def test_max_min_lifts_the_worst_seller() -> None:
    window = toy_window()
    trips = trips_of_toy(window, 5_000)
    targets = equal_targets(window, trips)
    worst = []
    for strength in (0.0, 0.1, 0.5):
        plan = plan_of(Goal(strength=strength, horizon=len(trips)), targets)
        shown, _ = serve(window, plan, trips, K)
        outcomes, _ = outcomes_of(window, trips, shown, len(targets), even(trips))
        worst.append((outcomes / targets).min())
    assert worst[0] + 0.05 < worst[1] < worst[2]


@pytest.mark.parametrize("begin", [0.05, 0.2, 1.0])
def test_a_budget_buys_as_much_as_the_best_strength_of_that_cost(begin: float) -> None:
    window = toy_window()
    trips = trips_of_toy(window, 5_000)
    targets = equal_targets(window, trips)
    goal, weights = Goal(strength=begin, budget=0.03, horizon=len(trips)), even(trips)

    def ends(goal: Goal) -> tuple[float, float]:
        shown, _ = serve(window, plan_of(goal, targets), trips, K)
        outcomes, reward = outcomes_of(window, trips, shown, len(targets), weights)
        return reward, float((outcomes / targets).min())

    (free, _), (reward, worst) = ends(Goal(strength=0)), ends(goal)
    assert 1 - reward / free == pytest.approx(0.03, rel=0.1)
    fixed = [
        ends(goal.model_copy(update={"strength": s, "budget": None})) for s in (0.05, 0.1, 0.2)
    ]
    rewards, shares = zip(*sorted(fixed), strict=True)
    assert worst > 0.97 * np.interp(reward, rewards, shares)


def test_any_dual_value_bounds_the_optimum() -> None:
    window = toy_window()
    plan = plan_of(Goal(strength=0.3), np.full(6, 0.2))
    best = fluid(window, plan, SHOPPERS, np.ones(30), K)
    rng = np.random.default_rng(0)
    for _ in range(20):
        nu = rng.dirichlet(np.ones(7))[:6] * plan.strength
        value, _, _ = dual(window, plan, nu, SHOPPERS, np.full(30, 1 / 30), K)
        assert value >= best.objective - 1e-9


@pytest.mark.parametrize("trips", [1, 5, 8, 501])
def test_subsidies_are_the_mean_of_the_second_half(trips: int) -> None:
    window = toy_window()
    walked = trips_of_toy(window, trips)
    targets = equal_targets(window, walked)
    plan = plan_of(Goal(strength=0.3, horizon=500), targets)
    shown, mean = serve(window, plan, walked, K)
    sums, each = np.zeros(6), np.zeros((trips, 6))
    for t in range(trips):
        leader(plan, sums, float(t), each[t])
        outcomes, _ = outcomes_of(window, walked[t : t + 1], shown[t : t + 1], 6, np.ones(1))
        sums += outcomes / targets
    np.testing.assert_allclose(mean, each[trips // 2 :].mean(axis=0), rtol=1e-5)


def test_a_list_longer_than_the_catalogue_has_empty_places() -> None:
    window = toy_window(items=3, sellers=3)
    plan = plan_of(Goal(strength=0.1), np.ones(3))
    shown = shown_at(window, plan, np.zeros(3), np.arange(2), 5)
    assert (np.sort(shown[:, :3], axis=1) == [0, 1, 2]).all()
    assert (shown[:, 3:] == -1).all()
    outcomes, reward = outcomes_of(window, np.arange(2), shown, 3, np.full(2, 0.5))
    assert outcomes.sum() == pytest.approx(reward)
