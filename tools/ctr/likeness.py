"""Which retired ads are like a new one: cosines of text vectors, or of text and picture together.

    vectors = AdVectors().of(pool.ads)
    nearest(vectors, AdVectors().of([new])[0], k=5)     # [(row of the pool, cosine), ...]

With a CLIP model an ad that has a picture is the normalised sum of its text's and its picture's vector,
in equal parts (how the paper joins them is not published). Near-doubles of the new ad stay in: they are
the best examples there are. Sizes: n ads, D width.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.ctr.images import content, picture
from merchgraph.tools.ctr.pool import Ad
from merchgraph.tools.embedding import Embedder, SentenceModel
from merchgraph.tools.vectors import Floats

IMAGE = "data:image/"


class ClipModel(SentenceModel):
    """A CLIP model that sentence-transformers saved: texts and pictures, as data URLs, in one space."""

    @cached_property
    def width(self) -> int:
        """Numbers per vector."""
        config = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        return int(config["projection_dim"]) if "projection_dim" in config else super().width

    def encode(self, texts: Sequence[str]) -> Floats:
        """(N, D) float32 — one row per text; one that is a data URL is read as its picture.

        Raises:
            SetupError: the model reads no pictures, or a picture cannot be opened.
        """
        if not self._model.supports("image"):
            raise SetupError(
                f"The model in {str(self.folder)!r} reads no pictures; give the folder of a CLIP model "
                "that sentence-transformers saved, or leave the setting `clip` empty."
            )
        rows: list[Any] = [_opened(text) if text.startswith(IMAGE) else text for text in texts]
        vectors = np.empty((len(rows), self.width), dtype=np.float32)
        for pictures in (False, True):  # a batch is of one kind
            places = [n for n, text in enumerate(texts) if text.startswith(IMAGE) is pictures]
            if places:
                vectors[places] = super().encode([rows[n] for n in places])
        return vectors


class AdVectors:
    """Vectors of ads.

    Args:
        clip: folder of a CLIP model that sentence-transformers saved; "" embeds texts alone, by the
            default text model.

    Raises:
        SetupError: there is no such model on this machine.
    """

    def __init__(self, clip: str = "") -> None:
        self._clip = bool(clip)
        self._embedder = Embedder(ClipModel(clip)) if clip else Embedder()

    def of(self, ads: Sequence[Ad]) -> Floats:
        """(n, D) float32 — one L2-normalised row per ad.

        Raises:
            SetupError: as `Embedder.embed`, `ClipModel.encode` and `picture`.
        """
        texts = [ad.text for ad in ads]
        images = [picture(ad.image) if self._clip else "" for ad in ads]
        shown = [n for n, image in enumerate(images) if image.startswith(IMAGE)]
        rows = self._embedder.embed([*texts, *(images[n] for n in shown)])
        vectors = rows[: len(texts)].copy()
        vectors[shown] += rows[len(texts) :]
        vectors[shown] /= np.maximum(np.linalg.norm(vectors[shown], axis=1, keepdims=True), 1e-12)
        return vectors


def nearest(vectors: Floats, query: Floats, k: int) -> list[tuple[int, float]]:
    """The k rows of (n, D) with the largest cosine to a vector (D,), best first; ties in their order."""
    cosines = vectors @ query
    order = np.argsort(-cosines, kind="stable")[:k]
    return [(int(row), float(cosines[row])) for row in order]


def _opened(url: str) -> Any:
    try:
        from PIL import Image, UnidentifiedImageError
    except ModuleNotFoundError as error:
        raise SetupError(
            "A CLIP model needs the package 'pillow' for pictures; install it, or leave the setting "
            "`clip` empty."
        ) from error
    try:
        return Image.open(io.BytesIO(content(url) or b"")).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise SetupError(f"The image {url[:40]!r}... cannot be opened: {error}.") from error
