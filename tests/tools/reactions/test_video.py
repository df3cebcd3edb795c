"""Features of a video: what is said without mediapipe, and what is written with a stand-in for it."""

import sys
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.reactions import video
from merchgraph.tools.reactions.stream import Frame, read_frames


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    clip, model = tmp_path / "a.mp4", tmp_path / "face_landmarker.task"
    clip.write_bytes(b"x")
    model.write_bytes(b"x")
    return clip, model, tmp_path / "a.csv"


def stand_in(monkeypatch: pytest.MonkeyPatch, found: list[Mapping[str, float]]) -> None:
    @contextmanager
    def landmarker(model: Path) -> Any:
        yield lambda picture, ms: found[picture]

    monkeypatch.setattr(video, "_landmarker", landmarker)
    monkeypatch.setattr(video, "_pictures", lambda file: [(n / 25, n) for n in range(len(found))])


def test_blendshapes_are_written_as_a_stream(
    files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, [{"jawOpen": 0.5, "mouthSmileLeft": 0.1}, {}, {"jawOpen": 0.25}])
    assert video.write_features(*files) == (3, 2)
    both = {"jawOpen": 0.5, "mouthSmileLeft": 0.1}
    expected = [Frame(0.0, both), Frame(0.04, {}), Frame(0.08, {"jawOpen": 0.25})]
    assert read_frames(files[2]) == expected


def test_a_video_without_a_face_is_refused(
    files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, [{}, {}])
    with pytest.raises(DataError, match="no face is seen in 2 frames"):
        video.write_features(*files)
    assert not files[2].exists()


def test_what_is_missing_is_said(
    files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(SetupError, match=r"need the extra video .* 'merchgraph\[video\]'"):
        video.write_features(*files)
    files[1].unlink()
    with pytest.raises(
        SetupError, match=r"There is no model of MediaPipe, face_landmarker.task, at"
    ):
        video.write_features(*files)
