from __future__ import annotations

import math
import statistics
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.graphs.fusion import TOOL_SIGNALS, TRAINED_SIGNALS, Signal, fuse, normalised

VALUES = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(values=VALUES)
def test_normalised_values_have_mean_0_and_spread_1_or_say_nothing(
    values: list[float | None],
) -> None:
    made = normalised(values)
    known = [place for place, value in zip(made, values, strict=True) if value is not None]
    assert len(made) == len(values)
    assert all(place == 0 for place, value in zip(made, values, strict=True) if value is None)
    if any(known):
        assert statistics.fmean(known) == pytest.approx(0, abs=1e-6)
        assert statistics.pstdev(known) == pytest.approx(1, abs=1e-6)


@given(values=VALUES, scale=st.floats(0.01, 100), shift=st.floats(-100, 100))
def test_scale_and_zero_of_a_signal_do_not_matter(
    values: list[float | None], scale: float, shift: float
) -> None:
    steps = [None if value is None else round(value) for value in values]
    moved = [None if value is None else value * scale + shift for value in steps]
    assert normalised(moved) == pytest.approx(normalised(steps), abs=1e-4)


@pytest.mark.parametrize("values", [[0.1 + 0.2, 0.3], [5.0], [7.0] * 9, [None, None], [1e9] * 3])
def test_a_signal_that_says_the_same_of_all_adds_nothing(values: list[float | None]) -> None:
    assert normalised(values) == [0.0] * len(values)


def test_the_sum_of_what_signals_add_makes_the_order() -> None:
    signals: dict[Signal, list[float | None]] = {"rank": [1, 1 / 2, 1 / 3], "nli": [-2.0, 0.0, 2.0]}
    assert fuse("abc", signals, {"rank": 1.0}).ranking == ["a", "b", "c"]
    assert fuse("abc", signals, {"nli": 1.0}).ranking == ["c", "b", "a"]
    assert fuse("abc", signals, {"nli": -0.5}).ranking == ["a", "b", "c"]
    both = fuse("abc", signals, {"rank": 0.2, "nli": 1.0})
    assert both.ranking == ["c", "b", "a"]
    sums = [math.fsum(s.adds for s in both.shares[item].values()) for item in both.ranking]
    assert sums == sorted(sums, reverse=True)
    assert both.shares["c"]["nli"].value == 2.0
    assert both.shares["c"]["nli"].adds == pytest.approx(math.sqrt(1.5))


def test_equal_sums_stay_in_the_given_order_and_noise_makes_none() -> None:
    even: dict[Signal, list[float | None]] = {
        "nli": [0.1 + 0.2, 0.3, 0.3, 1.0],
        "popularity": [1.0, 1.0, 1.0, 1.0],
    }
    weights: dict[Signal, float] = {"nli": 1.0, "popularity": 3.0}
    assert fuse("dcba", even, weights).ranking == ["a", "d", "c", "b"]


def test_a_weight_of_0_shows_a_signal_and_changes_nothing() -> None:
    made = fuse("ab", {"nli": [0.0, 1.0]}, {"nli": 0.0})
    assert made.ranking == ["a", "b"]
    assert [made.shares[item]["nli"].value for item in "ab"] == [0.0, 1.0]
    assert {made.shares[item]["nli"].adds for item in "ab"} == {0.0}


def test_an_unknown_value_counts_as_the_mean() -> None:
    made = fuse("abc", {"nli": [-1.0, None, 1.0]}, {"nli": 1.0})
    assert made.ranking == ["c", "b", "a"]
    assert made.shares["b"]["nli"].value is None
    assert made.shares["b"]["nli"].adds == 0.0


@given(data=st.data(), size=st.integers(1, 20))
def test_whatever_the_signals_a_permutation_comes_out(data: st.DataObject, size: int) -> None:
    items = [f"i{n}" for n in range(size)]
    values = st.lists(st.none() | st.floats(-9, 9), min_size=size, max_size=size)
    names: tuple[Signal, ...] = ("rank", "nli", "frequency")
    signals = {name: data.draw(values) for name in names}
    weights = {name: data.draw(st.floats(-9, 9)) for name in names}
    made = fuse(items, signals, weights)
    assert sorted(made.ranking) == sorted(items)
    assert made == fuse(items, signals, weights)
    assert all(math.isfinite(s.adds) for row in made.shares.values() for s in row.values())


def test_the_signals_are_those_of_the_agents_and_of_the_tools() -> None:
    assert {"rank", "nli"} | TOOL_SIGNALS | TRAINED_SIGNALS == {name for name in get_args(Signal)}
