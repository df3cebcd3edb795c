"""The candidates of a question: the truth among them, half the household's own, no second truth."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.histories import Episode, History, Purchase
from merchgraph.tools.next_purchase import bought, candidates

OWN = [f"own {n}" for n in range(12)]
OTHERS = [f"other {n}" for n in range(20)]
POPULAR = {item: 1 + n for n, item in enumerate([*OWN, *OTHERS])}


def episode(truth: str, *, user: str = "7", also: tuple[str, ...] = (), own: int = 12) -> Episode:
    first = date(2026, 1, 1)
    events = [
        Purchase(item=OWN[n % own], when=first + timedelta(days=n // 3)) for n in range(3 * own)
    ]
    after = Purchase(item=truth, when=first + timedelta(days=90))
    return Episode(history=History(user=user, events=tuple(events)), next=after, also=also)


@given(
    truth=st.sampled_from([*OWN, *OTHERS]),
    size=st.sampled_from([2, 10, 20]),
    user=st.text(max_size=5),
    seed=st.integers(0, 9),
)
def test_the_truth_stands_once_among_as_many_candidates_as_are_wanted(
    truth: str, size: int, user: str, seed: int
) -> None:
    found = candidates(episode(truth, user=user), POPULAR, size=size, seed=seed)
    assert len(found) == len(set(found)) == size
    assert found.count(truth) == 1
    assert sum(item in OWN for item in found) == size // 2


@given(also=st.sets(st.sampled_from([*OWN[1:], *OTHERS]), max_size=12))
def test_what_else_was_in_the_next_basket_is_no_candidate(also: set[str]) -> None:
    found = candidates(episode(OWN[0], also=tuple(also)), POPULAR)
    assert not also.intersection(found)
    assert len(set(found)) == 10


def test_the_same_household_is_asked_the_same_and_others_are_not() -> None:
    assert candidates(episode(OWN[0]), POPULAR) == candidates(episode(OWN[0]), POPULAR)
    assert candidates(episode(OWN[0]), POPULAR) != candidates(episode(OWN[0], user="8"), POPULAR)
    assert candidates(episode(OWN[0]), POPULAR) != candidates(episode(OWN[0]), POPULAR, seed=1)


def test_the_truth_has_no_favourite_place() -> None:
    places = [
        candidates(episode(OWN[0], user=str(user)), POPULAR).index(OWN[0]) for user in range(1_000)
    ]
    assert all(60 <= places.count(place) <= 140 for place in range(10))


def test_others_are_drawn_by_their_purchases() -> None:
    popular = {**dict.fromkeys(OTHERS, 1), OTHERS[3]: 200}
    drawn = [candidates(episode(OWN[0], user=str(user)), popular) for user in range(200)]
    assert sum(OTHERS[3] in found for found in drawn) > 190
    assert sum(OTHERS[4] in found for found in drawn) < 100


def test_a_household_with_few_items_gets_others_in_their_place() -> None:
    found = candidates(episode(OTHERS[0], own=3), POPULAR, size=20)
    assert len(set(found)) == 20
    assert sum(item in OWN[:3] for item in found) == 3


def test_only_what_the_histories_hold_is_counted() -> None:
    counts = bought([episode("later", own=8), episode("later", own=8)])
    assert counts == dict.fromkeys(OWN[:8], 6)


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        (1, "A question needs 2 candidates or more, not 1"),
        (40, "The household '7' and its shop have 31 items that can be distractors, but 39"),
    ],
)
def test_a_list_that_cannot_be_filled_is_refused(size: int, sentence: str) -> None:
    with pytest.raises(SetupError, match=sentence):
        candidates(episode(OWN[0]), POPULAR, size=size)
