"""Features of a face from a video: MediaPipe's 52 blendshapes, frame by frame; no picture is kept.

    write_features(Path("p07_03.mp4"), Path("face_landmarker.task"), Path("p07_03.csv"))

Needs the extra video (mediapipe, which brings OpenCV; tried with 1.2.2) and its model file, which Google
offers apart from the package. A frame without a face is a row without values.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from merchgraph.runtime.errors import DataError, SetupError

Shapes = Callable[[Any, int], Mapping[str, float]]
"""A picture (H, W, 3) RGB and its milliseconds -> blendshape -> 0 to 1; empty without a face."""


def write_features(video: Path, model: Path, out: Path) -> tuple[int, int]:
    """Write a stream that `read_frames` reads.

    Returns:
        frames, and those with a face.

    Raises:
        SetupError: mediapipe or its model is not there, or the file cannot be written.
        DataError: the video cannot be read, or shows no face at all.
    """
    for file, what in ((video, "video"), (model, "model of MediaPipe, face_landmarker.task,")):
        if not file.is_file():
            raise SetupError(f"There is no {what} at {str(file)!r}; give its path.")
    with _landmarker(model) as shapes:
        rows = [(time, shapes(picture, round(1_000 * time))) for time, picture in _pictures(video)]
    names = sorted({name for _, found in rows for name in found})
    if not names:
        raise DataError(f"{video}: no face is seen in {len(rows)} frames; give a video of a face.")
    try:
        with out.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerow(["time", *names])
            writer.writerows([f"{t:.4f}", *(found.get(n, "") for n in names)] for t, found in rows)
    except OSError as error:
        raise SetupError(
            f"The features cannot be written to {str(out)!r}: {error.strerror}."
        ) from error
    return len(rows), sum(bool(found) for _, found in rows)


@contextmanager
def _landmarker(model: Path) -> Iterator[Shapes]:
    try:
        import mediapipe  # type: ignore[import-not-found]
        from mediapipe.tasks.python import BaseOptions, vision  # type: ignore[import-not-found]
    except ModuleNotFoundError as error:
        raise SetupError(
            f"Features from video need the extra video ({error.name} is missing): "
            "pip install 'merchgraph[video]'."
        ) from error
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)),
        running_mode=vision.RunningMode.VIDEO,
        output_face_blendshapes=True,
        num_faces=1,
    )
    try:
        opened = vision.FaceLandmarker.create_from_options(options)
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"{model}: MediaPipe cannot read it ({error}); give its face_landmarker.task."
        ) from error
    with opened as landmarker:

        def shapes(picture: Any, ms: int) -> Mapping[str, float]:
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
            found = landmarker.detect_for_video(image, ms).face_blendshapes
            every = found[0] if found else []
            return {s.category_name: float(s.score) for s in every if s.category_name != "_neutral"}

        yield shapes


def _pictures(video: Path) -> Iterator[tuple[float, Any]]:
    """Seconds and pictures, at the video's own rate."""
    import cv2  # type: ignore[import-not-found]

    opened = cv2.VideoCapture(str(video))
    rate = opened.get(cv2.CAP_PROP_FPS)
    if not opened.isOpened() or not rate > 0:
        raise DataError(f"{video}: it cannot be read as a video; give mp4 or webm.")
    try:
        number = 0
        while True:
            there, picture = opened.read()
            if not there:
                return
            yield number / rate, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
            number += 1
    finally:
        opened.release()
