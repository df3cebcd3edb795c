"""The models: their mathematics, their guard, and that no clip's length reaches them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merchgraph.runtime.errors import DataError
from merchgraph.tools.reactions.crowd import auc
from merchgraph.tools.reactions.cuts import Cut, cut_clips
from merchgraph.tools.reactions.data import Clips
from merchgraph.tools.reactions.gru import Gru
from merchgraph.tools.reactions.linear import fit_linear, platt, pooled
from merchgraph.tools.reactions.made import Made, made
from merchgraph.tools.reactions.model import (
    Fusion,
    Logistic,
    Mil,
    correlations,
    families,
    guarded,
    out_of_fold,
)


@pytest.fixture(scope="module")
def shown() -> Cut:
    return cut_clips(made(Made(people=8, clips=10, expressiveness=3.0, seed=2))[0])


@pytest.fixture(scope="module")
def trapped() -> Cut:
    """Faces that show nothing; errors are filmed longer."""
    return cut_clips(made(Made(people=12, clips=12, expressiveness=0.0, confound=True))[0])


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=9))
def test_pooling_lies_between_mean_and_maximum(logits: list[float]) -> None:
    found = float(pooled(np.array(logits)))
    assert np.mean(logits) - 1e-9 <= found <= max(logits) + 1e-9


def test_one_window_is_its_own_pool() -> None:
    assert pooled(np.array([[3.0], [-800.0]])).tolist() == [3.0, -800.0]


@settings(max_examples=10)
@given(st.integers(0, 99))
def test_the_fit_stands_at_a_minimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    told, error = rng.normal(size=(30, 1, 3, 2)), (np.arange(30) % 3 == 0).astype(float)
    told[error > 0, 0, 0, 0] += 2.0
    keep = np.ones(2, dtype=bool)
    found = fit_linear(told, error, keep, penalty=0.1)

    def loss(weights: np.ndarray, bias: float) -> float:
        logits = pooled(found._replace(weights=weights, bias=bias).logits(told))[:, 0]
        share = np.where(error > 0, 0.5 / error.sum(), 0.5 / (1 - error).sum())
        return float(share @ (np.logaddexp(0, logits) - error * logits) + 0.1 * weights @ weights)

    least = loss(found.weights, found.bias)
    for step in rng.normal(scale=0.05, size=(20, 3)):
        assert loss(found.weights + step[:2], found.bias + step[2]) >= least - 1e-7


def test_a_model_needs_both_labels() -> None:
    with pytest.raises(DataError, match=r"of errors and of correct answers; give both"):
        fit_linear(np.zeros((4, 1, 1, 1)), np.ones(4), np.ones(1, dtype=bool))


def test_the_guard_sees_length_within_labels_and_not_the_label_itself() -> None:
    rng = np.random.default_rng(0)
    error = (np.arange(200) % 2).astype(float)
    frames = 100 + 40 * error + rng.normal(size=200) * 5
    sign, length = error + rng.normal(size=200) * 0.1, frames + rng.normal(size=200)
    table = np.stack([sign, length, rng.normal(size=200)], axis=1)
    assert (correlations(table, frames) > 0.3).tolist() == [True, True, False]
    assert guarded(table, error, {"frames": frames}).tolist() == [True, False, True]
    assert guarded(table, error, {"none": np.zeros(200)}).tolist() == [True, True, True]


@pytest.mark.parametrize("make", [Logistic, Mil, Fusion, Gru])
def test_planted_reactions_are_found_in_people_not_seen(make: type, shown: Cut) -> None:
    held = np.isin(shown.person, ["p06", "p07"])
    p = make().fit(shown[~held]).p(shown[held])
    assert ((p >= 0) & (p <= 1)).all()
    assert auc(p, shown.error[held] > 0) > 0.7
    np.testing.assert_array_equal(make().fit(shown[~held]).p(shown[held]), p)


@pytest.mark.parametrize("make", [Logistic, Mil])
def test_length_fools_no_model_of_ours(make: type, trapped: Cut) -> None:
    assert auc(trapped.clues["frames"], trapped.error > 0) > 0.95
    logits = out_of_fold(make, trapped).mean(1)
    assert 0.35 < auc(logits, trapped.error > 0) < 0.65


def test_platt_makes_logits_probabilities() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=4_000)
    error = (rng.random(4_000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))).astype(float)
    slope, bias = platt(3 * logits, error)
    assert slope == pytest.approx(0.5 / 3, abs=0.03)
    assert bias == pytest.approx(-1, abs=0.1)
    assert platt(-logits, error)[0] == 0.0


def test_each_feature_has_one_place_in_the_face() -> None:
    found = families(["AU12_r", "gaze_angle_x", "AU02_r", "AU26_r", "mouthSmileLeft", "AU06_r"])
    assert found == [
        ("AU12_r", "mouthSmileLeft", "AU06_r"), ("AU02_r",), ("gaze_angle_x",), ("AU26_r",),
    ]  # fmt: skip


def test_one_person_cannot_be_held_out() -> None:
    cut = cut_clips(made(Made(people=1, clips=6))[0])
    with pytest.raises(DataError, match="give clips of at least 2"):
        out_of_fold(Mil, cut)


def test_normalising_a_person_takes_away_their_own_scale() -> None:
    clips, _ = made(Made(people=2, clips=6))
    moved = tuple(
        replace(c, values=7 * c.values + 3) if c.person == "p01" else c for c in clips.clips
    )
    before, after = cut_clips(clips), cut_clips(Clips(clips.features, moved))
    np.testing.assert_allclose(after.told, before.told, atol=1e-9)


def test_a_clock_is_no_feature_of_a_face() -> None:
    clips, _ = made(Made(people=2, clips=6))
    clocked = tuple(
        replace(c, values=np.column_stack([c.values, 30 * c.times + 8])) for c in clips.clips
    )
    with pytest.raises(DataError, match=r"The feature 'frame_number' is a clock"):
        cut_clips(Clips((*clips.features, "frame_number"), clocked))


def test_clips_must_be_of_both_labels_and_long_enough() -> None:
    clips, _ = made(Made(people=2, clips=6, errors=0.0))
    with pytest.raises(DataError, match="No clip is labelled 'error'"):
        cut_clips(clips)
    clips, _ = made(Made(people=2, clips=6))
    with pytest.raises(DataError, match=r"lasts \d.\d\d s, but a span is 10 s"):
        cut_clips(clips, span=40)
