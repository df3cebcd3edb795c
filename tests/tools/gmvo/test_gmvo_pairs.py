from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.gmvo.pairs import Pairs

types = st.lists(st.integers(0, 4), max_size=14)


@given(types, st.data())
def test_pairs_are_all_of_one_type_in_order(kinds: list[int], data: st.DataObject) -> None:
    among = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(kinds), max_size=len(kinds))), bool
    )
    pairs = Pairs.of(np.array(kinds, np.int64), among)
    expected = [
        (i, j)
        for i, one in enumerate(kinds)
        for j, other in enumerate(kinds)
        if i != j and one == other and among[i] and among[j]
    ]
    assert list(zip(pairs.source.tolist(), pairs.target.tolist(), strict=True)) == expected
    assert pairs.goods == len(kinds)
    for good in range(len(kinds)):
        assert set(pairs.source[pairs.starts[good] : pairs.starts[good + 1]]) <= {good}


def test_rows_that_name_no_pair_are_left_out() -> None:
    pairs = Pairs.of(np.array([0, 0, 1]))
    source, target = np.array([0, 0, 1, 0, 2]), np.array([1, 1, 0, 2, 2])
    assert pairs.place(source, target).tolist() == [0, 0, 1, -1, -1]
    assert pairs.count(source, target).tolist() == [2, 1]
    assert pairs.count(source, target, np.array([0.5, 1, 7, 9, 9])).tolist() == [1.5, 7]
    none = Pairs.of(np.array([0, 1]))
    assert none.place(source[:1], target[:1]).tolist() == [-1]
    assert len(none.count(source[:1], target[:1])) == 0


def test_cells_are_picked_from_a_table() -> None:
    pairs = Pairs.of(np.array([0, 0, 1]))
    table = csr_array(np.array([[9.0, 2, 3], [4, 9, 0], [0, 0, 9]]))
    assert pairs.pick(table).tolist() == [2, 4]


@given(st.lists(st.integers(-2, 2), min_size=12, max_size=12))
def test_ranks_are_a_stable_sort_within_the_list(values: list[int]) -> None:
    pairs = Pairs.of(np.array([0, 1, 0, 0, 0, 1]))  # lists of 3 and of 1: 4 * 3 + 2 * 1 pairs
    scores = np.array([*values, 0, 0], float)
    ranks = pairs.ranks(scores)
    for good in range(6):
        here = slice(pairs.starts[good], pairs.starts[good + 1])
        mine = scores[here]
        expected = np.argsort(np.argsort(-mine, kind="stable"), kind="stable")
        assert ranks[here].tolist() == expected.tolist()


def test_sums_are_those_of_the_source() -> None:
    pairs = Pairs.of(np.array([0, 0, 0]))
    assert pairs.sums(np.arange(6.0)).tolist() == [1, 1, 5, 5, 9, 9]


def test_types_that_are_too_large_are_refused() -> None:
    with pytest.raises(SetupError, match=r"the largest has 9,000 goods.*a higher least"):
        Pairs.of(np.zeros(9_000, np.int64))
