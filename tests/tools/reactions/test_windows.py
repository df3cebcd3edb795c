"""Bins and what is told of them, by hand, and their freedom from frame rate and length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.tools.reactions.windows import (
    BIN_S,
    HOP,
    SPAN,
    SUMMARIES,
    WIDE,
    binned,
    filled,
    names,
    scale,
    summaries,
    told_of,
    windows,
)


def test_a_bin_is_the_mean_of_its_frames_and_may_be_empty() -> None:
    times = np.array([0.0, 0.1, 0.3, 0.8, 5.0])
    values = np.array([[1.0, np.nan], [3.0, np.nan], [5.0, 2.0], [7.0, 4.0], [99.0, 99.0]])
    expected = [[2, np.nan], [5, 2], [np.nan, np.nan], [7, 4]]
    np.testing.assert_array_equal(binned(times, values, 0.0, 4), expected)


def test_holes_are_filled_by_the_mean_and_a_feature_that_is_absent_by_zero() -> None:
    bins = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    assert filled(bins).tolist() == [[1, 0], [2, 0], [3, 0]]


def test_summaries_are_those_of_their_names() -> None:
    bins = np.array([[0.0], [0.0], [4.0], [2.0], [0.0], [0.0]])
    told = dict(zip(names(["AU12_r"]), summaries(bins, np.array([0.5])), strict=True))
    assert told["level AU12_r"] == pytest.approx(1.0)
    assert told["rise AU12_r"] == pytest.approx(0.5)
    assert told["spread AU12_r"] == pytest.approx(np.std(bins))
    assert told["range AU12_r"] == 4.0
    assert told["slope AU12_r"] == pytest.approx(np.polyfit(range(6), bins[:, 0], 1)[0])
    assert told["speed AU12_r"] == 4.0
    assert told["top AU12_r"] == 3.0
    assert told["when AU12_r"] == pytest.approx(0.4)
    assert len(told) == len(SUMMARIES)


@given(st.integers(WIDE, 20), st.integers(1, 3))
def test_windows_end_with_the_last_bin(count: int, features: int) -> None:
    bins = np.arange(count * features, dtype=np.float64).reshape(count, features)
    cut = windows(bins)
    assert cut.shape == ((count - WIDE) // HOP + 1, WIDE, features)
    np.testing.assert_array_equal(cut[-1], bins[-WIDE:])
    assert told_of(bins).shape == (len(cut), len(SUMMARIES) * features)


@given(st.sampled_from([8.0, 24.0, 60.0]))
def test_a_wave_is_told_alike_at_every_frame_rate(rate: float) -> None:
    def told(frames: float) -> np.ndarray:
        times = np.arange(0.5 / frames, SPAN * BIN_S, 1 / frames)
        return told_of(binned(times, np.sin(2 * times)[:, None], 0.0, SPAN))

    np.testing.assert_allclose(told(rate), told(120.0), atol=0.21)


def test_what_never_moves_tells_nothing_of_a_person() -> None:
    mean, spread = scale(np.array([[1.0, 2.0, np.nan], [1.0, 4.0, np.nan]]))
    assert mean.tolist() == [1, 3, 0]
    assert spread.tolist() == [np.inf, 1, np.inf]
