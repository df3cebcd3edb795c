"""Good answers as rows: what counts as good, and that a trainer can read them."""

import json

import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.export_sft import Good, Row, sft
from merchgraph.runtime.trace import Fault, NodeLine, Trace
from tests.runtime.spoken_traces import again, chosen, run, said, spoken


def answers(trace: Trace, good: Good | None = None) -> list[str]:
    return [row.messages[-1]["content"] for row in sft(trace, good or Good())]


def test_a_row_is_the_conversation_with_the_answer_at_its_end() -> None:
    [row] = sft(spoken(run("c/ARAG", said("rank", "Rank them.", '{"ranking": ["1"]}'))), Good())
    assert row == Row(
        messages=[
            {"role": "user", "content": "Rank them."},
            {"role": "assistant", "content": '{"ranking": ["1"]}'},
        ],
        metadata={"run": "c/ARAG", "case": "c", "system": "ARAG", "agent": "rank", "model": "vllm/small"},
    )  # fmt: skip
    assert json.loads(row.json()) == {"messages": row.messages, "metadata": row.metadata}


def test_a_repaired_answer_stands_under_the_first_question() -> None:
    first = said("rank", "Rank them.", "sorry")
    trace = spoken(run("r", first, again(first, "Use JSON.", "[1]"), said("rank", "More?", "[2]")))
    rows = [[turn["content"] for turn in row.messages] for row in sft(trace, Good())]
    assert rows == [["Rank them.", "[1]"], ["More?", "[2]"]]


def test_an_empty_reply_counts_by_its_repair_and_alone_not_at_all() -> None:
    first = said("rank", "Rank them.", "")
    mended = spoken(run("r", first, again(first, "Use JSON.", "[1]")))
    assert [len(row.messages) for row in sft(mended, Good())] == [2]
    assert answers(spoken(run("r", first))) == []


def test_where_anything_failed_for_good_nothing_counts() -> None:
    fine = said("rank", "Rank them.", "[1]")
    fault = said("nli", "Fits?", "", fault=Fault(type="EndpointError"), lane="tea")
    beside = said("nli", "Why?", "so", lane="tea")
    assert answers(spoken(run("r", fine, fault, beside))) == ["[1]"]
    degraded = run("r", fine, beside)
    degraded.nodes.append(NodeLine(node="nli", lane="tea", error="too late"))
    assert answers(spoken(degraded)) == ["[1]"]
    told = run("r", fine, beside)
    told.end = told.end.model_copy(update={"output": {"errors": [{"node": "nli", "lane": "tea"}]}})
    assert answers(spoken(told)) == ["[1]"]
    broken = run("r", fine)
    broken.end = broken.end.model_copy(update={"error": "no answer"})
    assert answers(spoken(broken)) == []


def test_only_runs_that_reach_the_threshold_count() -> None:
    trace = spoken(
        run("c/good", said("rank", "A", "1"), nDCG=0.6),
        run("c/bad", said("rank", "B", "2"), nDCG=0.59),
        run("c/undefined", said("rank", "C", "3"), nDCG=float("nan")),
    )
    assert answers(trace, Good("nDCG", 0.6)) == ["1"]
    assert answers(trace) == ["1", "2", "3"]


def test_a_choice_counts_where_it_agrees_with_the_truth() -> None:
    calls = (
        chosen("tea", "Yes"),
        chosen("soap", "Yes"),
        chosen("milk", "No"),
        chosen("jam", "Maybe"),
    )
    rows = sft(spoken(run("c/ARAG", *calls), relevant=("tea", "cake")), Good())
    told = [(row.messages[0]["content"], row.messages[-1]["content"]) for row in rows]
    assert told == [("Does tea fit?", "Yes"), ("Does milk fit?", "No")]


def test_a_choice_without_a_truth_is_left_out() -> None:
    assert answers(spoken(run("run-1", chosen("tea", "Yes"), said("rank", "A", "1")))) == ["1"]


def test_equal_rows_stand_once_and_agents_can_be_chosen() -> None:
    calls = (said("rank", "A", "1"), said("summarize", "S", "2"))
    trace = spoken(run("c/ARAG", *calls), run("d/ARAG", *calls))
    assert answers(trace) == ["1", "2"]
    assert answers(trace, Good(agents=["summarize"])) == ["2"]


def test_judgements_for_nobody_are_left_out_unless_asked_for() -> None:
    prior = chosen("tea", "Yes").model_copy(update={"agent": "prior"})
    trace = spoken(run("c/ARAG", prior), relevant=("tea",))
    assert answers(trace) == []
    assert answers(trace, Good(agents=["prior"])) == ["Yes"]


@pytest.mark.parametrize(
    ("good", "told"),
    [
        (Good("nDGC", 0.5), "no metric 'nDGC'; it has nDCG"),
        (Good(agents=["ranker"]), "No agent 'ranker' was asked in the trace; there is rank"),
    ],
)
def test_a_metric_or_agent_that_is_not_there_is_said(good: Good, told: str) -> None:
    with pytest.raises(SetupError, match=told):
        sft(spoken(run("c/ARAG", said("rank", "A", "1"), nDCG=1.0)), good)
