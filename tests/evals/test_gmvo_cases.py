from __future__ import annotations

import math

import numpy as np
import pytest

from merchgraph.evals.baselines.gmvo import RANKERS
from merchgraph.evals.metrics.ranking import Judged, many
from merchgraph.evals.suites.gmvo import prepare
from merchgraph.evals.suites.gmvo_cases import METRICS, Cases, K
from merchgraph.runtime.errors import SetupError
from tests.evals.gmvo_toy import params
from tests.tools.gmvo.toy import toy_shop


@pytest.fixture(scope="module")
def cases() -> Cases:
    return prepare(toy_shop(), params(), lambda done, total: None, train=False).cases


def lists(cases: Cases, scores: np.ndarray) -> list[tuple[list[str], list[str]]]:
    """Ranking and targets of each case, by names."""
    pairs = cases.window.pairs
    found = []
    for case in range(len(cases)):
        here = np.flatnonzero(pairs.source == cases.query[case])
        order = here[np.argsort(-scores[here], kind="stable")]
        wanted = pairs.target[cases.place[cases.case == case]]
        found.append(([f"{n}" for n in pairs.target[order]], [f"{n}" for n in wanted]))
    return found


def test_ranking_metrics_are_those_of_ir_measures(cases: Cases) -> None:
    scores = np.random.default_rng(0).random(len(cases.window.pairs))
    told = lists(cases, scores)
    expected = many([Judged(ranking, relevant) for ranking, relevant in told], k=K)
    found = cases.judge(scores)
    for name in (f"NDCG@{K}", f"Hit@{K}"):
        np.testing.assert_allclose(found[name], [row[name] for row in expected], atol=1e-8)
    assert 0 < found[f"NDCG@{K}"].mean() < 1


def test_value_and_price_ratio_are_counted_over_what_is_shown(cases: Cases) -> None:
    prices = cases.window.past.goods.prices
    scores = RANKERS["dearest"](cases.window)
    found = cases.judge(scores)
    for case, (ranking, targets) in enumerate(lists(cases, scores)):
        shown = ranking[:K]
        worth = sum(prices[int(item)] for item in shown if item in targets)
        assert found[f"GMV@{K}"][case] == pytest.approx(worth)
        ratio = np.mean([prices[int(item)] for item in shown]) / prices[cases.query[case]]
        assert found["price ratio"][case] == pytest.approx(ratio)
    assert set(found) == set(METRICS)
    assert (found[f"GMV@{K}"] <= cases.worth + 1e-9).all()


def test_the_expected_value_of_all_candidates_does_not_depend_on_the_ranking(cases: Cases) -> None:
    rng = np.random.default_rng(0)
    one, other = (
        cases.judge(rng.random(len(cases.window.pairs)), k=99)["expected GMV@99"] for _ in range(2)
    )
    np.testing.assert_allclose(one, other)
    chances = np.bincount(cases.window.pairs.source, cases.chances)
    assert chances.max() >= 1 - 1e-9  # an occasion has one target or more


def test_cases_come_after_the_cut_and_candidates_share_the_type(cases: Cases) -> None:
    window = cases.window
    assert (window.past.log.day < window.past.day).all()
    types = window.past.goods.types
    assert (types[window.pairs.source] == types[window.pairs.target]).all()
    assert len(cases) == len(cases.household) == len(cases.worth)
    assert math.isclose(cases.judge(RANKERS["popularity"](window))[f"NDCG@{K}"].max(), 1)


def test_a_cut_with_nothing_after_it_is_told() -> None:
    store = toy_shop()
    with pytest.raises(SetupError, match="No purchase after the cut replaces an item"):
        prepare(store, params(before="2027-01-01"), lambda done, total: None, train=False)


def test_every_ranking_by_hand_orders_all_pairs(cases: Cases) -> None:
    for name, ranker in RANKERS.items():
        scores = ranker(cases.window)
        assert scores.shape == (len(cases.window.pairs),), name
        assert np.isfinite(scores).all(), name
