from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from merchgraph.evals.baselines import fairness_deal
from merchgraph.evals.baselines.fairness import Quotas, p_mmf, worst_first
from merchgraph.evals.baselines.fairness_deal import fair_rec, fair_rec_plus
from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.report import Report
from merchgraph.evals.suites import fairness, fairness_learned, fairness_rivals
from merchgraph.evals.suites.fairness_figure import figure, svg
from merchgraph.evals.suites.fairness_ground import Ground, Steps, afford
from merchgraph.evals.suites.fairness_measures import gini, jain, reordered, replayed
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.fairness.bound import outcomes_of
from merchgraph.tools.fairness.data import Floats, Trips, Whole
from merchgraph.tools.fairness.duals import Goal, plan_of
from merchgraph.tools.fairness.learn import Belief, cold
from merchgraph.tools.fairness.loop import Shown, Window, serve
from merchgraph.tools.fairness.train import Config
from tests.tools.fairness.market_toy import SHOPPERS, market_shop
from tests.tools.fairness.toy_window import K, equal_targets, even, toy_window, trips_of_toy

PARAMS = fairness.Params(
    weeks=2,
    least_item=3,
    least_seller=100,
    strengths=(0.3,),
    seeds=2,
    learned_seeds=1,
    longest=1_000,
)


@pytest.fixture(scope="module")
def report() -> Report:
    def small(least_seller: int, least_item: int) -> Config:
        return Config(
            least_seller=least_seller, least_item=least_item, places=4, trips=100, others=10
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fairness, "Config", small)
        patch.setattr(fairness_rivals, "RATES", (1e-3, 1e-2))
        patch.setattr(fairness_rivals, "BATCHES", (256,))
        return fairness.run(PARAMS, store=market_shop())


def test_the_report_has_every_table(report: Report) -> None:
    titles = [table.title for table in report.tables]
    assert titles == ["What fairness costs", "Against the fluid optimum",
                      "Steps, chosen on validation", "Rivals, chosen on validation",
                      "On the real baskets", "Regret", "Learned outcomes"]  # fmt: skip
    assert {row.kind for row in report.rows} == {"baseline", "method", "ablation"}
    assert all(row.metrics["GMV"].n == 2 for row in report.rows)
    assert "max-min 0.3" in report.markdown()
    assert "Regret" in report.html()
    assert json.loads(report.model_dump_json())["suite"] == "fairness"


def test_no_list_earns_more_than_greedy_or_beats_the_bound(report: Report) -> None:
    greedy = report.rows[0].metrics["GMV"].mean
    assert all(row.metrics["GMV"].mean <= greedy + 1e-6 for row in report.rows)
    bound = float(str(report.tables[1].rows[0][2]))
    for row in report.rows:
        reached = row.metrics["GMV"].mean + 0.3 * min(1.0, row.metrics["min share"].mean)
        assert reached <= bound + 1e-3


def test_the_weeks_before_choose_the_largest_strength_that_costs_little(report: Report) -> None:
    ground, _, _ = fairness.grounds(market_shop(), PARAMS, lambda done, total: None)
    steps = Steps(pace=1.0, keep=0.5, size=0.1, tried=[("pace 1", 1.0)])
    found = afford(ground, steps, (0.05, 3.0, 0.4), 2.0)
    assert [strength for strength, _ in found.losses] == [0.05, 3.0, 0.4]
    losses = dict(found.losses)
    assert losses[0.05] < losses[0.4] < losses[3.0]
    middle = losses[0.4] + 1e-6
    assert afford(ground, steps, (0.05, 3.0, 0.4), middle).strength == 0.4
    assert afford(ground, steps, (0.05, 3.0, 0.4), losses[0.05] - 1e-6).strength == 0
    (table,) = (table for table in report.tables if table.title == "Steps, chosen on validation")
    assert table.rows[-1][0] == "max-min 0.3"
    assert isinstance(table.rows[-1][2], float)
    assert any("weeks before chose is that of" in note for note in report.notes)


def test_real_baskets_have_intervals_over_shoppers(report: Report) -> None:
    (table,) = (table for table in report.tables if table.title == "On the real baskets")
    assert table.about is not None
    assert "over shoppers" in table.about
    found = table.rows[0][1]
    assert isinstance(found, Estimate)
    assert found.n <= SHOPPERS


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"weeks": 12}, "too late for 12 tested weeks .* test fewer .--set weeks="),
        ({"least_item": 10_000}, "has 10000 purchases .*--set least_item=.*--set weeks="),
    ],
)
def test_a_log_too_short_is_told_with_the_setting_that_helps(
    params: dict[str, int], told: str
) -> None:
    with pytest.raises(SetupError, match=told):
        fairness.run(PARAMS.model_copy(update=params), store=market_shop())


def test_a_cold_ranker_knows_nothing_of_the_tested_baskets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ground, steps, _ = fairness.grounds(market_shop(), PARAMS, lambda done, total: None)
    begun: list[float] = []

    def noted(items: float, catalogue: int) -> Belief:
        begun.append(items)
        return cold(items, catalogue)

    monkeypatch.setattr(fairness_learned, "cold", noted)
    starts = np.arange(len(ground.trips.starts))  # one item a trip, which is not what was before
    tested = ground.trips._replace(starts=starts, bought=ground.trips.bought[: starts[-1]])
    fairness_learned.learned(ground._replace(trips=tested), steps, 1, lambda done, total: None)
    habits = ground.market.habits
    assert begun
    assert begun == pytest.approx(
        [float((habits.size * habits.trips).sum() / habits.trips.sum())] * 8
    )


def test_the_figure_has_a_point_for_each_fair_list(report: Report) -> None:
    drawn = json.dumps(figure(report))
    for family, label in (("max-min", "0.3"), ("worst first", "0.2"), ("FairRec", "0.02")):
        assert f'"family": "{family}", "label": "{label}"' in drawn
    assert svg(report).startswith("<svg")


def test_gini_and_jain_know_their_ends() -> None:
    assert gini(np.ones(4)) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 1.0])) == pytest.approx(0.75)
    assert jain(np.ones(4)) == pytest.approx(1)
    assert jain(np.array([0, 0, 0, 1.0])) == pytest.approx(0.25)
    assert gini(np.zeros(3)) == 0
    assert jain(np.zeros(3)) == 1


def test_replaying_finds_what_was_really_bought() -> None:
    trips = Trips(np.array([0, 1]), np.array([0, 2, 3]), np.array([4, 1, 2]))
    window = toy_window()
    shown = np.array([[1, 2, 4], [1, 2, -1]], dtype=np.int32)
    earned, hit = replayed(window, trips, shown)
    assert hit.tolist() == [[True, False, True], [False, True, False]]
    assert earned == pytest.approx([window.reward[[1, 4]].sum(), window.reward[2]])
    turned = reordered(trips, np.array([1, 0]))
    assert turned.bought.tolist() == [2, 4, 1]
    assert replayed(window, turned, shown[::-1])[0] == pytest.approx(earned[::-1])


def test_baselines_without_their_wish_are_greedy() -> None:
    window = toy_window()
    trips = trips_of_toy(window, 300)
    greedy, _ = serve(window, plan_of(Goal(strength=0), np.ones(6)), trips, K)
    assert (worst_first(window, plan_of(Goal(strength=0), np.ones(6)), trips, K) == greedy).all()
    assert (fair_rec(window, 6, trips, K, 0.0) == greedy).all()


def test_fair_rec_keeps_its_promise_and_repeats_no_item() -> None:
    window = toy_window()
    trips = trips_of_toy(window, 300)
    shown = fair_rec(window, 6, trips, K, 0.5)
    given = np.bincount(window.seller[shown.ravel()], minlength=6)
    assert given.min() >= int(0.5 * 300 * K / 6)
    assert all(len(set(row)) == K for row in shown.tolist())


def test_fair_rec_plus_keeps_its_promise_and_deals_one_round_as_fair_rec_does() -> None:
    window = toy_window()
    trips = trips_of_toy(window, 60)
    shown = fair_rec_plus(window, 6, trips, K, 1.0)
    assert np.bincount(window.seller[shown.ravel()], minlength=6).min() >= 60 * K // 6
    assert all(len(set(row)) == K for row in shown.tolist())
    assert (shown != fair_rec(window, 6, trips, K, 1.0)).any()
    once = fair_rec(window, 6, trips, K, 1 / K)
    assert (fair_rec_plus(window, 6, trips, K, 1 / K) == once).all()


def test_trades_leave_no_cycle_of_envy_and_nobody_worse_off() -> None:
    window, rng = toy_window(), np.random.default_rng(3)
    trips = trips_of_toy(window, 80)
    shown = np.stack([rng.permutation(50)[:3] for _ in trips]).astype(np.int32)
    shown[rng.random(80) < 0.3, 2] = -1  # the last round was not for all
    gets, order = fairness_deal._trades(window, trips, shown)
    assert sorted(gets) == sorted(order) == list(range(80))
    before, after = (_worth(window, trips, dealt) for dealt in (shown, shown[gets]))
    assert _has_cycle(before > np.diag(before)[:, None])
    assert (np.diag(after) >= np.diag(before)).all()
    envies = (after > np.diag(after)[:, None])[np.ix_(order, order)]
    assert envies.any()
    assert not np.tril(envies).any()  # whoever is envied comes after those who envy


def _worth(window: Window, trips: Whole, shown: Shown) -> Floats:
    """(T, T) — what the items of each trip, a column, would earn with the shopper of another, a row."""
    chances = (window.chance * window.reward).astype(np.float64)
    return np.array([[chances[t, row[row >= 0]].sum() for row in shown] for t in trips])


def _has_cycle(edges: NDArray[np.bool_]) -> bool:
    """Whether some are left when all who point at nobody that is left have gone."""
    there = np.ones(len(edges), bool)
    for _ in range(len(edges)):
        there &= (edges & there).any(axis=1)
    return bool(there.any())


def test_the_weeks_before_choose_the_settings_of_rivals(report: Report) -> None:
    (table,) = (table for table in report.tables if table.title == fairness_rivals.TITLE)
    families = [str(row[0]).rpartition(" ")[0] for row in table.rows]
    chosen = [name for name, row in zip(families, table.rows, strict=True) if row[-1] == "yes"]
    assert chosen == ["worst first", "P-MMF", "FairRec", "FairRec+"]
    assert families.count("P-MMF") == 4
    assert {str(row[0]) for row in table.rows} < {row.system for row in report.rows}
    assert any(note.startswith("Of the rivals, the weeks before chose") for note in report.notes)


def test_a_rival_is_the_fairest_that_keeps_to_the_budget_or_else_the_best() -> None:
    def lists(ground: Ground, order: Whole) -> Shown:
        raise AssertionError("nothing is played")

    cheap, fair, best = (
        fairness_rivals.Rival("P-MMF", strength, "", lists, lost, share, objective)
        for strength, lost, share, objective in (
            (0.1, 0.2, 0.1, 2.5), (0.2, 0.9, 0.2, 2.4), (0.3, 3.0, 0.3, 2.6),
        )
    )  # fmt: skip
    assert fairness_rivals._chosen([cheap, fair, best], 1.0) == fair.name
    assert fairness_rivals._chosen([cheap, fair, best], 0.1) == best.name


def test_worst_first_and_p_mmf_lift_the_worst_seller() -> None:
    window = toy_window()
    trips = trips_of_toy(window, 3_000)
    targets = equal_targets(window, trips)

    def worst(shown: np.ndarray[tuple[int, ...], np.dtype[np.int32]]) -> float:
        outcomes, _ = outcomes_of(window, trips, shown, 6, even(trips))
        return float((outcomes / targets).min())

    base = worst(serve(window, plan_of(Goal(strength=0), targets), trips, K)[0])
    assert worst(worst_first(window, plan_of(Goal(strength=0.3), targets), trips, K)) > base + 0.05
    sizes = np.full(6, 1 / 6)
    assert worst(p_mmf(window, sizes, trips, K, Quotas(strength=1.0, rate=0.05))) > base + 0.05
