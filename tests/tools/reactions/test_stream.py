"""Streams on disk, and what the detector makes of good and bad ones."""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.reactions.config import Config
from merchgraph.tools.reactions.crowd import auc
from merchgraph.tools.reactions.data import Clips
from merchgraph.tools.reactions.made import FEATURES, Planted
from merchgraph.tools.reactions.stream import GONE, STARTS, Detector, Frame, Learnt, read_frames

REST: Mapping[str, float] = dict.fromkeys(FEATURES, 0.6)
Others = tuple[Clips, dict[str, Planted | None]]


def calm(seconds: float, begin: float = 0.0, rate: float = 25.0) -> list[Frame]:
    """A face that rests, with a little noise."""
    rng = np.random.default_rng(0)
    return [
        Frame(begin + n / rate, {name: 0.6 + 0.1 * float(rng.normal()) for name in FEATURES})
        for n in range(int(seconds * rate))
    ]


def written(folder: Path, text: str) -> Path:
    file = folder / "face.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_stream_is_read_with_its_gaps(tmp_path: Path) -> None:
    file = written(tmp_path, "time, AU12_r,AU06_r\n0.0,1.5,2\n0.1,,nan\n0.5, 3 ,\n")
    assert read_frames(file) == [
        Frame(0.0, {"AU12_r": 1.5, "AU06_r": 2.0}), Frame(0.1, {}), Frame(0.5, {"AU12_r": 3.0}),
    ]  # fmt: skip


def test_openface_has_its_own_time_and_says_where_no_face_was(tmp_path: Path) -> None:
    text = (
        "frame, face_id, timestamp, confidence, success, AU12_r\n1,0,0.0,.98,1,2\n2,0,0.03,.1,0,9\n"
    )
    assert read_frames(written(tmp_path, text)) == [Frame(0.0, {"AU12_r": 2.0}), Frame(0.03, {})]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"no column 'time' among none; add one, in seconds"),
        ("frame,AU12_r\n1,2\n", r"no column 'time' among 'frame', 'AU12_r'"),
        ("time,frame,confidence\n0,1,2\n", r"no column of a feature beside the time"),
        ("time,a,a\n0,1,2\n", r"the column 'a' is there twice"),
        ("time,a\n", r"there is no frame in it"),
        ("time,a\n0,1\n0.1,smile\n", r"column 'a', row 2: 'smile' is not a number"),
        ("time,a\n0,inf\n", r"column 'a', row 1: 'inf' is not a number"),
        ("time,a\n0,1\n0,2\n", r"column 'time', row 2: '0' is not after the time before it"),
        ("time,a\n,1\n", r"column 'time', row 1: '' is not after the time before it"),
        ("time,a\n0,1,2\n", r"row 1: 3 cells under 2 columns"),
    ],
)  # fmt: skip
def test_a_bad_file_is_said_by_column_and_row(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_frames(written(tmp_path, text))


def test_a_file_that_is_no_text_or_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "face.csv").write_bytes(b"time,a\n0,\xff\n")
    for file in (tmp_path / "face.csv", tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError, match=r"cannot be read .* give a CSV with a column time"):
            read_frames(file)


def test_ten_hours_are_too_long_for_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("merchgraph.tools.reactions.stream.MOST_FRAMES", 5)
    rows = "".join(f"{n},1\n" for n in range(6))
    with pytest.raises(DataError, match="more than 5 frames; cut the stream"):
        read_frames(written(tmp_path, "time,a\n" + rows))


def test_an_answer_is_judged_after_a_second_and_a_half(detector: Detector) -> None:
    readings = [detector.see(frame) for frame in calm(3.0)]
    early = [reading for reading in readings if reading.time < 1.5]
    assert {reading.why for reading in early} == {STARTS}
    assert all(reading.p_error is None for reading in early)
    late = [reading for reading in readings if reading.time >= 1.52]
    assert all(reading.p_error is not None and reading.why == "" for reading in late)
    detector.reset()
    assert detector.see(Frame(3.1, REST)) == (3.1, None, STARTS)


def test_reactions_of_people_it_has_not_seen_are_told(detector: Detector, others: Others) -> None:
    clips, _ = others
    highest: list[float] = []
    for number, person in enumerate(clips.people):
        seeing = Detector(detector.learnt)
        for n, clip in enumerate(clips.of(person).clips):
            seeing.reset()
            readings = [seeing.see(frame) for frame in clips.frames(clip, 10.0 * n + number)]
            highest.append(max(r.p_error for r in readings if r.p_error is not None))
    errors = np.array([clip.label == "error" for clip in clips.clips])
    assert auc(np.array(highest), errors) > 0.8


def test_the_future_changes_nothing(learnt: Learnt, others: Others) -> None:
    clips, _ = others
    frames = clips.frames(clips.clips[0])
    whole, cut = Detector(learnt), Detector(learnt)
    readings = [whole.see(frame) for frame in frames]
    assert [cut.see(frame) for frame in frames[:60]] == readings[:60]


def test_a_face_that_leaves_ends_the_readings_until_it_is_back(detector: Detector) -> None:
    for frame in calm(3.0):
        before = detector.see(frame)
    assert before.p_error is not None
    away = [detector.see(Frame(3.0 + n / 25, {})) for n in range(50)]
    assert away[-1] == (away[-1].time, None, GONE)
    back = [detector.see(frame) for frame in calm(2.0, begin=5.0)]
    assert back[-1].p_error is not None


def test_a_gap_in_time_is_no_face(detector: Detector) -> None:
    for frame in calm(3.0):
        detector.see(frame)
    assert detector.see(Frame(100.0, REST)).p_error is None
    assert detector.see(Frame(100.3, REST)).why == GONE


@pytest.mark.parametrize("values", [{}, dict.fromkeys(FEATURES, math.nan)])
def test_a_stream_without_a_face_is_never_judged(
    detector: Detector, values: Mapping[str, float]
) -> None:
    readings = [detector.see(Frame(n / 25, values)) for n in range(200)]
    assert all(reading.p_error is None for reading in readings)
    assert all(reading.why for reading in readings)


def test_one_frame_is_not_judged(detector: Detector) -> None:
    assert detector.see(Frame(0.0, REST)) == (0.0, None, STARTS)


def test_single_missing_frames_and_features_do_not_matter(detector: Detector) -> None:
    frames = calm(4.0)
    holes = [Frame(f.time, {} if n % 5 == 0 else f.values) for n, f in enumerate(frames)]
    part = [Frame(f.time, {k: v for k, v in f.values.items() if k != "AU04_r"}) for f in frames]
    for stream in (holes, part):
        seeing = Detector(detector.learnt)
        reading = [seeing.see(frame) for frame in stream][-1]
        assert reading.p_error is not None
        assert 0 <= reading.p_error <= 1


def test_a_stream_of_other_features_is_said(detector: Detector) -> None:
    readings = [detector.see(Frame(n / 25, {"jawOpen": 0.2})) for n in range(100)]
    assert all(reading.p_error is None for reading in readings)
    assert readings[-1].why == (
        "the frame holds none of the model's features, such as 'AU06_r', but 'jawOpen'"
    )


def test_a_frame_whose_features_are_all_nan_is_an_empty_one(detector: Detector) -> None:
    nothing = dict.fromkeys(FEATURES, math.nan)
    empty, missing = Detector(detector.learnt), Detector(detector.learnt)
    for n, frame in enumerate(calm(4.0)):
        hole = 40 <= n < 46
        one = empty.see(Frame(frame.time, {}) if hole else frame)
        assert missing.see(Frame(frame.time, nothing) if hole else frame) == one
    assert one.p_error is not None


def test_infinite_values_are_missing_ones(detector: Detector) -> None:
    readings = [detector.see(Frame(n / 25, {**REST, "AU12_r": math.inf})) for n in range(100)]
    assert readings[-1].p_error is not None


@pytest.mark.parametrize("time", [math.nan, math.inf, 1.0, 0.5])
def test_time_goes_on(detector: Detector, time: float) -> None:
    detector.see(Frame(1.0, REST))
    said = re.escape(f"A frame at {time:g} s came after one at 1 s")
    with pytest.raises(DataError, match=said):
        detector.see(Frame(time, REST))


def test_ten_hours_take_no_more_memory_than_a_minute(detector: Detector) -> None:
    for n in range(36_000):
        reading = detector.see(Frame(float(n), REST if n % 2 else {}))
    assert reading.why in (GONE, STARTS)
    frames = calm(4.0, begin=36_000.0)
    assert [detector.see(frame) for frame in frames][-1].p_error is not None
    assert len(detector._watch.bins) <= 12


def test_the_frame_rate_hardly_matters(learnt: Learnt, others: Others) -> None:
    clips, _ = others
    frames = clips.frames(clips.clips[1])
    full, half = Detector(learnt), Detector(learnt)
    every = [full.see(frame).p_error for frame in frames][-10]
    second = [half.see(frame).p_error for frame in frames[::2]][-5]
    assert every == pytest.approx(second, abs=0.2)


def test_a_detector_is_kept_and_loaded(detector: Detector, tmp_path: Path, others: Others) -> None:
    detector.save(tmp_path, Config(), "# Card\n")
    again, (clips, _) = Detector.load(tmp_path), others
    frames = clips.frames(clips.clips[0])
    assert [again.see(frame) for frame in frames] == [detector.see(frame) for frame in frames]


def test_without_a_model_the_command_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        SetupError, match=r"There is no model at .*; make it: merchgraph train react"
    ):
        Detector.load(tmp_path)


def test_a_model_of_another_tool_is_said(tmp_path: Path) -> None:
    from merchgraph.tools.checkpoint import save

    save(tmp_path, {"w": np.zeros(2)}, Config(), "")
    with pytest.raises(
        DataError, match=r"does not fit together \(there is no tensor 'features'\); make it anew"
    ):
        Detector.load(tmp_path)
