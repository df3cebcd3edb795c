"""When a repair is due, and which: the costs, the band of no decision, too little of a face."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.agents.repairer import Kind
from merchgraph.graphs.voice_repair_policy import chosen, decided
from merchgraph.graphs.voice_repair_state import Context, Decision, Look, Repair, Turn
from tests.graphs.voice_exchange import OPTIONS, readings, turn

LOOK = Look(turn=0, start=0.0, end=4.0)
CALM, SURE = 0.1, 0.9


def come(*levels: float | None, step: float = 0.25, **settings: Any) -> Decision:
    return decided(LOOK, turn(), readings(*levels, step=step), Context(**settings))


@pytest.mark.parametrize(("ratio", "threshold"), [(1, 1 / 2), (2, 1 / 3), (4, 1 / 5), (0.25, 0.8)])
def test_the_threshold_is_where_both_choices_cost_the_same(ratio: float, threshold: float) -> None:
    context = Context(cost_ratio=ratio)
    assert context.threshold == pytest.approx(threshold)
    assert (1 - context.threshold) * 1 == pytest.approx(context.threshold * ratio)


@given(p=st.floats(0.01, 0.99), ratio=st.floats(0.1, 20), share=st.floats(0.02, 0.98))
def test_where_errors_are_rarer_than_learnt_the_threshold_is_that_of_the_corrected_p(
    p: float, ratio: float, share: float
) -> None:
    context = Context(cost_ratio=ratio, error_share=share, learnt_share=0.5)
    # Bayes: the same evidence under another prior
    right = p * share / (p * share + (1 - p) * (1 - share))
    cheaper = right * ratio - (1 - right)
    assert p - context.threshold == pytest.approx(0, abs=1e-6) or (
        (p > context.threshold) == (cheaper > 0)
    )
    assert (
        Context(cost_ratio=ratio, error_share=0.5).threshold == Context(cost_ratio=ratio).threshold
    )


@given(p=st.floats(0, 1), ratio=st.floats(0.01, 100), margin=st.floats(0, 0.49))
def test_a_steady_p_is_decided_by_the_band_around_the_threshold(
    p: float, ratio: float, margin: float
) -> None:
    context = Context(cost_ratio=ratio, margin=margin)
    low, high = context.band
    assert 0 < low <= context.threshold <= high < 1
    found = decided(LOOK, turn(), readings(*[p] * 16), context)
    assert found.action == ("repair" if p >= high else "fine" if p < low else "unsure")


@given(st.lists(st.floats(0, 1), min_size=16, max_size=16), st.floats(1, 50))
def test_a_dearer_error_never_makes_a_repair_less_likely(levels: list[float], ratio: float) -> None:
    if come(*levels, cost_ratio=1, margin=0).action == "repair":
        assert come(*levels, cost_ratio=ratio, margin=0).action == "repair"


def test_a_likely_error_waits_for_the_end_and_a_very_likely_one_does_not() -> None:
    likely = come(*[0.45] * 16)
    assert (likely.action, likely.at, likely.why) == ("repair", 4.0, "p(error) is above 0.33")
    very = come(*[0.7] * 16)
    assert (very.action, very.at) == ("repair", 0.75)
    assert come(*[0.7] * 16, early=1).at == 4.0
    # a moment above the threshold is no reason, where all that is seen says otherwise
    assert come(*[0.45] * 12, *[CALM] * 4).action == "fine"


def test_an_early_repair_waits_until_p_has_stayed_above() -> None:
    found = come(*[CALM] * 4, *[SURE] * 12, hold_s=0.5)
    assert (found.action, found.at) == ("repair", 1.75)  # above since 1.25 s
    assert come(*[CALM, SURE] * 7, CALM, CALM, hold_s=0.25).action == "fine"


def test_a_gap_begins_the_wait_anew() -> None:
    found = come(SURE, None, None, None, SURE, SURE, SURE, *[CALM] * 9, hold_s=0.5)
    assert (found.action, found.at) == ("repair", 1.75)  # not 1.25, a second after the first


def test_readings_after_the_window_do_not_count() -> None:
    late = come(*[CALM] * 16, *[SURE] * 16)
    assert (late.action, late.at) == ("fine", 4.0)
    assert len(late.readings) == 16


@pytest.mark.parametrize(
    ("levels", "why"),
    [
        ((), "there is no frame in the window"),
        ((0.1,), "the detector has an answer in 12% of the window"),
        ((None,) * 16, "the detector has an answer in 0% of the window: no face in sight"),
        ((0.1, 0.1) + (None,) * 14, "in 25% of the window: no face in sight"),
    ],
    ids=["nothing", "one frame", "zero faces", "a face that leaves"],
)
def test_too_little_of_a_face_is_no_decision(levels: tuple[float | None, ...], why: str) -> None:
    found = come(*levels)
    assert (found.action, found.p_error) == ("unsure", None)
    assert why in found.why


def test_words_outweigh_the_face() -> None:
    said = decided(LOOK, turn(SURE, verdict="fine"), readings(*[SURE] * 16), Context())
    assert (said.action, said.p_error, said.why) == ("fine", 0.0, "the person said so")
    said = decided(LOOK, turn(CALM, verdict="wrong"), readings(*[CALM] * 16), Context())
    assert (said.action, said.p_error) == ("repair", 1.0)


def said(kind: Kind, number: int = 0) -> Repair:
    return Repair(turn=number, thing="x", kind=kind, line="Sorry?", by="code", stopped="by code")


def due(what: Any = "answer") -> Decision:
    look = LOOK.model_copy(update={"what": what})
    return Decision(look=look, action="repair", p_error=0.9, at=1, threshold=0.3, why="it is high")


def test_the_ladder_goes_from_choosing_to_saying_again_to_checking() -> None:
    at, limit = turn(options=OPTIONS), Context(repairs=3)
    one, two, three = said("offer options"), said("ask again"), said("rephrase")
    assert chosen(due(), at, [], [], limit) == "offer options"
    assert chosen(due(), at, [one], [], limit) == "ask again"
    assert chosen(due(), at, [one, two], [], limit) == "rephrase"
    assert chosen(due(), at, [one, two, three], [], limit) == "hand over"
    assert chosen(due(), turn(), [], [], limit) == "ask again"


@pytest.mark.parametrize("options", [["x" * 61], ["frown at it"], ["it's \u202eneve"], ["  "]])
def test_options_that_cannot_be_said_are_not_offered(options: list[str]) -> None:
    assert chosen(due(), turn(options=options), [], [], Context()) == "ask again"


def test_a_thing_is_repaired_once_and_handed_over_once() -> None:
    context = Context(repairs=3)
    assert chosen(due("repair"), turn(), [said("ask again")], ["ask again"], context) == "hand over"
    assert chosen(due(), turn(), [], ["ask again"], context) == "hand over"
    assert chosen(due(), turn(), [], ["ask again", "hand over"], context) is None


def test_the_same_thing_is_known_by_its_words() -> None:
    same = Turn(asked="set a  TIMER", answered="Done", verdict="wrong")
    assert same.thing == Turn(asked="Set a timer", answered=" done ", verdict="fine").thing
    assert same.thing != Turn(asked="Set a timer", answered="Done now", verdict="fine").thing
