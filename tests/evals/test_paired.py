"""McNemar, Friedman, Wilcoxon and Holm: against values worked out by hand, and at their edges."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.evals.metrics.paired import friedman, holm, mcnemar, pairs

P = st.floats(0, 1)


def test_mcnemar_counts_only_the_cases_on_which_the_systems_disagree() -> None:
    first = [True] * 8 + [False] * 2 + [True] * 50 + [False] * 40
    second = [False] * 8 + [True] * 2 + [True] * 50 + [False] * 40
    found = mcnemar(first, second)
    assert (found.first, found.second) == (8, 2)
    # 2 of 10 coins or fewer on one side, and the other side: 2 * (1 + 10 + 45) / 1024
    assert found.p == pytest.approx(2 * 56 / 1024)


def test_systems_that_never_disagree_are_not_told_apart() -> None:
    assert mcnemar([True, False], [True, False]).p == 1
    assert mcnemar([], []).p == 1


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_mcnemar_does_not_care_which_system_comes_first(rows: list[tuple[bool, bool]]) -> None:
    first, second = [a for a, _ in rows], [b for _, b in rows]
    one, other = mcnemar(first, second), mcnemar(second, first)
    assert (one.first, one.second, one.p) == (other.second, other.first, other.p)
    assert 0 < one.p <= 1


def test_holm_is_as_worked_out_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(P, min_size=1, max_size=12))
def test_holm_keeps_the_order_and_lies_between_the_raw_values_and_bonferroni(
    values: list[float],
) -> None:
    adjusted = holm(values)
    for raw, found in zip(values, adjusted, strict=True):
        assert raw <= found <= min(1.0, raw * len(values)) or math.isclose(raw, found)
    order = sorted(range(len(values)), key=lambda place: values[place])
    assert [adjusted[place] for place in order] == sorted(adjusted)


def test_friedman_is_as_worked_out_by_hand() -> None:
    # ranks 1 2 3 in each of 4 cases: 12 / (4 * 3 * 4) * (16 + 64 + 144) - 3 * 4 * 4 = 8; e^-4
    found = friedman([[1, 2, 3], [2, 4, 5], [1, 3, 4], [3, 4, 5]])
    assert found.statistic == pytest.approx(8)
    assert found.p == pytest.approx(math.exp(-4))
    assert (found.ranks, found.n) == ([1, 2, 3], 4)


def test_ratings_that_are_all_tied_show_nothing() -> None:
    found = friedman([[3, 3, 3], [5, 5, 5]])
    assert (found.statistic, found.p, found.ranks) == (0, 1, [2, 2, 2])
    assert [pair.p for pair in pairs([[3, 3, 3], [5, 5, 5]])] == [1, 1, 1]


def test_after_friedman_the_pair_that_differs_is_named() -> None:
    ratings = [[3, 3 + case % 2, 5] for case in range(30)]
    by_columns = {(pair.first, pair.second): pair for pair in pairs(ratings)}
    assert by_columns.keys() == {(0, 1), (0, 2), (1, 2)}
    assert by_columns[0, 1].difference == 0.5
    assert by_columns[0, 2].difference == 2
    assert all(pair.p < 0.001 for pair in by_columns.values())
    noise = pairs([[1, 2], [2, 1], [4, 5], [5, 4]])
    assert [pair.p for pair in noise] == [1]


@pytest.mark.parametrize("ratings", [[], [[1, 2]], [1, 2, 3], [[1, 2, math.nan]]])
def test_what_cannot_be_ranked_is_refused(ratings: list[object]) -> None:
    with pytest.raises(ValueError, match=r"expected|not finite|inhomogeneous"):
        friedman(ratings)  # type: ignore[arg-type]


def test_columns_of_other_cases_and_other_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="2 answers are compared with 1"):
        mcnemar([True, False], [True])
    for wrong in (1.1, -0.1, math.nan):
        with pytest.raises(ValueError, match=r"p-values lie in \[0, 1\]"):
            holm([0.5, wrong])
