"""Signals, weights, neighbours and places."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given as every
from hypothesis import strategies as st
from scipy.optimize import check_grad

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.complement import blend
from merchgraph.tools.complement.blend import PRIOR, SIGNALS, Rivals, Signals, weigh
from merchgraph.tools.complement.data import read
from merchgraph.tools.complement.holdout import Case, Placed, cases, placed
from merchgraph.tools.complement.model import Model
from merchgraph.tools.contract import Past
from merchgraph.tools.copurchase import CoPurchase
from merchgraph.tools.data.splits import split_at
from merchgraph.tools.neighbours import nearest
from tests.tools.complement.planted import FIRST, QUICK, given

BASKETS = [["tv", "mount", "cable"], ["pan", "oil"], ["tea", "jam", "bun", "tv"], ["jam", "tea"]]


@pytest.mark.parametrize("name", ["_surprise", "_lost_ndcg"])
def test_slopes_are_those_of_the_losses(name: str) -> None:
    rng = np.random.default_rng(0)
    rivals = Rivals(rng.normal(size=(6, 30)), rng.uniform(1, 9, 30), np.array([0, 10, 12]))
    loss = getattr(blend, name)
    for weights in rng.normal(size=(5, 6)):
        off = check_grad(lambda w: loss(w, rivals)[0], lambda w: loss(w, rivals)[1], weights)
        assert off < 1e-5


def signals(own: float = 0.0) -> Signals:
    made = given(BASKETS * 9)
    log = read(made.items, made.events, QUICK)
    return Signals(
        Model.fresh(log, QUICK),
        nearest(log.rows, log.ends, len(log.items)),
        np.full(len(log.items), own),
    )


def test_weights_follow_the_signal_that_tells() -> None:
    asked = [Case([0], {n % 7 + 1: 3}, n % 7 + 1) for n in range(60)]
    told, fooled = (weigh(signals(), cases) for cases in (
        asked, [case._replace(own={case.target % 7 + 1: 3}) for case in asked]
    ))  # fmt: skip
    own = SIGNALS.index("own")
    assert told[own] > 0 > fooled[own]
    np.testing.assert_array_equal(weigh(signals(), []), PRIOR)


def test_a_case_that_says_nothing_leaves_popularity() -> None:
    found = signals(own=2.0).of(Case([], {}))
    assert not found[:-1].any()
    assert (found[-1] == 2).all()


def test_the_nearest_are_those_of_co_purchase() -> None:
    made = given(BASKETS * 3 + [["bun", "oil"]])
    log = read(made.items, made.events, QUICK)
    counted = CoPurchase().fit(made.items, made.events)
    for item in log.items:
        session = [log.items.index(item), log.items.index("tea")]
        expected = counted.scores([Past(session=[item, "tea"])])[0]
        np.testing.assert_allclose(
            nearest(log.rows, log.ends, len(log.items)).sums(session), expected, atol=1e-6
        )
    few = nearest(log.rows, log.ends, len(log.items), kept=2)
    assert few.items.shape == (8, 2)
    best = counted.neighbours("tea", 2)
    assert {log.items[n] for n in few.items[log.items.index("tea")]} == set(best.items)


@every(st.lists(st.integers(-2, 2), min_size=4, max_size=12), st.data())
def test_a_place_is_the_mean_rank_among_the_others(row: list[int], data: Any) -> None:
    places = data.draw(st.permutations(range(len(row))))
    target, session = places[0], places[1:3]
    others = [row[n] for n in places[3:]]
    found = placed(np.array([row], dtype=float), [Case(session, {}, target)])
    above = sum(x > row[target] for x in others)
    equal = sum(x == row[target] for x in others)
    assert found.rank[0] == 1 + above + equal / 2
    assert found.auc[0] == pytest.approx(1 - (above + equal / 2) / len(others))


def test_cases_are_later_baskets_and_count_earlier_purchases_only() -> None:
    made = given([["tea", "jam"], ["tea", "bun"]] + [["tea", "jam", "bun"]] * 4, users=1)
    early, later = split_at(made.events, FIRST + timedelta(hours=2))
    log = read(made.items, early, QUICK)
    found = cases(log, early, later)
    assert len(found) == 4
    for case in found:
        assert {log.items[n] for n in (*case.session, case.target)} == {"tea", "jam", "bun"}
        assert {log.items[n]: k for n, k in case.own.items()} == {"tea": 2, "jam": 1, "bun": 1}
        assert log.users[case.user] == "u0"
    assert len(cases(log, early, later, most=2)) == 2
    assert cases(log, early, later, seed=1) != found


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_has_no_place(wrong: float) -> None:
    scores = np.array([[3.0, 2, 1], [1, wrong, 2]])
    with pytest.raises(SetupError, match=r"NaN or infinite .* diverged; train again at a lower"):
        placed(scores, [Case([], {}, 0)] * 2)
    assert placed(scores[:1], [Case([], {}, 0)]).rank.tolist() == [1]


def test_ranks_up_to_ten_gain() -> None:
    found = Placed(np.array([1.0, 3, 10, 10.5, 11]), np.zeros(5))
    np.testing.assert_allclose(found.ndcg, [1, 0.5, 1 / np.log2(11), 0, 0])
    assert found.hit.tolist() == [1, 1, 1, 0, 0]
