from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.tools.gmvo.data import Floats
from merchgraph.tools.gmvo.edges import RELATIONS, Cleaning, information, relations
from merchgraph.tools.gmvo.pairs import Pairs
from merchgraph.tools.gmvo.signals import (
    NAMES,
    Past,
    buyers,
    cosine,
    popularity,
    shrunk,
    signals,
    switches,
    wallet,
)
from tests.tools.gmvo.toy import bought, known, toy_shop

LOOSE = Cleaning(similar=1, move=1)
trips = st.lists(
    st.tuples(st.sampled_from(["ann", "bob", "eve"]), st.integers(0, 9), st.integers(0, 5)),
    min_size=1, max_size=25,
)  # fmt: skip


def of(past: Past, pairs: Pairs, values: Floats, source: str, target: str) -> float:
    """The value of one pair, by its items."""
    one, other = (np.array([past.goods.items.index(item)]) for item in (source, target))
    return float(values[pairs.place(one, other)[0]])


@given(trips)
def test_the_wallet_is_the_sum_over_households_of_both_shares(
    rows: list[tuple[str, int, int]],
) -> None:
    past = known(bought([(user, day, f"tea {n}") for user, day, n in rows]))
    pairs = Pairs.of(past.goods.types)
    size = len(past.goods.items)
    expected = np.zeros((size, size))
    for user in np.unique(past.log.user):
        counts = np.bincount(past.log.item[past.log.user == user], minlength=size)
        expected += np.outer(counts, counts) / counts.sum()
    found = wallet(pairs, past)
    np.testing.assert_allclose(found, expected[pairs.source, pairs.target], atol=1e-9)


@given(trips)
def test_cosines_are_those_of_the_sets_of_households(rows: list[tuple[str, int, int]]) -> None:
    past = known(bought([(user, day, f"tea {n}") for user, day, n in rows]))
    pairs = Pairs.of(past.goods.types)
    sets = [set(past.log.user[past.log.item == good]) for good in range(len(past.goods.items))]
    expected = [
        len(sets[i] & sets[j]) / np.sqrt(len(sets[i]) * len(sets[j]))
        for i, j in zip(pairs.source, pairs.target, strict=True)
    ]
    np.testing.assert_allclose(cosine(pairs, past, past.log.user), expected)
    assert buyers(past, past.log.user).tolist() == [len(one) for one in sets]


@given(trips)
def test_signals_are_finite_whatever_the_log(rows: list[tuple[str, int, int]]) -> None:
    past = known(bought([(user, day, f"tea {n}") for user, day, n in rows]))
    pairs = Pairs.of(past.goods.types)
    table = signals(pairs, past)
    assert table.shape == (len(pairs), len(NAMES))
    assert np.isfinite(table).all()
    for edges in relations(pairs, past, LOOSE).values():
        totals = np.bincount(edges.at, edges.weight)
        np.testing.assert_allclose(totals[totals > 0], 1)
        assert (pairs.place(edges.at, edges.of) >= 0).all()


def test_a_purchase_fades_by_half_after_its_weeks() -> None:
    past = known(bought([("ann", 0, "tea 0"), ("ann", 14, "tea 1")]))
    assert popularity(past, np.inf).tolist() == [1, 1]
    first, second = popularity(past, 2)
    assert second / first == pytest.approx(2)


def test_a_share_without_counts_is_that_of_the_prior() -> None:
    pairs = Pairs.of(np.zeros(3, np.int64))
    shares = np.exp(shrunk(pairs, np.zeros(6), np.array([1.0, 2.0, 5.0]), 3))
    np.testing.assert_allclose(shares[:2], np.array([2.1, 5.1]) / 7.2)
    many = np.exp(shrunk(pairs, np.array([90.0, 10, 0, 0, 0, 0]), np.ones(3), 1e-9))
    np.testing.assert_allclose(many[:2], [0.9, 0.1])


def test_switches_have_a_direction() -> None:
    past = known(bought([("ann", day, f"tea {n}") for day, n in ((0, 0), (7, 1), (14, 2))]))
    pairs = Pairs.of(past.goods.types)
    found = switches(pairs, past)
    assert of(past, pairs, found, "tea 0", "tea 1") == 1
    assert of(past, pairs, found, "tea 1", "tea 0") == 0
    table = signals(pairs, past).astype(np.float64)
    there, back = (table[:, NAMES.index(n)] for n in ("switch, 12 weeks", "switch back, 12 weeks"))
    assert of(past, pairs, there, "tea 0", "tea 1") > of(past, pairs, there, "tea 0", "tea 2")
    assert of(past, pairs, back, "tea 1", "tea 0") > of(past, pairs, back, "tea 1", "tea 2")


def test_what_is_bought_together_is_no_similar_edge() -> None:
    switched = [(f"h{n}", 7.0 * n + day, f"tea {day // 3}") for n in range(6) for day in (0, 3)]
    together = [(f"g{n}", 1.0, f"tea {k}") for n in range(6) for k in (0, 2)]
    swapped = [(f"f{n}", 7.0 * k, f"tea {2 * k}") for n in range(6) for k in (0, 1)]
    past = known(bought([*switched, *together, *swapped]))
    pairs = Pairs.of(past.goods.types)
    edges = relations(pairs, past, Cleaning(similar=5, smoothing=0.0))
    named = {
        name: {
            (past.goods.items[i], past.goods.items[j])
            for i, j in zip(edges[name].at, edges[name].of, strict=True)
        }
        for name in RELATIONS
    }
    assert ("tea 0", "tea 1") in named["similar"]
    assert ("tea 0", "tea 2") not in named["similar"]  # switched six times, together six times
    assert ("tea 0", "tea 2") in named["move"]
    assert ("tea 2", "tea 0") in named["back"]
    assert ("tea 0", "tea 2") in named["together"]


def test_an_item_has_at_most_its_cap_of_neighbours_the_heaviest() -> None:
    past = known(toy_shop().events)
    pairs = Pairs.of(past.goods.types)
    many, few = (relations(pairs, past, LOOSE._replace(cap=cap))["move"] for cap in (30, 2))
    assert np.bincount(many.at).max() > 2
    assert np.bincount(few.at).max() == 2
    counts = switches(pairs, past)
    for good in np.unique(few.at):
        mine = counts[pairs.source == good]
        kept = counts[pairs.place(few.at[few.at == good], few.of[few.at == good])]
        assert sorted(kept) == sorted(mine)[-len(kept):]  # fmt: skip


def test_information_is_0_where_counts_are_as_by_chance() -> None:
    pairs = Pairs.of(np.array([0, 0]))
    assert information(pairs, np.array([4.0, 4.0]), 0)[0] == pytest.approx(np.log(2))
    assert np.isneginf(information(pairs, np.array([0.0, 4.0]), 0)[0])
