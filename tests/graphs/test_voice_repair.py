"""The repair of a voice assistant, step by step, over readings of a made-up detector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from merchgraph.graphs import voice_repair
from merchgraph.graphs.voice_repair import Context, Request, build
from merchgraph.runtime.errors import BudgetError, EndpointError, SetupError
from merchgraph.runtime.recording import recorded, replayed
from merchgraph.runtime.scripted import Always, scripted
from tests.graphs.voice_exchange import (
    ASKED,
    OPTIONS,
    RIGHT,
    WRONG,
    actions,
    kinds,
    run,
    turn,
)

BAD, GOOD = 0.9, 0.05
LINE = "Hm, that may not be what was wanted. Could I hear it once more?"


def test_a_calm_face_is_left_alone() -> None:
    found = run(turn(GOOD, RIGHT))
    assert (found.outcome, actions(found), found.repairs) == ("fine", ["fine"], [])
    assert found.usage.calls == 0


def test_an_error_is_repaired_and_the_next_answer_is_watched() -> None:
    found = run(turn(BAD), turn(GOOD, RIGHT))
    assert (found.outcome, actions(found)) == ("repaired", ["repair", "fine"])
    assert kinds(found) == ["ask again"]
    assert found.decisions[0].at < 1  # before the window is over


def test_options_are_offered_first_and_no_kind_is_used_twice() -> None:
    wrong = [turn(BAD, f"Answer {name}", options=OPTIONS) for name in ("a", "b", "c", "d")]
    found = run(*wrong, repairs=3)
    assert kinds(found) == ["offer options", "ask again", "rephrase", "hand over"]
    assert len({repair.line for repair in found.repairs}) == 4
    assert (found.outcome, found.person_needed) == ("person", True)


def test_repairs_are_bounded_and_then_a_person_is_needed() -> None:
    found = run(turn(BAD, "One"), turn(BAD, "Two"), turn(BAD, "Three"), turn(GOOD), repairs=1)
    assert kinds(found) == ["ask again", "hand over"]
    assert (found.person_needed, found.person_said) == (True, "")
    assert len(found.decisions) == 2  # nothing is watched after it


def test_the_same_wrong_answer_goes_to_a_person_and_is_not_repaired_again() -> None:
    found = run(turn(BAD), turn(BAD), turn(BAD, "Another"))
    assert kinds(found) == ["ask again", "hand over"]
    things = [(repair.thing, repair.kind) for repair in found.repairs]
    assert len(set(things)) == len(things)


@settings(max_examples=60)
@given(
    told=st.lists(
        st.tuples(st.sampled_from([GOOD, 0.33, BAD, None]), st.sampled_from("abc"), st.booleans()),
        min_size=1, max_size=8,
    ),
    most=st.integers(1, 3),
)  # fmt: skip
def test_nothing_is_repaired_twice_whatever_happens(
    told: list[tuple[float | None, str, bool]], most: int
) -> None:
    turns = [turn(p, name, options=OPTIONS if many else []) for p, name, many in told]
    found = run(*turns, repairs=most)
    own = [repair for repair in found.repairs if repair.kind != "hand over"]
    assert len({repair.thing for repair in own}) == len(own) <= most
    assert len(set(kinds(found))) == len(kinds(found))
    assert len({repair.line for repair in found.repairs}) == len(found.repairs)
    assert found.person_needed == ("hand over" in kinds(found))
    assert all(
        decision.p_error != GOOD for decision in found.decisions if decision.action == "repair"
    )


def test_an_unsure_look_is_followed_by_one_more_of_twice_the_length() -> None:
    slow = turn([0.33] * 20 + [BAD] * 12)
    found = run(slow)
    assert actions(found) == ["unsure", "repair"]
    assert [decision.look.end for decision in found.decisions] == [4, 8]
    found = run(turn([0.33] * 64))
    assert (found.outcome, actions(found)) == ("unsure", ["unsure", "unsure"])


def test_a_face_that_was_not_seen_says_nothing_about_the_next_answer() -> None:
    found = run(turn(None), turn(BAD, "Other"), turn(GOOD, RIGHT))
    assert actions(found) == ["unsure", "repair", "fine"]
    assert "no face in sight" in found.decisions[0].why


def test_the_reaction_to_the_line_itself_goes_to_a_person() -> None:
    long = turn([BAD] * 60)
    found = run(long)
    assert actions(found) == ["repair", "repair"]
    assert found.decisions[1].look.what == "repair"
    # the line takes time to be said
    assert found.decisions[1].look.start > found.decisions[0].at + 2
    assert kinds(found) == ["ask again", "hand over"]


def test_a_repair_after_which_nothing_was_seen_is_said_to_be_that() -> None:
    assert run(turn(BAD)).outcome == "said"


def test_words_close_the_matter() -> None:
    found = run(turn(BAD), turn(BAD, RIGHT, verdict="fine"))
    assert (found.outcome, kinds(found)) == ("repaired", ["ask again"])
    assert kinds(run(turn(GOOD, verdict="wrong"))) == ["ask again"]


def words_of(script: dict[str, Any], *turns: Any, **settings: Any) -> Any:
    with scripted(script) as model:
        return run(*turns, model=model, **settings)


def test_the_agent_words_the_repair() -> None:
    found = words_of({"repair": [json.dumps({"line": f' "{LINE}" '})]}, turn(BAD))
    (repair,) = found.repairs
    assert (repair.line, repair.by, repair.stopped, repair.broke) == (LINE, "model", "passed", [])
    assert found.usage_by_agent["repair"].calls == 1


def test_a_line_that_breaks_a_rule_is_revised() -> None:
    script = {
        "repair": ['{"line": "You didn\'t speak clearly, what was it?"}'],
        "refine": [json.dumps({"line": LINE})],
    }
    (repair,) = words_of(script, turn(BAD)).repairs
    assert (repair.line, repair.by) == (LINE, "model")


def test_a_line_that_stays_wrong_gives_way_to_a_ready_one() -> None:
    rude = '{"line": "You are wrong, obviously, aren\'t you?"}'
    found = words_of({"repair": [rude], "refine": [rude]}, turn(BAD))
    (repair,) = found.repairs
    assert (repair.by, repair.broke) == ("code", ["tone"])
    assert repair.line == "Sorry, did I get that wrong? Could I hear it once again?"


@pytest.mark.parametrize(
    "answer", ["no json", EndpointError("The server is gone."), BudgetError("Used up.")]
)
def test_without_a_model_the_person_hears_a_ready_line_all_the_same(answer: Any) -> None:
    found = words_of({"repair": Always(answer)}, turn(BAD), turn(GOOD, RIGHT))
    assert found.outcome == "repaired"
    assert [repair.by for repair in found.repairs] == ["code"]
    assert [error.node for error in found.errors] == ["write"]


def test_a_model_that_does_not_exist_is_said_at_once() -> None:
    with pytest.raises(SetupError, match="The model name 'smol' is not known"):
        run(turn(GOOD), model="smol")


async def test_in_a_thread_the_run_waits_for_the_turn_that_a_repair_brings() -> None:
    waiting = build().compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    context = Context(model="none")

    async def go(command: Any) -> Any:
        return await waiting.ainvoke(command, config, context=context)

    state = await go({"turns": [turn(BAD).model_dump()]})
    (stop,) = state["__interrupt__"]
    assert stop.value["wanted"] == "the next turn"
    assert stop.value["said"] == state["repairs"][-1].line
    state = await go(Command(resume=turn(BAD, "Another").model_dump()))
    state = await go(Command(resume=turn(BAD, "A third").model_dump()))
    (stop,) = state["__interrupt__"]
    assert stop.value["wanted"] == "a person"
    assert (stop.value["asked"], len(stop.value["said"])) == (ASKED, 3)
    state = await go(Command(resume="I set it for ten."))
    assert "__interrupt__" not in state
    assert (state["person_needed"], state["person_said"]) == (True, "I set it for ten.")
    assert [repair.kind for repair in state["repairs"]] == ["ask again", "rephrase", "hand over"]
    assert len(state["decisions"]) == 3


async def test_a_thread_that_runs_again_does_not_repair_the_same_thing_again() -> None:
    waiting = build().compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    said = []
    for _ in range(3):
        told: Any = {"turns": [turn(BAD), turn(GOOD, RIGHT)]}
        state = await waiting.ainvoke(told, config, context=Context(model="none"))
        if state.get("__interrupt__"):
            state = await waiting.ainvoke(Command(resume=""), config, context=Context(model="none"))
        said.append([repair.kind for repair in state["repairs"]])
    assert said == [["ask again"], ["hand over"], []]
    assert state["person_needed"]


NO_TURNS: list[tuple[Any, str]] = [
    ({"asked": "x", "answered": ""}, "The setting answered is ''"),
    ("Well", "A turn is an object with asked and answered, not 'Well'"),
    (7, "not 7."),
    ({"asked": "x", "answered": "y"}, "turns.1 has neither readings nor a verdict; give it one"),
]


async def test_what_is_no_turn_is_asked_for_again_and_nothing_ends_the_wait() -> None:
    waiting = build().compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    told: Any = {"turns": [turn(BAD)]}
    await waiting.ainvoke(told, config, context=Context(model="none"))
    for answer, fault in NO_TURNS:
        state = await waiting.ainvoke(Command(resume=answer), config, context=Context(model="none"))
        (stop,) = state["__interrupt__"]
        assert fault in stop.value["fault"]
    state = await waiting.ainvoke(Command(resume=""), config, context=Context(model="none"))
    assert "__interrupt__" not in state
    assert (state["decisions"][-1].action, len(state["repairs"])) == ("repair", 1)


def test_the_default_request_shows_a_repair() -> None:
    found = voice_repair.run(Request(), Context(model="none"))
    assert (found.outcome, [turn.answered for turn in found.turns]) == ("repaired", [WRONG, RIGHT])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"turns": []}, "turns is \\[\\], but: list should have at least 1"),
        ({"turns": [{"asked": "x", "answered": "y"}]}, "turns.0 has neither readings nor a verdict"),
        ({"turns": [{"asked": "x", "answered": "y", "readings": [{"time": 1, "p_error": 1.5}]}]},
         "turns.0.readings.0.p_error is 1.5"),
        ({"turns": [{"asked": "x", "answered": "y", "readings": [{"time": float("nan")}]}]},
         "turns.0.readings.0.time is nan, but: input should be a finite number"),
        ({"turns": [{"asked": "x", "answered": "y", "readings": [{"time": 2}, {"time": 1}]}]},
         "readings has the time 1 s after 2 s; sort them"),
        ({"turns": [{"asked": "", "answered": "y", "verdict": "fine"}]}, "turns.0.asked is ''"),
        ({"turns": [{"asked": "x", "answered": "y", "verdict": "so so"}]}, "turns.0.verdict is"),
        ({"frames": 1}, "There is no setting 'frames'"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_one_sentence(given: Any, told: str) -> None:
    from merchgraph.graphs.front import checked

    with pytest.raises(SetupError, match=told):
        checked(Request, given)


def test_a_run_of_most_turns_stays_within_its_steps() -> None:
    unsure = [turn([0.33] * 40, f"Answer {n}") for n in range(12)]
    found = run(*unsure)
    assert actions(found) == ["unsure"] * 24


def test_a_dialogue_that_a_model_worded_replays_without_it(tmp_path: Path) -> None:
    exchange = [turn(BAD), turn(BAD, "Another", options=OPTIONS), turn(GOOD, RIGHT)]
    offer = "Sorry, was it a timer for ten minutes, or an alarm for ten?"
    script: Any = {"repair": [f'{{"line": "{line}"}}' for line in (LINE, offer)]}
    with scripted(script, name="once") as model, recorded(tmp_path / "t.jsonl.zst"):
        first = run(*exchange, model=model)
    assert [repair.line for repair in first.repairs] == [LINE, offer]
    with replayed(tmp_path / "t.jsonl.zst"):
        assert run(*exchange, model="scripted/once") == first
