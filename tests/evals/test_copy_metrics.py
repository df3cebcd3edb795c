"""What a batch of copies is worth, by hand; and thresholds, on any scores."""

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.evals.metrics.copies import (
    Batch,
    Checks,
    Judgement,
    Shipped,
    Tally,
    Version,
    batch_metrics,
    first_failures,
    passed_by_round,
    tallies,
)
from merchgraph.evals.metrics.cuts import Cut, auc_of, cut
from merchgraph.tools.constraints import Limits, size

RULES = size("header", characters=Limits(1, 9))


def copy(header: str, checks: Checks, *, held: bool = True) -> Shipped:
    judged = {"topic 1": Judgement(score=0.5, passed=held)}
    return Shipped(text={"header": header}, checks=checks, judged=judged)


def looped(*versions: Version) -> Shipped:
    return Shipped(text={"header": "x"}, checks=versions[-1].checks, versions=list(versions))


def test_shares_are_of_the_copies_asked_for() -> None:
    batch = Batch(
        wanted=4,
        copies=[
            copy("one tea", {"length": True, "topic 1": True}),
            copy("one tea!", {"length": True, "topic 1": True}, held=False),
            copy("far too long a header", {"length": False, "topic 1": None}),
        ],
    )
    found = batch_metrics(batch, RULES)
    assert found == {
        "success": 0.5,
        "held-out": 0.25,
        "code rules": 0.5,
        "distinct": pytest.approx(2 / 3),  # they differ in a mark only
        "accepted": 0.25,
    }


def test_a_copy_that_repeats_an_example_is_no_new_one() -> None:
    passes: Checks = {"length": True, "topic 1": True}
    batch = Batch(wanted=2, copies=[copy("One tea!", passes), copy("all teas", passes)])
    found = batch_metrics(batch, RULES, [{"header": "One tea"}])
    assert found == {
        "success": 1, "held-out": 0.5, "code rules": 1, "distinct": 0.5, "accepted": 0.5
    }  # fmt: skip


def test_copies_that_repeat_each_other_are_held_out_once() -> None:
    passes: Checks = {"length": True}
    again = [copy("one tea", passes, held=False), copy("One tea!", passes), copy("one tea", passes)]
    found = batch_metrics(Batch(wanted=4, copies=[*again, copy("all teas", passes)]), RULES)
    # the first is not held, so that the second repeats nothing
    assert found["held-out"] == 0.5
    assert found["accepted"] == 0.5
    assert found["code rules"] == 1


@pytest.mark.parametrize("there", [1, 0])
def test_what_nobody_judged_is_not_called_held_out(there: int) -> None:
    copies = [Shipped(text={"header": "tea"}, checks={"length": True, "tone": True})] * there
    found = batch_metrics(Batch(wanted=1, copies=copies, unjudged=True), RULES)
    assert math.isnan(found["held-out"])
    assert (found["success"], found["code rules"]) == (there, there)


def test_an_empty_batch_has_failed_and_repeats_nothing() -> None:
    found = batch_metrics(Batch(wanted=3, copies=[]), RULES)
    assert math.isnan(found.pop("distinct"))
    assert set(found.values()) == {0.0}


def test_a_check_without_an_answer_is_no_pass() -> None:
    batch = Batch(wanted=1, copies=[copy("tea", {"topic 1": None})])
    assert batch_metrics(batch, RULES)["success"] == 0


def test_rounds_count_from_the_first_pass_on() -> None:
    no, yes = Version(checks={"a": False}), Version(checks={"a": True}, source=0, fixed=["a"])
    batch = Batch(
        wanted=4, copies=[looped(Version(checks={"a": True})), looped(no, yes), looped(no)]
    )
    assert passed_by_round(batch, 3) == [0.25, 0.5, 0.5, 0.5]


def test_first_failures_are_of_the_drafts_that_were_checked() -> None:
    drafts: list[Checks] = [
        {"a": False, "b": None},
        {"a": True, "b": True},
        {"a": False, "b": None},
    ]
    batch = Batch(wanted=3, copies=[looped(Version(checks=checks)) for checks in drafts])
    assert [first_failures(batch, name) for name in "ab"] == [2 / 3, 0]
    assert math.isnan(first_failures(batch, "c"))


def test_a_tally_counts_what_each_revision_could_fix_and_break() -> None:
    copies = [
        looped(
            Version(checks={"a": False, "b": True}),
            Version(checks={"a": True, "b": False}, source=0, fixed=["a"], regressed=["b"]),
            Version(checks={"a": False, "b": True}, source=0),
        ),
        looped(Version(checks={"a": False, "b": None})),
    ]
    found = tallies(copies, ["b", "a", "c"])
    assert list(found) == ["b", "a", "c"]
    assert found["a"] == Tally(ran=2, failed=2, had_failed=2, fixed=1)
    assert found["b"] == Tally(ran=1, had_passed=2, regressed=1)
    assert found["c"] == Tally()


def test_a_cut_parts_what_can_be_parted() -> None:
    found = cut([0.9, 0.6, 0.7], [0.1, 0.3])
    assert found == Cut(threshold=0.45, auc=1.0, accuracy=1.0, holds=3, fails=2)


def test_a_cut_of_scores_that_say_nothing_is_worth_nothing() -> None:
    found = cut([0.5, 0.5], [0.5, 0.5, 0.5])
    assert (found.auc, found.accuracy) == (0.5, 0.5)


@pytest.mark.parametrize(("holds", "fails"), [([], [0.5]), ([0.5], []), ([], [])])
def test_one_side_alone_calibrates_nothing(holds: list[float], fails: list[float]) -> None:
    found = cut(holds, fails)
    assert (found.threshold, found.auc, found.accuracy) == (0.5, None, None)
    assert (found.holds, found.fails) == (len(holds), len(fails))


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        cut([math.nan], [0.5])


@given(st.lists(st.floats(0, 1)), st.lists(st.floats(0, 1)))
def test_how_scores_are_sorted_is_what_a_cut_says_of_them(
    holds: list[float], fails: list[float]
) -> None:
    assert auc_of(holds, fails) == cut(holds, fails).auc


SCORES = st.lists(st.floats(0, 1).map(lambda x: round(x, 3)), min_size=1, max_size=8)


def balanced(holds: Sequence[float], fails: Sequence[float], threshold: float) -> float:
    over = sum(score >= threshold for score in holds) / len(holds)
    return (over + sum(score < threshold for score in fails) / len(fails)) / 2


@given(holds=SCORES, fails=SCORES)
def test_no_threshold_between_the_scores_does_better(
    holds: list[float], fails: list[float]
) -> None:
    found = cut(holds, fails)
    reached = balanced(holds, fails, found.threshold)
    places = sorted({*holds, *fails})
    others = [sum(pair) / 2 for pair in pairwise(places)]
    assert all(reached >= balanced(holds, fails, other) - 1e-12 for other in others)
    assert found.auc is not None
    assert found.accuracy is not None
    assert 0 <= found.accuracy <= 1
