from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.bandit import Pilot, Prior, Stop

NOW = Stop(least=0)


def pilot(*clicks: int, shows: int = 1_000, stop: Stop = NOW, prior: Prior | None = None) -> Pilot:
    """Arms a, b, c ... with these clicks, all answered; the last is the control."""
    names = "abcdefgh"[: len(clicks)]
    made = Pilot.start(names[:-1], control=names[-1], stop=stop, prior=prior or Prior())
    made = made.give(dict.fromkeys(names, shows))
    for name, count in zip(names, clicks, strict=True):
        made = made.observe(name, shows=shows, clicks=count)
    return made


def test_the_first_shows_are_even_and_give_each_arm_its_least() -> None:
    at_first = Pilot.start(["a", "b"], control="manual", stop=Stop(least=500))
    assert at_first.choose(600) == {"a": 200, "b": 200, "manual": 200}
    uneven = at_first.give({"a": 450, "b": 100})
    assert uneven.choose(300) == {"a": 0, "b": 100, "manual": 200}
    assert sum(uneven.choose(5_000).values()) == 5_000
    assert uneven.choose(5_000)["manual"] >= 500


def test_single_first_shows_go_round() -> None:
    made, order = Pilot.start(["a", "b"], control="m", stop=Stop(least=4)), ""
    for _ in range(6):
        shows = made.choose(1)
        made, order = made.give(shows), order + next(name for name, n in shows.items() if n)
    assert order == "abmabm"


def test_later_shows_follow_the_probability_of_being_best() -> None:
    made = pilot(20, 26, 23)
    p, n = made.p_best(), 300_000  # more than are drawn at a time
    shares = {name: shows / n for name, shows in made.choose(n).items()}
    assert shares == pytest.approx(p, abs=4e-3)
    assert 0.05 < p["a"] < p["c"] < p["b"] < 0.9


def test_the_same_pilot_chooses_the_same_and_the_next_draws_anew() -> None:
    made = pilot(20, 26, 23)
    again = Pilot.model_validate_json(made.model_dump_json())
    assert again == made
    assert again.choose(200) == made.choose(200)
    following = made.give(made.choose(200))
    assert following.choose(200) != made.choose(200)
    assert following.p_best() == made.p_best()
    assert made.model_copy(update={"seed": 1}).choose(200) != made.choose(200)


def test_pending_shows_are_counted_and_answered_in_parts() -> None:
    made = Pilot.start(["a"], control="m").give({"a": 100})
    made = made.observe("a", shows=60, clicks=2)
    assert made.arm("a").model_dump() == {"id": "a", "shows": 60, "clicks": 2, "pending": 40}
    made = made.observe("a", shows=40, clicks=0)
    assert made.arm("a").model_dump() == {"id": "a", "shows": 100, "clicks": 2, "pending": 0}
    assert made.arm("m").shows == 0


def test_there_is_a_winner_once_it_is_sure_and_all_arms_had_their_least() -> None:
    assert pilot(10, 60).winner == "b"
    assert pilot(40, 41).winner is None
    assert pilot(40, 41, stop=Stop(least=0, sure=0.5)).winner == "b"
    assert pilot(10, 60, stop=Stop(least=1_001)).winner is None
    assert pilot(10, 60, stop=Stop(least=1_000)).winner == "b"
    assert Pilot.start(["a"], control="m", stop=NOW).winner is None


def test_the_leader_loses_least() -> None:
    made = pilot(30, 45, 41)
    regret = made.expected_regret()
    assert made.leader == min(regret, key=lambda name: regret[name]) == "b"
    assert 0 < regret["b"] < regret["c"] < regret["a"]
    assert regret["a"] - regret["b"] == pytest.approx(15 / 1_002)


def test_expected_regret_agrees_with_draws() -> None:
    made = pilot(30, 45, 41)
    rates = np.random.default_rng(0).beta([31, 46, 42], [971, 956, 960], (400_000, 3))
    lost = (rates.max(axis=1, keepdims=True) - rates).mean(axis=0)
    assert list(made.expected_regret().values()) == pytest.approx(lost, rel=0.02)


def test_copies_are_compared_with_the_control() -> None:
    over = pilot(30, 45, 41).p_over_control()
    assert over.keys() == {"a", "b"}
    assert over["a"] < 0.5 < over["b"]
    assert pilot(30, 41).p_over_control()["a"] == pytest.approx(over["a"], abs=1e-9)


def test_the_prior_counts_as_shows_that_were_seen() -> None:
    known = pilot(0, 0, shows=0, prior=Prior(clicks=20, misses=980))
    assert known.expected_regret()["a"] < pilot(0, 0, shows=0).expected_regret()["a"]
    strong, weak = (pilot(30, 45, prior=Prior(clicks=n, misses=49 * n)) for n in (1_000, 1))
    assert 0.5 < strong.p_best()["b"] < weak.p_best()["b"]


@given(st.lists(st.integers(1, 700), min_size=1, max_size=12), st.integers(0, 200))
def test_no_show_is_lost_or_answered_twice(sizes: list[int], least: int) -> None:
    made, rng = Pilot.start("ab", control="m", stop=Stop(least=least)), np.random.default_rng(0)
    for n in sizes:
        shows = made.choose(n)
        assert sum(shows.values()) == n
        assert min(shows.values()) >= 0
        made = made.give(shows)
        for arm in made.arms:
            answered = int(rng.integers(0, arm.pending + 1))
            made = made.observe(arm.id, shows=answered, clicks=int(rng.binomial(answered, 0.1)))
    assert sum(arm.shows + arm.pending for arm in made.arms) == sum(sizes)
    assert all(arm.clicks <= arm.shows for arm in made.arms)


@pytest.mark.parametrize(
    ("arm", "shows", "clicks", "problem"),
    [
        ("x", 1, 0, r"no arm 'x'; it has 'a', 'm'"),
        ("a", 3, 4, "4 clicks of 3 shows, but a show has at most one click"),
        ("a", -1, -2, "neither can be below 0"),
        ("a", 3, -1, "neither can be below 0"),
        ("a", 11, 0, "only 10 are pending; tell each show once"),
        ("m", 1, 0, "only 0 are pending"),
    ],
)
def test_feedback_that_cannot_be_is_refused(
    arm: str, shows: int, clicks: int, problem: str
) -> None:
    made = Pilot.start(["a"], control="m").give({"a": 10})
    with pytest.raises(SetupError, match=problem):
        made.observe(arm, shows=shows, clicks=clicks)


def test_shows_that_cannot_be_are_refused() -> None:
    made = Pilot.start(["a"], control="m")
    for n in (0, -3):
        with pytest.raises(SetupError, match=f"The next {n} shows .* at least 1"):
            made.choose(n)
    with pytest.raises(SetupError, match="no arm 'x'"):
        made.give({"x": 1})
    with pytest.raises(SetupError, match="'a' was given -1 shows"):
        made.give({"a": -1})


@pytest.mark.parametrize(
    ("copies", "control", "problem"),
    [
        ([], "m", "at least 2 items"),
        (["a", "a"], "m", "two arms have the id 'a'"),
        (["m"], "m", "two arms have the id 'm'"),
        ([""], "m", "at least 1 character"),
    ],
)
def test_a_pilot_that_cannot_start_says_why(copies: list[str], control: str, problem: str) -> None:
    with pytest.raises(SetupError, match=problem):
        Pilot.start(copies, control=control)


@pytest.mark.parametrize(
    "change",
    [
        {"control": "x"},
        {"seed": -1},
        {"arms": [{"id": "a", "shows": 1, "clicks": 2}, {"id": "m"}]},
        {"prior": {"clicks": 0, "misses": 1}},
        {"stop": {"sure": 1.0}},
        {"odd": 1},
    ],
)
def test_json_of_a_pilot_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    good = Pilot.start(["a"], control="m").model_dump(mode="json")
    with pytest.raises(ValidationError):
        Pilot.model_validate(good | change)
