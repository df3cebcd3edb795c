"""A use case in words: nothing that is checked is left unsaid."""

from __future__ import annotations

import pytest

from merchgraph.graphs.copywriting import graph
from merchgraph.graphs.copywriting_brief import (
    brief,
    guidelines,
    mended,
    requirements,
    shots,
)
from merchgraph.graphs.copywriting_state import loaded
from merchgraph.runtime.scripted import Always
from tests.graphs.tea_campaign import CASE, GOOD, NO, YES, changed_case, copies, copy, replies, run


def test_every_check_is_said_in_the_order_in_which_they_run() -> None:
    case = changed_case(
        order=[{"first": "tea", "then": "cup"}],
        off_brand=["cheap"],
        capitals="sentence",
        names=["Assam"],
        parts={
            "header": {"characters": {"most": 30}, "words": {"least": 3, "most": 3}},
            "subheader": {"characters": {"least": 10, "most": 60}},
        },
    )
    assert list(requirements(case)) == [
        "The header has at most 30 characters, blanks included.",
        "The header has just 3 words.",
        "The subheader has 10 to 60 characters, blanks included.",
        "The header says 'tea'; forms of the words count.",
        "The copy never says 'coffee', in no form of the words.",
        "The copy never says 'cheap', in no form of the words.",
        "Each part is one line of plain text; its marks are from . , ! ? & ' % - : \u2019 \u2013 and "
        "never doubled.",
        "No part ends with a mark.",
        "Capitals only where a sentence begins and in names. Written as here: Assam.",
        "Where a copy says both, 'tea' comes before 'cup'.",
        "Numbers, prices and promises are those of the facts; there are no others.",
        "The copy tells the reader: There are green teas.",
        "The subheader goes on from the header: the same offer, and nothing said twice.",
        "The tone of every phrase: calm",
        "The copy speaks to its readers and would not do for others: People who drink tea",
    ]


@pytest.mark.parametrize(
    ("end", "said"), [(".!", "Each part ends with one of . !"), (None, None), ("", "No part ends")]
)
def test_the_end_of_a_part_is_said_as_it_is_checked(end: str | None, said: str | None) -> None:
    examples = [{"header": "Time for tea!", "subheader": "12 green teas wait for you."}]
    case = changed_case(
        punctuation={"end": end}, examples=examples if end else CASE.model_dump()["examples"]
    )
    told = [line for line in requirements(case) if "part ends" in line]
    assert [line.startswith(said) for line in told if said] == ([True] if said else [])
    assert bool(told) == bool(said)


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_each_judged_check_of_the_bundled_use_cases_has_its_evaluator(name: str) -> None:
    case = loaded(name)
    found = guidelines(case)
    assert list(found) == list(case.judged)
    assert [one.kind for one in found.values()] == [
        "topic" if check.startswith("topic ") else check for check in case.judged
    ]
    assert all(bool(one.what) == (one.kind != "coherence") for one in found.values())


def test_agents_read_the_use_case_as_it_stands() -> None:
    told = brief(CASE)
    assert (told.parts, told.facts) == (("header", "subheader"), ("There are 12 green teas.",))
    assert told.examples == (dict(CASE.examples[0]),)
    assert "Twelve green teas" in told.about
    assert told.system.startswith("You write for a tea shop.")


def test_the_graph_has_the_loop_inside() -> None:
    assert {"read", "write", "refine", "select"} <= set(graph.get_graph().nodes)


def test_the_revisions_to_learn_from_are_examples_that_code_has_broken() -> None:
    for name in ("a", "b", "c"):
        case = loaded(name)
        made = shots(case)
        assert len(made) == 2
        for shot in made:
            assert all(rule(shot.better).passed for rule in case.rules())
            assert shot.faults
            assert not all(rule(shot.text).passed for rule in case.rules())


def test_what_is_too_long_is_cut_where_that_breaks_fewer_rules() -> None:
    case = loaded("a")
    long = {"header": "Coupons for cereal, cookies, soup, juice, cheese and many other good things"}
    assert mended(case, long) == {"header": "Coupons for cereal, cookies, soup, juice, cheese"}
    assert mended(case, {"header": "Coupons"}) is None
    late = {
        "header": "Cookies, soup, juice, cheese and the ice cream of summer by coupons for cereal"
    }
    assert mended(case, late) is None  # one fault for another is no gain


def test_a_model_that_repeats_itself_is_followed_by_a_cut_in_code() -> None:
    bad = ("Green tea from the hills for slow mornings", GOOD[0][1])
    worse = (f"{bad[0]} and noons", bad[1])
    script = replies(bad, GOOD[1], GOOD[2], refine__1=Always(copy(*worse)))
    result, _ = run(script, mode="collect_all", mend=True)
    first = next(one for one in result.accepted if one.id == "1")
    assert (first.text["header"], first.rounds) == ("Green tea from the hills", 2)
    assert result.usage_by_agent["refine"].calls == 1


def test_a_reviser_that_gives_back_the_draft_is_replaced_by_the_writer() -> None:
    bad = ("No leaves here", GOOD[0][1])
    script = replies(
        write=[copies(bad, GOOD[1], GOOD[2]), copies(GOOD[0])], refine=Always(copy(*bad))
    )
    result, model = run(script, mend=True)
    first = next(one for one in result.accepted if one.id == "1")
    assert (first.text["header"], first.rounds) == (GOOD[0][0], 1)
    assert result.usage_by_agent["write"].calls == 2
    first_asked, again = [m for agent, _, m in model.script.asked if agent == "write"]
    assert first_asked == again, "the same question, which the server has in its cache"


def test_a_reviser_that_gives_an_example_is_replaced_by_the_best_of_the_writers_copies() -> None:
    bad, example = ("No leaves here", GOOD[0][1]), CASE.examples[0]
    others = [(f"{example['header']}!", example["subheader"]), ("Coffee", "x"), GOOD[0]]
    script = replies(
        write=[copies(bad, GOOD[1], GOOD[2]), copies(*others)],
        refine=Always(copy(example["header"], example["subheader"])),
    )
    result, _ = run(script, mend=True)
    first = next(one for one in result.accepted if one.id == "1")
    assert (first.text["header"], first.rounds) == (GOOD[0][0], 1)
    assert result.duplicates == []


def test_a_reviser_that_was_told_of_a_rule_in_vain_is_not_told_again() -> None:
    bad = ("No leaves here", GOOD[0][1])
    script = replies(
        write=[copies(bad, GOOD[1], GOOD[2]), copies(GOOD[0])],
        refine=[copy("Leaves of tomorrow", bad[1])],
    )
    result, _ = run(script, mend=True)
    first = next(one for one in result.accepted if one.id == "1")
    assert (first.text["header"], first.rounds) == (GOOD[0][0], 2)


def test_a_reviser_that_missed_a_tone_has_another_try() -> None:
    missed, met = GOOD[0], ("Quiet tea of an evening", GOOD[0][1])
    script = replies(
        missed,
        GOOD[1],
        GOOD[2],
        tone__1=[NO, NO, YES],
        refine=[copy("Tea for the garden", missed[1]), copy(*met)],
    )
    result, _ = run(script, mend=True)
    first = next(one for one in result.accepted if one.id == "1")
    assert (first.text["header"], first.rounds) == (met[0], 2)
    assert result.usage_by_agent["write"].calls == 1


def test_the_use_case_says_how_many_revisions_if_the_settings_do_not() -> None:
    case = changed_case(rounds=1)
    bad = ("No leaves here", GOOD[0][1])
    script = replies(bad, GOOD[1], GOOD[2], refine=Always(copy(*bad)))
    assert len(run(script, case)[0].success) == 2
    assert len(run(script, case, rounds=3)[0].success) == 4
