"""Made-up people: what is planted is there, and nothing else goes with an error."""

import numpy as np
import pytest

from merchgraph.tools.reactions.crowd import auc
from merchgraph.tools.reactions.made import FEATURES, Made, made


def test_half_of_the_answers_are_errors_with_a_reaction_inside_the_clip() -> None:
    clips, planted = made(Made(people=3, clips=8))
    assert clips.features == FEATURES
    assert len(clips.clips) == 24
    for person in clips.people:
        labels = [clip.label for clip in clips.of(person).clips]
        assert sorted(labels) == ["correct"] * 4 + ["error"] * 4
    for clip in clips.clips:
        reaction = planted[clip.name]
        assert (reaction is not None) == (clip.label == "error")
        if reaction:
            assert 0.6 <= reaction.begin < reaction.end <= clip.seconds + 1e-9
            assert 1.0 <= reaction.end - reaction.begin <= 2.0


def test_a_reaction_lifts_the_smile_while_it_lasts() -> None:
    clips, planted = made(Made(people=10, clips=8, expressiveness=4.0, missing=0.0))
    gaps = []
    for clip in clips.clips:
        if reaction := planted[clip.name]:
            inside = (clip.times > reaction.begin) & (clip.times < reaction.end)
            gaps.append(clip.values[inside, :4].mean() - clip.values[~inside, :4].mean())
    assert np.mean(gaps) > 0.3


@pytest.mark.parametrize("confound", [False, True])
def test_length_goes_with_errors_only_where_it_is_switched_on(confound: bool) -> None:
    clips, _ = made(Made(people=20, clips=10, confound=confound))
    errors = np.array([clip.label == "error" for clip in clips.clips])
    found = auc(np.array([clip.seconds for clip in clips.clips]), errors)
    assert found > 0.95 if confound else 0.4 < found < 0.6


def test_the_same_seed_makes_the_same_people_and_another_others() -> None:
    first, again, other = (made(Made(people=2, clips=4, seed=seed))[0] for seed in (1, 1, 2))
    for a, b in zip(first.clips, again.clips, strict=True):
        np.testing.assert_array_equal(a.values, b.values)
    assert first.clips[0].values.shape != other.clips[0].values.shape


def test_frames_without_a_face_are_as_many_as_asked_for() -> None:
    clips, _ = made(Made(people=4, clips=8, missing=0.2))
    share = np.mean([np.isnan(clip.values).all(1).mean() for clip in clips.clips])
    assert share == pytest.approx(0.2, abs=0.02)
