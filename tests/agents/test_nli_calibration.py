"""Calibrated judgements: what the shopper adds to what the judge says of the item alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merchgraph.agents.nli import Nli, NliScore, logit
from merchgraph.agents.shopper import Candidate, Shopper
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.scripted import Answer, scripted

TEA = Candidate(item="tea", text="Green tea")


async def judged(said: Answer, alone: Answer) -> NliScore:
    with scripted({"nli": [said], "prior": [alone]}) as model:
        nli = Nli(chat_model(model))
        return await nli.score(Shopper(user="7"), TEA, calibrate=True)


async def test_the_prior_is_asked_of_a_shopper_of_whom_nothing_is_known(shopper: Shopper) -> None:
    with scripted(
        {"nli": [{"Yes": 0.8, "No": 0.2}] * 2, "prior": [{"Yes": 0.6, "No": 0.4}] * 2}
    ) as model:
        nli = Nli(chat_model(model))
        found = await nli.score(shopper, TEA, calibrate=True)
        await nli.score(Shopper(user="8", session=("Soap",)), TEA, calibrate=True)
    asked = [(agent, str(messages[1].content)) for agent, _, messages in model.script.asked]
    assert [agent for agent, _ in asked] == ["nli", "prior", "nli", "prior"]
    assert asked[1] == asked[3], "the prior is the same for every shopper"
    assert "(nothing known)" in asked[1][1]
    assert "Oat milk" not in asked[1][1]
    for _, text in asked[:2]:
        assert text.split("</shopper>")[1] == asked[0][1].split("</shopper>")[1]
    assert [found.raw, found.prior] == pytest.approx([0.8, 0.6])
    assert found.score == pytest.approx((0.8 / 0.2) / (0.8 / 0.2 + 0.6 / 0.4))
    assert found.label == "entail"


async def test_a_judge_that_says_the_same_of_everybody_is_undecided() -> None:
    for odds in ({"Yes": 1.0}, {"No": 1.0}, {"Yes": 0.7, "Maybe": 0.1, "No": 0.2}):
        assert (await judged(odds, odds)).score == pytest.approx(0.5)


async def test_the_order_of_two_items_may_turn_around() -> None:
    liked_by_all = await judged({"Yes": 0.9, "No": 0.1}, {"Yes": 0.95, "No": 0.05})
    liked_here = await judged({"Yes": 0.4, "No": 0.6}, {"Yes": 0.1, "No": 0.9})
    assert liked_by_all.raw is not None
    assert liked_here.raw is not None
    assert liked_by_all.raw > liked_here.raw
    assert liked_by_all.score is not None
    assert liked_here.score is not None
    assert liked_by_all.score < 0.5 < liked_here.score


async def test_a_server_without_log_probabilities_can_be_calibrated() -> None:
    found = await judged({"Yes": 1.0}, {"No": 1.0})
    assert found.score is not None
    assert 0.99 < found.score <= 1
    with scripted(
        {"nli": ["Yes", '{"answer": "Yes"}'], "prior": ["No", '{"answer": "No"}']}
    ) as model:
        sure = await Nli(chat_model(model)).score(Shopper(user="7"), TEA, calibrate=True)
    assert sure.score == pytest.approx(1.0)
    assert (sure.raw, sure.prior) == (1.0, 0.0)


async def test_an_uncalibrated_score_has_no_prior_and_one_call(shopper: Shopper) -> None:
    with scripted({"nli": [{"Yes": 0.8, "No": 0.2}]}) as model:
        found = await Nli(chat_model(model)).score(shopper, TEA)
    assert found.prior is None
    assert found.score == found.raw
    assert NliScore(item="tea", score=None).raw is None


@settings(max_examples=40)
@given(yes=st.floats(0, 1), alone=st.floats(0, 1))
async def test_a_calibrated_score_stays_in_range(yes: float, alone: float) -> None:
    found = await judged({"Yes": yes, "No": 1 - yes}, {"Yes": alone, "No": 1 - alone})
    assert found.score is not None
    assert 0 <= found.score <= 1
    assert NliScore.model_validate_json(found.model_dump_json()) == found


@given(p=st.floats(0, 1))
def test_the_logit_is_finite_and_odd(p: float) -> None:
    assert abs(logit(p)) < 14
    assert logit(1 - p) == pytest.approx(-logit(p), abs=1e-6)
