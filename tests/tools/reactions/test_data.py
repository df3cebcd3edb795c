"""A folder of clips: read, refused where it is wrong, and rid of a person."""

from pathlib import Path

import numpy as np
import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.reactions.data import forget, read_clips
from merchgraph.tools.reactions.stream import read_frames

LABELS = """\
clip,person,start,end,label
a,ann,0,1,error
a,ann,1,2,correct
b,bob,0.5,1.5,no_response
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "labels.csv").write_text(LABELS)
    for name in "ab":
        rows = "".join(f"{n / 10:.1f},{n},{n % 3}\n" for n in range(21))
        (tmp_path / f"{name}.csv").write_text("time,AU12_r,AU06_r\n" + rows)
    return tmp_path


def test_clips_are_cut_from_their_files(folder: Path) -> None:
    clips = read_clips(folder)
    assert clips.features == ("AU12_r", "AU06_r")
    assert clips.people == ["ann", "bob"]
    assert [(c.name, c.label, c.seconds) for c in clips.clips] == [
        ("a@0", "error", 1.0), ("a@1", "correct", 1.0), ("b@0.5", "no_response", 1.0),
    ]  # fmt: skip
    second = clips.clips[1]
    np.testing.assert_allclose(second.times, np.arange(10) / 10, atol=1e-9)
    assert second.values[:, 0].tolist() == list(range(10, 20))
    assert [clip.place for clip in clips.clips] == [0.25, 0.75, 0.5]


def test_a_clip_is_a_stream_again(folder: Path) -> None:
    clips = read_clips(folder)
    frames = clips.frames(clips.clips[0], begin=5.0)
    assert [frame.values for frame in frames] == [
        f.values for f in read_frames(folder / "a.csv")[:10]
    ]
    assert frames[0].time == 5.0


def test_of_openface_only_the_face_is_kept(folder: Path) -> None:
    head = "frame,timestamp,success,gaze_angle_x,pose_Tx,pose_Rx,x_0,AU12_r,AU12_c\n"
    for name in "ab":
        rows = "".join(f"{n},{n / 10:.1f},1,1,2,3,4,5,1\n" for n in range(21))
        (folder / f"{name}.csv").write_text(head + rows)
    assert read_clips(folder).features == ("gaze_angle_x", "pose_Rx", "AU12_r")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("clip,person", "clip,who", r"no column 'person'"),
        ("a,ann,1,2,correct", "a,ann,1,2,right", r"column 'label', row 2: 'right'; one of correct"),
        ("a,ann,1,2", "a,ann,2,1", r"column 'end', row 2: '1'; a time after the start '2'"),
        ("a,ann,1,2", "a,ann,one,2", r"column 'start', row 2: 'one'; seconds are expected"),
        ("a,ann,1,2", "a,ann,-1,2", r"column 'end', row 2"),
        ("a,ann,1,2", "a,ann,1,inf", r"column 'end', row 2"),
        ("b,bob", "a,bob", r"row 3: the clip 'a' is of 'ann' and of 'bob'"),
        ("b,bob", "../b,bob", r"column 'clip', row 3: '../b'; a name is expected"),
        ("b,bob", "labels,bob", r"column 'clip', row 3: 'labels'"),
        ("b,bob", "b,", r"column 'person', row 3: ''"),
        ("b,bob,0.5,1.5", "b,bob,7,8", r"row 3: b.csv has no frame from 7 to 8 s; it has 0 to 2 s"),
        (LABELS[28:], "", r"there is no clip in it"),
    ],
)  # fmt: skip
def test_wrong_labels_are_said(folder: Path, old: str, new: str, said: str) -> None:
    assert old in LABELS
    (folder / "labels.csv").write_text(LABELS.replace(old, new))
    with pytest.raises(DataError, match=said):
        read_clips(folder)


def test_clips_of_other_features_are_refused(folder: Path) -> None:
    (folder / "b.csv").write_text("time,AU12_r\n0.6,1\n")
    with pytest.raises(DataError, match=r"b.csv: there is no value of 'AU06_r', which a.csv has"):
        read_clips(folder)


def test_what_is_not_there_is_said(folder: Path) -> None:
    (folder / "b.csv").unlink()
    with pytest.raises(SetupError, match=r"There is no .*b.csv', which labels.csv names"):
        read_clips(folder)
    with pytest.raises(SetupError, match=r"give a folder with labels.csv: clip,person,start"):
        read_clips(folder / "none")


def test_a_person_is_deleted_with_all_their_files(folder: Path) -> None:
    (folder / "video").mkdir()
    (folder / "video" / "a.mp4").write_bytes(b"x")
    (folder / "ab.csv").write_text("kept")
    (folder / "ratings.csv").write_text(
        "clip,rater,answer,confidence\na@0,r,fine,1\nb@0.5,r,fine,1\n"
    )
    gone = forget(folder, "ann")
    assert sorted(file.name for file in gone) == ["a.csv", "a.mp4"]
    left = sorted(file.name for file in folder.rglob("*") if file.is_file())
    assert left == ["ab.csv", "b.csv", "labels.csv", "ratings.csv"]
    assert (folder / "labels.csv").read_text().splitlines()[1:] == ["b,bob,0.5,1.5,no_response"]
    assert (folder / "ratings.csv").read_text().splitlines()[1:] == ["b@0.5,r,fine,1"]
    assert read_clips(folder).people == ["bob"]


def test_ratings_of_a_start_that_was_corrected_since_are_deleted_too(folder: Path) -> None:
    rated = " clip ,rater,answer\na@0.25,r,fine\na,r,fine\na@b@0,r,fine\nb@0.5,r,fine\n"
    (folder / "ratings.csv").write_text(rated)
    forget(folder, "ann")
    left = (folder / "ratings.csv").read_text().splitlines()
    assert left == ["clip,rater,answer", "a@b@0,r,fine", "b@0.5,r,fine"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "cannot be read as CSV"), ("who,answer\na@0,fine\n", "no column 'clip'"),
     ("clip, clip\na@0,b@0\n", "cannot be read as CSV")],
)  # fmt: skip
def test_a_broken_table_is_said_before_anything_is_deleted(
    folder: Path, text: str, said: str
) -> None:
    (folder / "ratings.csv").write_text(text)
    before = sorted(folder.iterdir())
    with pytest.raises(DataError, match=rf"ratings.csv: .*{said}"):
        forget(folder, "ann")
    assert sorted(folder.iterdir()) == before
    assert (folder / "labels.csv").read_text() == LABELS


def test_an_unknown_person_is_not_deleted(folder: Path) -> None:
    with pytest.raises(SetupError, match=r"no person 'cat' in .*; there is ann, bob"):
        forget(folder, "cat")
    assert len(read_clips(folder).clips) == 3
