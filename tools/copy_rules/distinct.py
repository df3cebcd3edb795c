"""Near-duplicates among short texts, by their letters and by their meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError, ToolError
from merchgraph.tools.text import words

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
GRAM = 3  # characters
JACCARD = 0.85  # digest of arXiv 2504.10391, section 3.5
COSINE = 0.95


def distinct(
    texts: Sequence[str],
    *,
    jaccard: float = JACCARD,
    embed: Embed | None = None,
    cosine: float = COSINE,
) -> list[int]:
    """The indices of the texts to keep: each is unlike every one kept before it.

    Args:
        jaccard: two texts are alike from this share of common character 3-grams on, case, width and
            punctuation apart; in (0, 1].
        embed: gives (N, D) vectors, which need not be normalised; called once, with the texts whose
            letters differ. Without it meaning is not compared.
        cosine: two texts are alike from this cosine of their vectors on; in (0, 1].

    Raises:
        SetupError: a limit is not in (0, 1].
        ToolError: the vectors are not one finite row per text.
    """
    for name, limit in (("jaccard", jaccard), ("cosine", cosine)):
        if not 0 < limit <= 1:
            raise SetupError(f"The limit {name} is {limit!r}; give one above 0 and up to 1.")
    grams = [_grams(text) for text in texts]
    kept: list[int] = []
    for index, mine in enumerate(grams):
        if all(_jaccard(mine, grams[other]) < jaccard for other in kept):
            kept.append(index)
    return _unlike(texts, kept, embed, cosine) if embed and len(kept) > 1 else kept


def _unlike(texts: Sequence[str], candidates: list[int], embed: Embed, cosine: float) -> list[int]:
    vectors = np.asarray(embed([texts[index] for index in candidates]), np.float64)
    if vectors.ndim != 2 or len(vectors) != len(candidates) or not np.isfinite(vectors).all():
        raise ToolError(
            f"The embedding gave an array of shape {vectors.shape} for {len(candidates)} texts, or "
            f"numbers that are not finite."
        )
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    # rounding must not part two texts of the same vector
    alike = vectors @ vectors.T >= cosine - 1e-6
    kept: list[int] = []
    for row in range(len(candidates)):
        if not alike[row, kept].any():
            kept.append(row)
    return [candidates[row] for row in kept]


def _grams(text: str) -> frozenset[str]:
    line = " ".join(words(text)) or text
    return frozenset(line[start : start + GRAM] for start in range(max(1, len(line) - GRAM + 1)))


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)
