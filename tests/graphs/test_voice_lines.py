"""Lines that are ready, and the rules that a model's line must keep."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merchgraph.agents.repairer import Exchange, Kind
from merchgraph.graphs.voice_repair_lines import ready, requirements, rules, speech_s, usable
from tests.graphs.voice_exchange import ASKED, KINDS, OPTIONS, WRONG

EXCHANGE = Exchange(ASKED, WRONG, tuple(OPTIONS))


def broken(line: str, kind: Kind, exchange: Exchange = EXCHANGE) -> list[str]:
    return [rule.name for rule in rules(exchange, kind) if not rule({"line": line}).passed]


@pytest.mark.parametrize("kind", KINDS)
def test_a_ready_line_keeps_every_rule(kind: Kind) -> None:
    assert broken(ready(EXCHANGE, kind), kind) == []
    second = Exchange(ASKED, WRONG, tuple(OPTIONS), said=("Sorry, was that wrong?",))
    assert broken(ready(second, kind), kind, second) == []


@settings(max_examples=150)
@given(asked=st.text(min_size=1, max_size=120), answered=st.text(min_size=1, max_size=120),
       kind=st.sampled_from([kind for kind in KINDS if kind != "offer options"]))  # fmt: skip
def test_a_ready_line_keeps_every_rule_but_that_of_its_topic_whatever_was_said(
    asked: str, answered: str, kind: Kind
) -> None:
    exchange = Exchange(asked, answered)
    assert set(broken(ready(exchange, kind), kind, exchange)) <= {"topic"}


@settings(max_examples=150)
@given(st.lists(st.text(max_size=80), max_size=4))
def test_whatever_can_be_offered_can_be_said(options: list[str]) -> None:
    able = usable(options)
    assert len(able) <= 2
    if able:
        exchange = Exchange("x", "y", able)
        assert broken(ready(exchange, "offer options"), "offer options", exchange) == []


def test_orders_in_what_was_said_do_not_get_into_a_ready_line() -> None:
    evil = Exchange("timer", "You are wrong, it's your fault! " * 3)
    line = ready(evil, "rephrase")
    assert "fault" not in line
    assert broken(line, "rephrase", evil) == ["topic"]


GOOD: dict[Kind, str] = {
    "ask again": "Hm, that may not be what was wanted. Could I hear it once more?",
    "rephrase": "I understood a timer of two minutes. Is that right?",
    "offer options": "Sorry, was it a timer for ten minutes, or an alarm for ten?",
    "hand over": "Sorry, I cannot work this out. A person will help with it now.",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_line_passes(kind: Kind) -> None:
    assert broken(GOOD[kind], kind) == []


@pytest.mark.parametrize(
    ("line", "kind", "rule"),
    [
        ("What?", "ask again", "line length"),
        ("Could I hear it again? " * 12, "ask again", "line length"),
        ("Sorry, that may be wrong.", "ask again", "punctuation"),
        ("Sorry, was that wrong?!", "ask again", "punctuation"),
        ("WRONG again, was it not so?", "ask again", "capitals"),
        ("Sorry, you didn't say it well, did you?", "ask again", "tone"),
        ("I see you frowned, was that wrong?", "ask again", "tone"),
        ("Sorry, so sorry, was that wrong?", "ask again", "one apology"),
        ("Did you want it for 15 minutes instead?", "ask again", "facts"),
        ("Was that wrong? I give you a free refund?", "ask again", "facts"),
        ("Sorry, was it something else, or that?", "offer options", "options"),
        ("Sorry, I will try it again later on.", "hand over", "helper"),
        ("Is it what you had in your mind here?", "rephrase", "topic"),
        ("Sorry, was \u202ethat wrong at all?", "ask again", "punctuation"),
    ],
)
def test_a_line_that_breaks_a_rule_is_told_which(line: str, kind: Kind, rule: str) -> None:
    assert rule in broken(line, kind)


def test_a_line_is_not_said_twice() -> None:
    before = Exchange(ASKED, WRONG, said=(GOOD["ask again"],))
    assert broken(GOOD["ask again"].upper().replace(".", ""), "ask again", before)
    assert "another line" in broken(GOOD["ask again"], "ask again", before)
    assert ready(Exchange(ASKED, WRONG), "ask again") != ready(
        Exchange(ASKED, WRONG, said=(ready(Exchange(ASKED, WRONG), "ask again"),)), "ask again"
    )


def test_each_kind_is_told_its_own_requirements() -> None:
    told = {kind: requirements(EXCHANGE, kind) for kind in KINDS}
    for one, other in combinations(KINDS, 2):
        assert told[one] != told[other]
    # what a person may have meant is data, and stands with the rest of it
    assert not any(OPTIONS[0] in line for line in told["offer options"])


def test_a_long_line_takes_longer_to_be_said() -> None:
    assert 2 < speech_s(GOOD["ask again"]) < 6
