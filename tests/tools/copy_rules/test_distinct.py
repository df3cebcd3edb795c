"""Near-duplicates by letters and by meaning."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError, ToolError
from merchgraph.tools.copy_rules.distinct import distinct

TEXTS = [
    "Fresh bread every morning",
    "FRESH bread, every morning!",
    "Fresh bread every mornings",
    "Milk from the next farm",
    "Milk of the farm nearby",
]


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Bread to the right, milk up, neither nowhere."""
    rows = [[2.0 * ("bread" in text.lower()), 5.0 * ("Milk" in text)] for text in texts]
    return np.array(rows, np.float32)


def test_the_first_of_texts_that_share_their_letters_is_kept() -> None:
    assert distinct(TEXTS) == [0, 3, 4]
    assert distinct(TEXTS, jaccard=1) == [0, 2, 3, 4]


def test_the_first_of_texts_that_share_their_meaning_is_kept() -> None:
    assert distinct(TEXTS, embed=embed) == [0, 3]
    assert distinct(["", *TEXTS, "neither"], embed=embed) == [0, 1, 4, 6]


def test_vectors_are_compared_by_direction_alone() -> None:
    rows = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [7, 0.2, 0.3], [0.01, 0.02, 0.03]])
    assert distinct(["a", "b", "c", "d"], embed=lambda texts: rows, cosine=1) == [0, 2]


def test_the_embedding_is_asked_once_for_what_the_letters_left() -> None:
    asked: list[list[str]] = []

    def spy(texts: Sequence[str]) -> NDArray[np.float32]:
        asked.append(list(texts))
        return embed(texts)

    distinct(TEXTS, embed=spy)
    distinct(TEXTS[:2], embed=spy)
    assert asked == [[TEXTS[0], TEXTS[3], TEXTS[4]]]


@given(st.lists(st.text(max_size=8), max_size=12), st.floats(0.05, 1))
def test_kept_texts_are_unlike_and_each_dropped_one_has_its_like(
    texts: list[str], limit: float
) -> None:
    kept = distinct(texts, jaccard=limit)
    assert kept == sorted(kept)
    assert distinct([texts[index] for index in kept], jaccard=limit) == list(range(len(kept)))
    for index in set(range(len(texts))) - set(kept):
        assert any(
            distinct([texts[other], texts[index]], jaccard=limit) == [0]
            for other in kept
            if other < index
        )


@given(st.lists(st.text(), min_size=1))
def test_a_text_given_twice_is_kept_once(texts: list[str]) -> None:
    assert max(distinct([*texts, *texts])) < len(texts)


@pytest.mark.parametrize("limit", [0, -1, 1.1, float("nan")])
def test_a_limit_outside_0_to_1_is_refused(limit: float) -> None:
    with pytest.raises(SetupError, match="The limit jaccard is"):
        distinct(TEXTS, jaccard=limit)
    with pytest.raises(SetupError, match="The limit cosine is"):
        distinct(TEXTS, embed=embed, cosine=limit)


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((2, 4)), np.full((3, 4), np.nan)])
def test_vectors_of_another_shape_or_not_finite_are_refused(bad: NDArray[np.float32]) -> None:
    with pytest.raises(ToolError, match="for 3 texts"):
        distinct(TEXTS, embed=lambda texts: bad)
