"""choose(): probabilities over options, whatever the log-probabilities look like."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from merchgraph.runtime.structured import FLOOR, PROBE, _odds, choose
from tests.runtime.conftest import Faulty
from tests.runtime.faulty_server import odds, say

HI = [HumanMessage("Does it fit?")]
YES_NO = {"Yes": "Yes", "No": "No"}
ENUM = (say(f'{{"answer": "{PROBE}"}}'), say('{"answer": "No"}'))


async def test_odds_come_from_one_token_and_sum_to_one(faulty: Faulty) -> None:
    model, server = faulty(odds(("Yes", math.log(0.6)), ("Maybe", math.log(0.2)), ("No", -1.8971)))
    chance = await choose(model, HI, ["Yes", "No"], agent="judge")
    assert chance["Yes"] == pytest.approx(0.8, abs=1e-3)
    assert sum(chance.values()) == pytest.approx(1)
    [asked] = server.bodies
    assert asked["max_completion_tokens"] == 1
    assert asked["logprobs"] is True
    assert asked["top_logprobs"] == 20
    assert not asked.get("stream")


async def test_all_tokens_that_say_a_label_count(faulty: Faulty) -> None:
    half = math.log(0.25)
    model, _ = faulty(odds(("Yes", half), (" Yes", half), ("No", half), ("YES", half)))
    chance = await choose(model, HI, ["Yes", "No"], agent="judge")
    assert chance == pytest.approx({"Yes": 2 / 3, "No": 1 / 3})


async def test_options_may_have_other_names_than_their_labels(faulty: Faulty) -> None:
    model, _ = faulty(odds(("A", -0.1), ("B", -3.0)))
    chance = await choose(model, HI, {"entail": "A", "contradict": "B"}, agent="judge")
    assert list(chance) == ["entail", "contradict"]
    assert chance["entail"] > 0.9


async def test_an_absent_label_gets_a_floor_and_not_zero(faulty: Faulty) -> None:
    model, _ = faulty(odds(("Yes", -0.1)))
    chance = await choose(model, HI, ["Yes", "No"], agent="judge")
    assert chance["No"] == pytest.approx(FLOOR, rel=1e-3)


async def test_an_absent_label_never_beats_an_unlikely_one_that_was_reported(
    faulty: Faulty,
) -> None:
    model, _ = faulty(odds(("Sure", -0.01), ("Yes", -30.0)))
    chance = await choose(model, HI, ["Yes", "No"], agent="judge")
    assert chance["Yes"] > 0.99


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {"content": None},
        {"content": []},
        {"content": [{"token": "Yes", "logprob": -0.1, "bytes": None, "top_logprobs": []}]},
        {"content": [{"token": "Yes", "top_logprobs": [{"token": "Yes", "logprob": math.nan}]}]},
        {"content": [{"token": "Yes", "top_logprobs": [{"token": "Yes", "logprob": 0.9}]}]},
        {"content": [{"token": "Yes", "top_logprobs": [{"token": "Yes", "logprob": None}]}]},
        {"content": [{"token": "Yes", "top_logprobs": [{"token": "Sure", "logprob": -0.1}]}]},
        {"content": [{"token": "Yes", "top_logprobs": {"Yes": -0.1}}]},
        {"content": [{"token": "Yes", "top_logprobs": "Yes"}]},
        ["Yes"],
        "Yes",
    ],
)
async def test_unusable_logprobs_fall_back_to_a_constrained_answer(
    wrong: Any, faulty: Faulty
) -> None:
    model, server = faulty(say("Yes", logprobs=wrong), *ENUM)
    assert await choose(model, HI, ["Yes", "No"], agent="judge") == {"Yes": 0.0, "No": 1.0}
    assert len(server.requests) == 3
    form = server.bodies[2]["response_format"]["json_schema"]["schema"]
    assert form["properties"]["answer"]["enum"] == ["Yes", "No"]


def _reply(content: Any) -> AIMessage:
    return AIMessage("x", response_metadata={"logprobs": content})


LOGPROB = st.one_of(st.floats(), st.floats(-50, 0), st.none(), st.text(max_size=4))
TOKEN = st.one_of(st.sampled_from(["Yes", " Yes", "No", " No", "no"]), st.text(max_size=3))
ENTRY = st.fixed_dictionaries({"token": TOKEN, "logprob": LOGPROB})
ANYTHING = st.recursive(st.none() | st.floats() | st.text(max_size=3), st.lists, max_leaves=3)


def _is_a_distribution(chance: dict[str, float]) -> None:
    assert set(chance) == {"Yes", "No"}
    assert all(0 <= value <= 1 for value in chance.values())
    assert sum(chance.values()) == pytest.approx(1)


@given(st.lists(ENTRY, max_size=6))
def test_any_list_of_logprobs_gives_a_distribution_or_nothing(top: list[Any]) -> None:
    chance = _odds(_reply({"content": [{"top_logprobs": top}]}), YES_NO)
    if chance is not None:
        _is_a_distribution(chance)


@given(st.lists(st.tuples(TOKEN, st.floats(-800, 0)), max_size=6))
def test_proper_logprobs_of_a_label_always_give_a_distribution(top: list[Any]) -> None:
    entries = [{"token": token, "logprob": value} for token, value in [("Yes", -1.0), *top]]
    chance = _odds(_reply({"content": [{"top_logprobs": entries}]}), YES_NO)
    assert chance is not None
    _is_a_distribution(chance)


@given(ANYTHING)
def test_a_reply_of_any_shape_never_crashes(shape: Any) -> None:
    for place in (shape, {"content": shape}, {"content": [{"top_logprobs": shape}]}):
        assert _odds(_reply(place), YES_NO) is None
