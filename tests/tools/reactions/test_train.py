"""Training a detector: kept with its card, on what it will see, refused where it cannot learn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.reactions.config import Config
from merchgraph.tools.reactions.data import Clip, Clips
from merchgraph.tools.reactions.linear import pooled, probability
from merchgraph.tools.reactions.made import Made, made
from merchgraph.tools.reactions.stream import Detector
from merchgraph.tools.reactions.train import BETWEEN_S, fit_detector, general, train, watched
from merchgraph.tools.reactions.watch import Watch
from merchgraph.tools.reactions.windows import SPAN


@pytest.fixture(scope="module")
def clips() -> Clips:
    return made(Made(people=4, clips=6, expressiveness=3.0))[0]


def test_a_detector_is_trained_kept_and_described(clips: Clips, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    kept = train(
        clips, Config(), tmp_path, progress=lambda done, total, _: told.append((done, total))
    )
    again = Detector.load(tmp_path).learnt
    np.testing.assert_array_equal(again.linear.weights, kept.learnt.linear.weights)
    assert again.face.features == clips.features
    assert told == [(0, 1), (1, 1)]
    card = (tmp_path / "README.md").read_text()
    assert "24 clips of 4 people, 12 of them errors" in card
    assert "trained anew" in card


def test_training_sees_the_bins_that_a_detector_sees(clips: Clips) -> None:
    face = general(clips)
    cut = watched(clips, face)
    person, begin, watch = clips.people[0], 0.0, Watch(face)
    for n, clip in enumerate(clips.of(person).clips):
        watch.reset()
        seen = []
        for time, values in zip(clip.times, clip.values, strict=True):
            if watch.add(begin + float(time), values):
                seen.append(watch.bins[-1])
        begin += clip.seconds + BETWEEN_S
        first = np.stack(seen[:SPAN])
        there = ~np.isnan(first)
        trained = cut.bins[n, 0, : len(first)]
        np.testing.assert_allclose(trained[there], first[there], atol=1e-12)


def test_a_detector_may_be_kept_to_some_features(clips: Clips, tmp_path: Path) -> None:
    train(clips, Config(features=("AU12_r", "AU06_r")), tmp_path)
    assert Detector.load(tmp_path).learnt.face.features == ("AU12_r", "AU06_r")
    with pytest.raises(SetupError, match=r"There is no feature 'AU99_r'; there is AU06_r, AU12_r"):
        train(clips, Config(features=("AU99_r",)), tmp_path)


def test_p_of_a_single_span_is_as_often_right_as_it_says() -> None:
    # a reaction stands in some of a clip's spans: their mean is surer than any of them
    told = Made(people=24, clips=16, expressiveness=1.0)
    detector = fit_detector(made(told)[0])
    others = watched(made(told.model_copy(update={"seed": 1}))[0], detector.learnt.face)
    logits = pooled(detector.learnt.linear.logits(others.told))
    p = probability(detector.learnt.slope * logits + detector.learnt.bias).ravel()
    error = np.repeat(others.error, logits.shape[1])
    for low, high in ((0.0, 0.35), (0.35, 0.65), (0.65, 1.0)):
        here = (p >= low) & (p < high)
        assert here.sum() > 50
        assert error[here].mean() == pytest.approx(p[here].mean(), abs=0.07)


def test_people_without_a_feature_do_not_count_in_its_spread(clips: Clips) -> None:
    def blind(clip: Clip) -> Clip:
        values = clip.values.copy()
        values[:, 0] = np.nan
        return replace(clip, values=values)

    half = tuple(blind(c) if c.person in ("p00", "p01") else c for c in clips.clips)
    found = general(Clips(clips.features, half))
    seen = general(clips.of("p02", "p03"))
    assert found.mean[0] == pytest.approx(seen.mean[0])
    assert found.spread[0] == pytest.approx(seen.spread[0])
    np.testing.assert_allclose(found.spread[1:], general(clips).spread[1:])
    none = Clips(clips.features, tuple(blind(clip) for clip in clips.clips))
    with pytest.raises(DataError, match="No clip has a value of 'AU06_r'"):
        general(none)


def test_nothing_is_learnt_from_one_person_or_one_label(clips: Clips, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 2"):
        train(clips.of("p00"), Config(), tmp_path)
    errors = Clips(clips.features, tuple(c for c in clips.clips if c.label == "error"))
    with pytest.raises(DataError, match="No clip is labelled 'correct'"):
        train(errors, Config(), tmp_path)
    assert list(tmp_path.iterdir()) == []
