"""The loop of checks and revisions: what stops it, what it keeps, what it tells the reviser."""

import asyncio
import operator
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from merchgraph.graphs.front import structure
from merchgraph.graphs.refine import Check, Refinement, Refining, refine_loop
from merchgraph.graphs.versions import Draft, Finding, Refined, Round, Text, best
from merchgraph.runtime.errors import EndpointError, SetupError
from merchgraph.runtime.ledger import Call
from merchgraph.runtime.node import RunError

Revise = Callable[[Round], str]


def holds(word: str, *, hard: bool = True) -> Check:
    """The text has a word; the score is how often."""

    async def run(text: Text) -> Finding:
        passed = word in text["title"]
        score = min(1.0, text["title"].count(word) / 4)
        return Finding(
            rule=word, passed=passed, score=score, feedback="" if passed else f"say {word}"
        )

    return Check(word, run, hard)


class Host(TypedDict, total=False):
    """The graph around the loop."""

    drafts: list[str]
    refined: Annotated[list[Refined], operator.add]
    calls: Annotated[list[Call], operator.add]
    errors: Annotated[list[RunError], operator.add]


def host(checks: Sequence[Check], revise: Revise) -> Any:
    async def rewrite(state: Refining, context: Refinement, source: Round) -> Text:
        return {"title": revise(source)}

    loop = refine_loop(Refining, Refinement, checks=lambda state, context: checks, revise=rewrite)
    builder = StateGraph(Host, context_schema=Refinement)
    builder.add_node("refine", loop)

    def send(state: Host) -> list[Send]:
        return [
            Send("refine", {"draft": Draft(id=str(number), text={"title": text})})
            for number, text in enumerate(state["drafts"])
        ]

    builder.add_conditional_edges(START, send, ["refine"])
    builder.add_edge("refine", END)
    return builder.compile()


def through(checks: Sequence[Check], revise: Revise, *drafts: str, **context: Any) -> Any:
    graph = host(checks, revise)
    return asyncio.run(graph.ainvoke({"drafts": list(drafts)}, context=Refinement(**context)))


def one(checks: Sequence[Check], revise: Revise, draft: str, **context: Any) -> Refined:
    [refined] = through(checks, revise, draft, **context)["refined"]
    assert isinstance(refined, Refined)
    return refined


def told(source: Round) -> str:
    """Does just what the feedback says."""
    wanted = [found.rule for found in source.findings if found.feedback]
    return " ".join([source.text["title"], *wanted])


def test_a_text_that_passes_is_not_revised() -> None:
    refined = one([holds("a"), holds("b")], lambda source: pytest.fail("revised"), "a b")
    assert (refined.stopped, refined.passed, refined.feasible, len(refined.rounds)) == (
        "passed", True, True, 1,
    )  # fmt: skip


def test_collect_all_tells_every_failure_and_fail_fast_the_first() -> None:
    checks = [holds("a"), holds("b"), holds("c")]
    at_once = one(checks, told, "x", mode="collect_all", rounds=5)
    in_turn = one(checks, told, "x", mode="fail_fast", rounds=5)
    assert [r.text["title"] for r in at_once.rounds] == ["x", "x a b c"]
    assert [r.text["title"] for r in in_turn.rounds] == ["x", "x a", "x a b", "x a b c"]
    assert [found.passed for found in in_turn.rounds[1].findings] == [True, False, None]
    assert at_once.passed
    assert in_turn.passed


def test_what_was_fixed_and_what_regressed_is_told_of_each_round() -> None:
    refined = one([holds("a"), holds("b")], lambda source: "a", "b", rounds=1)
    last = refined.rounds[-1]
    assert (last.source, last.fixed, last.regressed) == (0, ["a"], ["b"])
    assert (refined.stopped, refined.best, refined.text) == ("max rounds", 0, {"title": "b"})


def test_a_bad_rewrite_loses_no_ground_and_the_next_starts_from_the_best() -> None:
    sources: list[int] = []
    texts = iter(["a b", "nothing", "a b c"])

    def rewrite(source: Round) -> str:
        sources.append(source.number)
        return next(texts)

    refined = one([holds("a"), holds("b"), holds("c")], rewrite, "a", rounds=3, patience=2)
    assert sources == [0, 1, 1]
    assert (refined.best, refined.passed) == (3, True)


@pytest.mark.parametrize(("patience", "rounds"), [(1, 2), (2, 3), (3, 4)])
def test_revisions_without_gain_end_the_loop(patience: int, rounds: int) -> None:
    refined = one([holds("a")], lambda source: "y", "x", rounds=9, patience=patience)
    assert (refined.stopped, len(refined.rounds)) == ("no gain", rounds)


def test_a_better_score_is_a_gain() -> None:
    texts = iter(["a", "a a", "a a a"])
    refined = one([holds("a"), holds("b")], lambda source: next(texts), "x", rounds=3)
    assert [r.score for r in refined.rounds] == [0, 0.125, 0.25, 0.375]
    assert (refined.best, refined.stopped) == (3, "max rounds")


def test_feasible_comes_before_many_passes() -> None:
    checks = [holds("h"), *(holds(soft, hard=False) for soft in "abc")]
    refined = one(checks, lambda source: "h", "a b c", rounds=1)
    assert (refined.text, refined.feasible, refined.passed) == ({"title": "h"}, True, False)


def test_a_text_that_was_checked_before_is_not_checked_again() -> None:
    asked: list[str] = []
    inner = holds("a")

    async def run(text: Text) -> Finding:
        asked.append(text["title"])
        return await inner.run(text)

    refined = one([Check("a", run)], lambda source: "x", "x", rounds=4, patience=4)
    assert (asked, len(refined.rounds)) == (["x"], 5)


def test_a_check_without_an_answer_is_no_pass() -> None:
    async def gone(text: Text) -> Finding:
        raise EndpointError("The model server did not answer.")

    final = through([holds("a"), Check("tone", gone)], told, "a", rounds=1)
    [refined] = final["refined"]
    assert (refined.passed, refined.feasible) == (False, False)
    assert refined.rounds[0].findings[1] == Finding(rule="tone", passed=None)
    assert [(error.node, error.lane, error.message) for error in final["errors"]][:1] == [
        ("check", "0", "The model server did not answer.")
    ]


def test_a_check_without_an_answer_is_asked_again_for_the_same_text() -> None:
    answers = iter([None, True])

    async def run(text: Text) -> Finding:
        if (passed := next(answers)) is None:
            raise EndpointError("The model server did not answer.")
        return Finding(rule="tone", passed=passed)

    refined = one([holds("a"), Check("tone", run)], lambda source: "a", "a", rounds=2)
    assert (refined.stopped, refined.best) == ("passed", 1)


def test_a_reviser_without_an_answer_leaves_the_best_version() -> None:
    def gone(source: Round) -> str:
        raise EndpointError("The model server did not answer.")

    final = through([holds("a")], gone, "x", "a")
    assert [(r.id, r.stopped, len(r.rounds)) for r in final["refined"]] == [
        ("0", "no answer", 1),
        ("1", "passed", 1),
    ]
    assert [(error.node, error.lane) for error in final["errors"]] == [("revise", "0")]


def test_a_mistake_in_the_settings_ends_the_run() -> None:
    def wrong(source: Round) -> str:
        raise SetupError("The model name 'x' is not known.")

    with pytest.raises(SetupError, match="not known"):
        through([holds("a")], wrong, "x")


def test_drafts_come_back_in_the_order_in_which_they_were_sent() -> None:
    final = through([holds("a")], told, *("x" * n for n in range(1, 30)), "a")
    assert [r.id for r in final["refined"]] == [str(n) for n in range(30)]


WORDS = ["a", "b", "c", "d"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)


@settings(max_examples=150)
@given(
    draft=TEXTS,
    rewrites=st.lists(TEXTS, min_size=4, max_size=4),
    rounds=st.integers(0, 4),
    patience=st.integers(1, 3),
    mode=st.sampled_from(["fail_fast", "collect_all"]),
)
def test_whatever_the_reviser_writes_the_best_version_comes_out(
    draft: str, rewrites: list[str], rounds: int, patience: int, mode: str
) -> None:
    texts = iter(rewrites)
    checks = [holds("a"), holds("b"), holds("c", hard=False)]
    refined = one(
        checks, lambda source: next(texts), draft, rounds=rounds, patience=patience, mode=mode
    )
    assert refined.version.value == max(r.value for r in refined.rounds)
    assert refined.version == best(refined.rounds)
    assert len(refined.rounds) <= rounds + 1
    assert refined.feasible == ("a" in refined.text["title"] and "b" in refined.text["title"])
    assert refined.passed == (refined.feasible and "c" in refined.text["title"])
    assert (refined.stopped == "passed") == refined.rounds[-1].passed


def test_the_picture_of_a_run_has_the_nodes_of_the_loop_among_its_own() -> None:
    drawn = structure(host([], lambda source: ""))
    assert sorted(drawn["nodes"]) == ["__end__", "__start__", "check", "revise"]
    assert drawn["edges"] == [
        ["__start__", "check", True], ["check", "__end__", True], ["check", "revise", True],
        ["revise", "__end__", True], ["revise", "check", True],
    ]  # fmt: skip
