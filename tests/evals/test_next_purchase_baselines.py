"""The baselines of next purchase on households whose next purchase is known beforehand."""

import json
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest

from merchgraph.evals.baselines.next_purchase import (
    BASELINES,
    FEATURES,
    WITHOUT_ODDS,
    Learnt,
    days,
    features,
    guess,
    learn,
)
from merchgraph.tools.histories import Episode, History, Purchase

FIRST = date(2026, 1, 1)
NAMES = [f"item {n}" for n in range(12)]


def history(*bought: tuple[int, Sequence[str]], user: str = "7") -> History:
    """Baskets as (day, items)."""
    events = [
        Purchase(item=item, when=FIRST + timedelta(days=day))
        for day, items in bought
        for item in items
    ]
    return History(user=user, events=tuple(events))


def followers(count: int) -> list[Episode]:
    """Households that always buy jam on the day after bread, and bread after jam."""
    found = []
    for number in range(count):
        start = number % 2
        kinds = [("bread", "jam")[(day + start) % 2] for day in range(20)]
        rest = [NAMES[(number + day) % 12] for day in range(20)]
        past = history(*((day, [kinds[day], rest[day]]) for day in range(20)), user=str(number))
        after = Purchase(item=("bread", "jam")[start], when=FIRST + timedelta(days=20))
        found.append(Episode(history=past, next=after))
    return found


LEARNT = learn(followers(40), [followers(40)], size=10)
MILK = history((0, ["milk"]), (7, ["milk", "eggs"]), (14, ["milk"]), (20, ["tea"]))


def test_last_item_and_most_frequent_are_what_they_say() -> None:
    known = Learnt(popular={}, follows={})
    offered = ["soap", "eggs", "tea", "milk"]
    assert guess(known, "last item", MILK, offered).best == "tea"
    assert guess(known, "last item", MILK, offered).odds == {}
    frequent = guess(known, "most frequent", MILK, offered)
    assert frequent.best == "milk"
    # 3 milk, 1 eggs and 1 tea, and one more of each
    expected = {"soap": 1 / 9, "eggs": 2 / 9, "tea": 2 / 9, "milk": 4 / 9}
    assert frequent.odds == pytest.approx(expected, abs=1e-6)


def test_markov_knows_what_follows_what() -> None:
    right = [
        guess(LEARNT, "Markov", one.history, [*NAMES[:4], "bread", "jam"]).best == one.next.item
        for one in followers(10)
    ]
    assert all(right)


def test_the_fitted_baseline_finds_the_pattern_that_the_households_have() -> None:
    assert LEARNT.questions == 40
    assert set(LEARNT.weights) == set(LEARNT.scales) == set(FEATURES)
    assert LEARNT.weights["follows"] > 0
    offered = ["jam", *NAMES[:8], "bread"]
    right = [
        guess(LEARNT, "recency-frequency", one.history, offered).best == one.next.item
        for one in followers(20)
    ]
    assert np.mean(right) == 1


def test_what_comes_after_the_cut_is_not_learnt() -> None:
    episodes = followers(6)
    changed = [
        one.model_copy(update={"next": Purchase(item="caviar", when=FIRST), "also": ("gold",)})
        for one in episodes
    ]
    assert learn(episodes, size=10) == learn(changed, size=10)
    assert "caviar" not in LEARNT.popular


@pytest.mark.parametrize("name", BASELINES)
def test_odds_are_shares_of_the_candidates_and_the_best_has_the_most(name: str) -> None:
    offered = ["jam", "never seen", *NAMES[:7], "bread"]
    for one in followers(3):
        found = guess(LEARNT, name, one.history, offered)
        assert found.best in offered
        assert bool(found.odds) == (name not in WITHOUT_ODDS)
        if found.odds:
            assert list(found.odds) == offered
            assert sum(found.odds.values()) == pytest.approx(1, abs=1e-4)
            assert found.odds[found.best] == max(found.odds.values())
            assert min(found.odds.values()) > 0


def test_what_was_learnt_survives_the_tape() -> None:
    again = Learnt.model_validate(json.loads(LEARNT.model_dump_json()))
    assert again == LEARNT


def test_the_features_are_as_worked_out_by_hand() -> None:
    table = dict(zip(FEATURES, features(LEARNT, MILK, ["milk", "soap"]).T, strict=True))
    assert table["bought"].tolist() == [1, 0]
    assert table["often"].tolist() == pytest.approx([np.log(4), 0])
    assert table["events ago"].tolist() == pytest.approx([np.log(2), 0])
    assert table["days ago"].tolist() == pytest.approx([np.log(7), 0])
    assert table["due"].tolist() == pytest.approx([6 / 7, 0])


def test_a_day_holds_each_item_once() -> None:
    assert list(days(history((0, ["a", "b", "a"]), (1, ["a"])))) == [["a", "b"], ["a"]]


def test_without_questions_to_fit_on_all_candidates_are_alike() -> None:
    found = guess(learn(followers(4), size=10), "recency-frequency", MILK, ["tea", "milk"])
    assert found.odds == {"tea": 0.5, "milk": 0.5}
