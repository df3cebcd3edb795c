"""The real gaze, where it is there; and what is said where it is not."""

from pathlib import Path

import numpy as np
import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.runtime.settings import settings, use_settings
from merchgraph.tools.reactions import badrobots
from merchgraph.tools.reactions.crowd import auc
from merchgraph.tools.reactions.cuts import cut_clips

HEAD = "frame,participant,binary_label,multiclass_label, gaze_0_x, gaze_angle_x\n"


@pytest.fixture
def there() -> None:
    if not (settings().data / badrobots.FOLDER).is_dir():
        pytest.skip(
            f"{settings().data / badrobots.FOLDER} is not there; set MERCHGRAPH_DATA to test it"
        )


@pytest.mark.usefixtures("there")
def test_the_label_of_the_data_is_a_place_in_the_video() -> None:
    clips = badrobots.as_labelled()
    assert len(clips.people) == 24
    assert all(name.startswith("gaze_") for name in clips.features)
    cut = cut_clips(clips, span=8)
    assert auc(cut.clues["middle"], cut.error > 0) > 0.99


@pytest.mark.usefixtures("there")
def test_around_each_error_are_two_spans_of_the_same_length() -> None:
    clips = badrobots.around_errors()
    assert len(clips.clips) == 120
    spans = {
        person: [clip for clip in clips.clips if clip.person == person] for person in clips.people
    }
    for own in spans.values():
        begins = [float(clip.name.rpartition("@")[2]) for clip in own]
        assert min(np.diff(sorted(begins))) >= badrobots.SPAN_S
    assert {clip.seconds for clip in clips.clips} == {2.0}
    cut = cut_clips(clips, span=8)
    assert cut.error.mean() == 0.5
    assert auc(cut.clues["place"], cut.error > 0) < 0.7


def test_a_small_file_is_read_and_zeros_are_no_face(tmp_path: Path) -> None:
    folder = tmp_path / badrobots.FOLDER
    folder.mkdir()
    rows = "".join(
        f"{n},p7nodbot,{int(60 < n < 240)},1,{0 if n == 3 else n % 5},{0 if n == 3 else 1}\n"
        for n in range(1, 300)
    )
    (folder / badrobots.FRAMES).write_text(HEAD + rows)
    (folder / badrobots.ERRORS).write_text("participant_num,start,end,error\n7,4.0,6.0,1\n")
    with use_settings(data=tmp_path):
        labelled, around = badrobots.as_labelled(), badrobots.around_errors()
    assert [clip.label for clip in labelled.clips] == ["correct", "error", "error"]
    assert np.isnan(labelled.clips[0].values[2]).all()
    assert [clip.name for clip in around.clips] == ["p7nodbot@2", "p7nodbot@5"]


def test_a_second_error_that_comes_at_once_has_no_calm_before_it(tmp_path: Path) -> None:
    folder = tmp_path / badrobots.FOLDER
    folder.mkdir()
    rows = "".join(f"{n},p7nodbot,1,1,{n % 5 + 1},1\n" for n in range(1, 900))
    (folder / badrobots.FRAMES).write_text(HEAD + rows)
    starts = "".join(f"7,{start},30,1\n" for start in (20.0, 4.0, 8.9, 13.9))
    (folder / badrobots.ERRORS).write_text("participant_num,start,end,error\n" + starts)
    with use_settings(data=tmp_path):
        around = badrobots.around_errors()
    # 8.9 - 2 lies before 4 + 3, the end of the span of the first error; 13.9 - 2 is after 8.9 + 3
    found = [clip.name.partition("@")[2] for clip in around.clips]
    assert found == ["2", "5", "11.9", "14.9", "18", "21"]


def test_without_the_data_the_setting_is_said(tmp_path: Path) -> None:
    with use_settings(data=tmp_path), pytest.raises(SetupError, match="set MERCHGRAPH_DATA"):
        badrobots.around_errors()
    folder = tmp_path / badrobots.FOLDER
    folder.mkdir()
    (folder / badrobots.FRAMES).write_text("frame,who\n1,2\n")
    with use_settings(data=tmp_path), pytest.raises(DataError, match="no column 'participant'"):
        badrobots.as_labelled()
