from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merchgraph.agents.nli import Nli, NliScore, Rationale, products
from merchgraph.agents.shopper import Candidate, Shopper
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.scripted import Text, scripted

TEA = Candidate(item="tea", text="Green tea")


@pytest.mark.parametrize(
    ("odds", "score", "label"),
    [
        ({"Yes": 1.0}, 1.0, "entail"),
        ({"No": 1.0}, 0.0, "contradict"),
        ({"Maybe": 1.0}, 0.5, "neutral"),
        ({"Yes": 0.6, "Maybe": 0.2, "No": 0.2}, 0.7, "entail"),
        ({"Yes": 0.3, "Maybe": 0.1, "No": 0.1}, 0.7, "entail"),  # half of the mass elsewhere
        ({"Yes": 0.1, "Maybe": 0.4, "No": 0.3, "I": 0.2}, 0.375, "neutral"),
    ],
)
async def test_the_score_is_entail_plus_half_of_neutral(
    shopper: Shopper, odds: dict[str, float], score: float, label: str
) -> None:
    with scripted({"nli": [odds]}) as model:
        found = await Nli(chat_model(model)).score(shopper, TEA)
    assert found.score == pytest.approx(score, abs=1e-5)
    assert found.label == label
    assert found.item == "tea"


@settings(max_examples=40)
@given(yes=st.floats(0, 1), maybe=st.floats(0, 1), no=st.floats(0, 1))
async def test_the_score_stays_in_range_whatever_the_odds(
    yes: float, maybe: float, no: float
) -> None:
    odds = {"Yes": yes, "Maybe": maybe, "No": no}
    if not any(odds.values()):
        odds["Yes"] = 1.0
    with scripted({"nli": [odds]}) as model:
        found = await Nli(chat_model(model)).score(Shopper(user="7"), TEA)
    assert found.score is not None
    assert 0 <= found.score <= 1
    assert found.entail + found.neutral + found.contradict == pytest.approx(1)


async def test_a_server_without_log_probabilities_is_asked_for_the_word(shopper: Shopper) -> None:
    with scripted({"nli": ["Yes", '{"answer": "Maybe"}']}) as model:
        found = await Nli(chat_model(model)).score(shopper, TEA)
    assert (found.score, found.label) == (0.5, "neutral")


async def test_the_rationale_is_one_turn_on_in_the_same_conversation(shopper: Shopper) -> None:
    with scripted({"nli": [{"Yes": 1.0}, Rationale(reason="likes tea")]}) as model:
        nli = Nli(chat_model(model))
        score = await nli.score(shopper, TEA)
        assert await nli.rationale(shopper, TEA, score) == "likes tea"
    asked, why = (messages for _, _, messages in model.script.asked)
    assert why[:2] == asked
    assert why[2].content == "Yes"


@pytest.mark.parametrize(
    ("label", "said"),
    [("entail", "Yes"), ("neutral", "Maybe"), ("contradict", "No"), (None, "Maybe")],
)
async def test_the_judge_is_asked_why_it_said_what_it_said(
    shopper: Shopper, label: Any, said: str
) -> None:
    score = NliScore(item="tea", score=None, label=label)
    with scripted({"nli": [Rationale(reason="so")]}) as model:
        await Nli(chat_model(model)).rationale(shopper, TEA, score)
    assert model.script.asked[0][2][2].content == said


async def test_a_rationale_that_runs_over_is_cut(shopper: Shopper) -> None:
    with scripted({"nli": [Text('{"reason": "' + "words " * 99 + '"}')]}) as model:
        reason = await Nli(chat_model(model)).rationale(
            shopper, TEA, NliScore(item="tea", score=1.0, label="entail")
        )
    assert len(reason) <= 100
    assert reason.endswith("…")


def test_products_are_numbered_one_a_line_with_fit_and_reason() -> None:
    rows = [
        (TEA, NliScore(item="tea", score=0.756, rationale="likes\ntea")),
        (Candidate(item="x", text="Two\nlines"), NliScore(item="x", score=None)),
        (Candidate(item="y", text=""), NliScore(item="y", score=0.0)),
    ]
    text = products(rows)
    assert [line[:2] for line in text.splitlines() if line[0].isdigit()] == ["1.", "2.", "3."]
    for part in ("0.76", "likes tea", "Two lines", "unknown", "(no text)", "0.00"):
        assert part in text
