"""Metrics against their formulas, intervals against known cases; a missing package is named."""

import math
import sys
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.evals.metrics.bootstrap import Estimate, difference, estimates, mean
from merchgraph.evals.metrics.ranking import Judged, auc, many, ranking_metrics
from merchgraph.runtime.errors import SetupError

ITEMS = [f"item {number}" for number in range(12)]
rankings = st.permutations(ITEMS).flatmap(
    lambda order: st.integers(0, len(order)).map(lambda size: order[:size])
)
relevance = st.sets(st.sampled_from(ITEMS), min_size=1)


def by_hand(ranking: list[str], relevant: set[str], k: int) -> dict[str, float]:
    places = [place for place, item in enumerate(ranking, start=1) if item in relevant]
    gain = sum(1 / math.log2(place + 1) for place in places if place <= k)
    best = sum(1 / math.log2(place + 1) for place in range(1, min(k, len(relevant)) + 1))
    return {
        f"NDCG@{k}": gain / best,
        f"Hit@{k}": float(any(place <= k for place in places)),
        "MRR": 1 / places[0] if places else 0.0,
    }


@given(st.lists(st.tuples(rankings, relevance), min_size=1, max_size=6), st.integers(1, 12))
def test_ranking_metrics_are_what_their_formulas_say(
    cases: list[tuple[list[str], set[str]]], k: int
) -> None:
    found = many([Judged(*case) for case in cases], k=k)
    assert found == [pytest.approx(by_hand(*case, k), abs=1e-8) for case in cases]
    assert found == [ranking_metrics(*case, k=k) for case in cases]


def test_a_known_ranking_has_known_values() -> None:
    found = ranking_metrics(["a", "b", "c"], ["b"])
    assert found == {"NDCG@5": 0.630929754, "Hit@5": 1.0, "MRR": 0.5}


def test_an_empty_ranking_counts_as_the_worst() -> None:
    assert ranking_metrics([], ["b"]) == {"NDCG@5": 0.0, "Hit@5": 0.0, "MRR": 0.0}
    assert many([]) == []


def test_without_a_relevant_item_the_metrics_are_undefined_for_that_case_alone() -> None:
    undefined, defined = many([Judged(["a"], []), Judged(["a"], ["a"])])
    assert all(math.isnan(value) for value in undefined.values())
    assert defined == {"NDCG@5": 1.0, "Hit@5": 1.0, "MRR": 1.0}


def test_a_ranking_with_an_item_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        ranking_metrics(["a", "b", "a"], ["b"])
    with pytest.raises(ValueError, match="at least 1"):
        ranking_metrics(["a"], ["a"], k=0)


@given(st.dictionaries(st.sampled_from(ITEMS), st.integers(0, 4).map(float), min_size=2), relevance)
def test_auc_is_the_share_of_pairs_in_the_right_order(
    scores: dict[str, float], relevant: set[str]
) -> None:
    above = [value for item, value in scores.items() if item in relevant]
    below = [value for item, value in scores.items() if item not in relevant]
    pairs = [(a > b) + 0.5 * (a == b) for a in above for b in below]
    found = auc(scores, relevant)
    assert found == pytest.approx(np.mean(pairs), abs=1e-8) if pairs else math.isnan(found)


def test_auc_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(1)
    for _ in range(20):
        labels = rng.permutation([1] * 3 + [0] * 17)
        scores = {f"item {place}": float(score) for place, score in enumerate(rng.normal(size=20))}
        relevant = {f"item {place}" for place in np.flatnonzero(labels)}
        expected = roc_auc_score(labels, list(scores.values()))
        assert auc(scores, relevant) == pytest.approx(expected, abs=1e-8)


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        auc({"a": math.nan, "b": 1.0}, ["a"])


def test_an_interval_holds_the_mean_and_narrows_with_n() -> None:
    values = np.random.default_rng(3).random(1600)
    few, many_values = mean(list(values[:100])), mean(list(values))
    assert few is not None
    assert many_values is not None
    assert few.low < few.mean < few.high
    assert (few.n, many_values.n) == (100, 1600)
    narrower = (few.high - few.low) / (many_values.high - many_values.low)
    assert narrower == pytest.approx(4, rel=0.15)


def test_the_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    values = np.random.default_rng(4).random(1000)
    found = mean(list(values))
    assert found is not None
    half = 1.96 * values.std(ddof=1) / math.sqrt(1000)
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.05 * half
    )


def test_equal_values_are_their_own_interval() -> None:
    assert mean([0.0] * 30) == Estimate(mean=0.0, low=0.0, high=0.0, n=30)
    assert mean([1.0]) == Estimate(mean=1.0, low=1.0, high=1.0, n=1)
    assert mean([]) is None


def test_cases_without_a_value_are_left_out_and_n_says_so() -> None:
    nan = math.nan
    full, holes, empty = estimates([[1.0, 0.0, 1.0], [1.0, nan, 0.0], [nan] * 3])
    assert full is not None
    assert holes is not None
    assert (full.n, full.mean) == (3, 0.666666667)
    assert (holes.n, holes.mean) == (2, 0.5)
    assert empty is None


def test_a_column_has_the_same_interval_alone_and_among_others() -> None:
    table = np.random.default_rng(5).random((4, 60))
    assert estimates(table) == [mean(list(row)) for row in table]


def test_a_paired_difference_is_narrower_than_the_means_it_compares() -> None:
    rng = np.random.default_rng(6)
    reference = (rng.random(300) < 0.4).astype(float)
    lucky = np.where(rng.random(300) < 0.1, 1.0, reference)
    found, alone = difference(list(lucky), list(reference)), mean(list(reference))
    assert found is not None
    assert alone is not None
    assert found.verdict == "better"
    assert found.high - found.low < 0.7 * (alone.high - alone.low)
    with pytest.raises(ValueError, match="2 values are compared with 1"):
        difference([1.0, 0.0], [1.0])


@pytest.mark.parametrize(
    ("low", "high", "n", "verdict"),
    [
        (0.01, 0.2, 50, "better"),
        (-0.2, -0.01, 50, "worse"),
        (-0.01, 0.2, 50, "unclear"),
        (0.0, 0.2, 50, "unclear"),
        (0.01, 0.2, 19, "unclear"),
    ],
)
def test_nothing_is_called_better_that_is_not_shown(
    low: float, high: float, n: int, verdict: str
) -> None:
    assert Estimate(mean=(low + high) / 2, low=low, high=high, n=n).verdict == verdict


def test_bad_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="infinite"):
        mean([1.0, math.inf])
    with pytest.raises(ValueError, match="dimensions"):
        estimates([1.0, 2.0])


def test_a_whole_table_takes_no_time_to_speak_of() -> None:
    table = np.random.default_rng(7).random((96, 2000))
    estimates(table[:1, :10])
    started = perf_counter()
    assert all(found is not None for found in estimates(table))
    assert perf_counter() - started < 10


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("ir_measures", lambda: ranking_metrics(["a"], ["a"])),
        ("scipy.stats", lambda: auc({"a": 1.0, "b": 0.0}, ["a"])),
        ("scipy.stats", lambda: mean([0.0, 1.0])),
    ],
)
def test_a_missing_package_is_named_with_its_remedy(
    package: str, use: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert callable(use)
    with pytest.raises(SetupError, match=rf"{package.split('.')[0]}.*merchgraph\[bench\]"):
        use()
