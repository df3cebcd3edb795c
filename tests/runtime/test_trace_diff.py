"""Two recordings compared: what is a difference, what is none, and how things are paired."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.ledger import Usage
from merchgraph.runtime.recorded import of_case
from merchgraph.runtime.trace import Fault, Header, NodeLine, Run, ToolLine, Trace
from merchgraph.runtime.trace_diff import Change, Move, changes, diff, usage
from tests.runtime.made_traces import made
from tests.runtime.spoken_traces import chosen, run, said, spoken

JSON = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)  # fmt: skip


def changed(a: Run, b: Run) -> Any:
    [pair] = diff(spoken(a), spoken(b)).runs
    return pair


def test_a_trace_does_not_differ_from_itself() -> None:
    found = diff(made(), made())
    assert found.equal
    assert len(found.runs) == 4


def test_times_tokens_and_the_order_of_branches_are_no_difference() -> None:
    a, b = made(), made()
    for one in b.runs.values():
        random.Random(1).shuffle(one.calls)
        one.begin = one.begin.model_copy(update={"started": "2027-01-01T00:00:00+00:00"})
        one.end = one.end.model_copy(update={"seconds": 99.0, "usage": Usage(cached_tokens=5)})
    b.headers[0] = b.headers[0].model_copy(update={"made": "2027-01-01T00:00:00+00:00"})
    assert diff(a, b).equal


def test_the_head_names_the_prompt_file_and_the_version_that_changed() -> None:
    a, b = spoken(), spoken()
    a.headers = [
        Header(prompts={"arag/nli.md": "1", "arag/rank.md": "2"}, software={"openai": "3.5"})
    ]
    b.headers = [
        Header(prompts={"arag/nli.md": "9", "arag/rank.md": "2"}, software={"openai": "3.6"})
    ]
    found = diff(a, b)
    assert found.head == [
        Change("software.openai", "3.5", "3.6"),
        Change("prompts.arag/nli.md", "1", "9"),
    ]
    assert not found.equal


def test_runs_pair_by_case_and_system_and_else_by_id() -> None:
    a = spoken(run("c/ARAG"), run("c/popularity"), run("run-1"))
    b = spoken(run("c/ARAG"), run("d/ARAG"), run("run-1"))
    renamed = b.runs["c/ARAG"]
    renamed.begin = renamed.begin.model_copy(update={"run": "other"})
    found = diff(a, b)
    assert [pair.id for pair in found.runs] == ["other", "run-1"]
    assert (found.only_a, found.only_b) == (["c/popularity"], ["d/ARAG"])
    assert not found.equal
    assert list(found.systems()) == ["ARAG", "arag"]


def test_a_request_that_changed_and_an_answer_that_changed_are_told_apart() -> None:
    a = run("r", said("nli", "Fits?", "Yes", lane="tea"), said("rank", "Rank.", "1"))
    b = run("r", said("nli", "Does it?", "Yes", lane="tea"), said("rank", "Rank.", "2"))
    nli, rank = changed(a, b).calls
    assert (nli.agent, nli.lane, nli.request, nli.answer) == ("nli", "tea", True, False)
    assert (rank.agent, rank.request, rank.answer) == ("rank", False, True)


def test_the_odds_of_a_choice_are_part_of_its_answer() -> None:
    [call] = changed(run("r", chosen("tea", "Yes", 0.9)), run("r", chosen("tea", "Yes", 0.8))).calls
    assert (call.request, call.answer) == (False, True)


def test_a_call_that_only_one_side_has_is_both() -> None:
    a, b = (
        run("r", said("rank", "A", "1")),
        run("r", said("rank", "A", "1"), said("rank", "B", "2")),
    )
    [call] = changed(a, b).calls
    assert (call.a, call.request, call.answer) == (None, True, True)


def test_a_fault_on_one_side_is_a_difference() -> None:
    line = said("rank", "A", "1")
    fault = line.model_copy(update={"chunks": [], "fault": Fault(type="EndpointError")})
    assert [call.answer for call in changed(run("r", line), run("r", fault)).calls] == [True]


def test_moves_name_each_item_with_both_places() -> None:
    pair = changed(
        run("r", ranking=("tea", "soap", "jam")), run("r", ranking=("soap", "tea", "rice"))
    )
    assert pair.moves == [
        Move("soap", 2, 1), Move("tea", 1, 2), Move("rice", None, 3), Move("jam", 3, None),
    ]  # fmt: skip
    assert pair.overlap(2) == 1.0
    assert pair.overlap(3) == pytest.approx(2 / 3)
    assert changed(run("r"), run("r")).overlap(5) == 0.0


def test_settings_path_tools_output_and_metrics_are_compared() -> None:
    a, b = run("r", nDCG=0.5), run("r", nDCG=0.7)
    b.begin = b.begin.model_copy(update={"context": {"k": 5}})
    b.nodes = [NodeLine(node="nli", lane="tea", error="too late")]
    a.tools, b.tools = (
        [
            ToolLine(key="t", name="retrieve", value=found),
            ToolLine(key="c", name="clock", value=found),
        ]
        for found in (["tea"], ["jam"])
    )
    b.end = b.end.model_copy(update={"output": {"summary": "sweet", "usage": {"seconds": 3}}})
    pair = changed(a, b)
    assert pair.settings == [Change("context.k", None, 5)]
    assert pair.path == [Change("nli tea", None, "too late")]
    assert pair.tools == [Change("retrieve.answer", ["tea"], ["jam"])]
    assert pair.output == [Change("summary", None, "sweet")]
    assert pair.metrics == [Change("nDCG", 0.5, 0.7)]


def test_rows_are_paired_by_what_they_are_about() -> None:
    def board(order: list[str], score: float) -> list[dict[str, Any]]:
        rows = [{"role": "nli", "payload": {"item": item, "score": score}} for item in order]
        return [*rows, {"role": "rank", "payload": {}}, {"role": "rank", "payload": score}]

    found = list(changes({"board": board(["a", "b"], 0.1)}, {"board": board(["a", "b"], 0.2)}))
    assert found == [
        Change("board[nli a].payload.score", 0.1, 0.2),
        Change("board[nli b].payload.score", 0.1, 0.2),
        Change("board[#3].payload", 0.1, 0.2),
    ]


@given(JSON, JSON)
def test_values_have_changes_exactly_if_they_are_not_equal(a: Any, b: Any) -> None:
    assert list(changes(a, a)) == []
    found = list(changes(a, b))
    assert bool(found) == (a != b)
    assert all(change.a != change.b for change in found)


def test_a_number_that_is_none_equals_itself() -> None:
    assert list(changes({"x": float("nan")}, {"x": float("nan")})) == []


def test_usage_sums_runs_and_has_a_cost_only_if_all_have_one() -> None:
    def used(calls: int, cost: float | None) -> Run:
        one = run("r")
        one.end = one.end.model_copy(update={"usage": Usage(calls=calls, cost_usd=cost)})
        return one

    assert usage([used(2, 0.5), used(0, None), used(1, 0.25)]) == Usage(calls=3, cost_usd=0.75)
    assert usage([used(2, 0.5), used(1, None)]).cost_usd is None
    assert usage([]) == Usage()


def test_one_case_can_be_taken_out_and_an_unknown_one_names_the_nearest() -> None:
    a, b = spoken(run("c/ARAG"), run("run-1")), spoken(run("d/ARAG"))
    assert [list(trace.runs) for trace in of_case("c", a, b)] == [["c/ARAG"], []]
    assert [list(trace.runs) for trace in of_case("run-1", a)] == [["run-1"]]
    with pytest.raises(SetupError, match=r"no case or run 'run-2'; the nearest of the 3 .* run-1"):
        of_case("run-2", a, b)
    with pytest.raises(SetupError, match="there is none"):
        of_case("c", Trace())
