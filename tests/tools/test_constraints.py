"""Verdicts, how rules combine, and lengths."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.constraints import Limits, Rule, Verdict, all_of, flatten, quoted, size
from merchgraph.tools.text import graphemes, length


def fixed(name: str, *, passes: bool) -> Rule:
    return Rule(name, lambda copy: "" if passes else f"{name} failed")


def header(text: str) -> dict[str, str]:
    return {"header": text}


PASSES = st.booleans()


@given(PASSES, PASSES)
def test_both_pass_when_both_do_and_either_when_one_does(one: bool, other: bool) -> None:
    a, b = fixed("a", passes=one), fixed("b", passes=other)
    assert (a & b)({}).passed == (b & a)({}).passed == (one and other)
    assert (a | b)({}).passed == (b | a)({}).passed == (one or other)


@given(PASSES, PASSES, PASSES)
def test_chains_do_not_depend_on_brackets(one: bool, two: bool, three: bool) -> None:
    a, b, c = fixed("a", passes=one), fixed("b", passes=two), fixed("c", passes=three)
    assert ((a & b) & c)({}) == (a & (b & c))({})
    assert ((a | b) | c)({}) == (a | (b | c))({})
    assert (a & (b | c))({}).passed == ((a & b) | (a & c))({}).passed


@given(st.lists(PASSES, min_size=1))
def test_a_chain_tells_every_fault_in_order(passes: list[bool]) -> None:
    rules = [fixed(str(number), passes=one) for number, one in enumerate(passes)]
    verdict = all_of(rules)({})
    failed = [f"{number} failed" for number, one in enumerate(passes) if not one]
    assert verdict.feedback.splitlines() == failed
    assert verdict.passed == (not failed)


def test_a_chain_is_flattened_and_an_alternative_stays_whole() -> None:
    a, b, c = (fixed(name, passes=False) for name in "abc")
    assert flatten(a & b & c) == [a, b, c]
    assert flatten(a & (b & c)) == [a, b, c]
    assert [rule.name for rule in flatten((a | b) & c)] == ["a or b", "c"]
    assert flatten(a) == [a]
    assert (a & b).name == "a and b"
    assert flatten((a & b).named("both"))[0].name == "both"
    assert (a | b)({}) == Verdict(rule="a or b", passed=False, feedback="a failed or b failed")


def test_a_verdict_cannot_be_changed() -> None:
    verdict = fixed("a", passes=True)({})
    assert verdict == Verdict(rule="a", passed=True, feedback="")
    with pytest.raises(ValidationError):
        verdict.passed = False


def test_a_chain_of_nothing_and_limits_that_allow_nothing_are_refused() -> None:
    with pytest.raises(SetupError, match="0 rules"):
        all_of([])
    for least, most in ((5, 4), (-1, 4)):
        with pytest.raises(SetupError, match=f"Limits of {least} to {most} allow nothing"):
            Limits(least, most)


def test_feedback_says_what_was_seen_what_is_allowed_and_the_smallest_change() -> None:
    rule = size("header", characters=Limits(20, 40), keep=["free delivery", "bread"])
    text = "Free delivery of everything that you will ever need at home all week"
    verdict = rule(header(text[:67]))
    assert verdict.rule == "header length"
    assert verdict.feedback == (
        "Header has 67 characters; allowed 20 to 40; cut at least 27; keep 'free delivery'"
    )
    short = rule(header("x"))
    assert short.feedback == "Header has 1 character; allowed 20 to 40; add at least 19"
    assert rule({}).feedback == "Header has 0 characters; allowed 20 to 40; add at least 20"


def test_words_are_counted_too() -> None:
    rule = size("header", characters=Limits(0, 9), words=Limits(2, 2))
    assert rule(header("Two words")).passed
    assert rule(header("Three of them")).feedback.splitlines() == [
        "Header has 13 characters; allowed 0 to 9; cut at least 4",
        "Header has 3 words; allowed 2; cut at least 1",
    ]


def test_a_family_of_emoji_is_one_character() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    rule = size("header", characters=Limits(2, 2))
    assert rule(header(family + "e\u0301")).passed
    assert not rule(header(family)).passed


@given(st.text(max_size=60), st.integers(0, 30), st.integers(0, 30))
def test_the_change_asked_for_makes_a_length_pass(text: str, least: int, span: int) -> None:
    rule = size("header", characters=Limits(least, least + span))
    feedback = rule(header(text)).feedback
    if cut := re.search(r"cut at least (\d+)", feedback):
        text = "".join(graphemes(text)[: -int(cut[1])])
    elif add := re.search(r"add at least (\d+)", feedback):
        # a tab joins no neighbour, whatever that is
        text += "\t" * int(add[1])
    else:
        assert least <= length(text) <= least + span
    assert rule(header(text)).passed


def test_quotations_are_few_short_and_each_once() -> None:
    assert quoted(["a", "b", "a"]) == "'a', 'b'"
    assert quoted(list("abcdefg")) == "'a', 'b', 'c', 'd', 'e' and 2 more"
    assert len(quoted(["x" * 10_000] * 9)) < 60
