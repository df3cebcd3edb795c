"""A trace in a terminal: what is said, and that nothing in it commands the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from merchgraph.cli.plain import plain
from merchgraph.runtime.trace import Run, RunLine, ToolLine, Trace
from merchgraph.runtime.trace_text import TraceText
from tests.runtime.made_traces import made

Printed = Callable[..., str]


def printed(what: RenderableType, width: int = 120) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=False)
    console.print(what)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def trace() -> Trace:
    return made(2, 6, ("popularity", "broken", "ARAG"))


def test_the_overview_has_the_head_and_a_line_for_each_run(trace: Trace) -> None:
    text = printed(TraceText(trace, plain).overview())
    assert "x.jsonl.zst: 6 runs of 2 cases, 1 sitting" in text
    assert "2026-03-01 09:30:00" in text
    assert "langgraph 1.2.22" in text
    assert "shop complete_journey" in text
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()[:2] == "20"}
    assert rows["200/ARAG"][1:7] == ["13", "9,188", "1.9", "0.430", "1.000", "0.550"]
    assert rows["200/popularity"][1:] == ["0", "0", "0.0", "0.630", "1.000", "-"]
    assert len(rows) == 6
    assert "without nli i1-3" in text


def test_runs_outside_of_evaluations_have_columns_of_their_own() -> None:
    trace = Trace(path="t", runs={"r1": Run(begin=RunLine(run="r1", case="c7", system="S8"))})
    rows = [line.split() for line in printed(TraceText(trace, plain).overview()).splitlines()]
    assert ["run", "case", "system", "calls", "tokens", "model", "s"] in rows
    assert ["r1", "c7", "S8", "0", "0", "0.0"] in rows


def test_problems_of_the_file_are_said(trace: Trace) -> None:
    trace.problems.append("Byte 77 [red]is damaged\x1b[2J.")
    assert "Byte 77 [red]is damaged\ufffd[2J." in printed(TraceText(trace, plain).overview())


def test_a_long_list_of_runs_is_cut_and_says_so() -> None:
    trace = made(201, 2, ("popularity",))
    text = printed(TraceText(trace, plain).overview())
    assert "399/popularity" in text
    assert "400/popularity" not in text
    assert "and 1 runs more; narrow them with --case" in text


def test_a_run_is_told_from_its_path_to_its_usage(trace: Trace) -> None:
    text = printed(TraceText(trace, plain).run(trace.runs["200/ARAG"]))
    told = flat(text)
    assert told.startswith("200/ARAG degraded graph arag, 2026-03-01 09:30:01")
    assert "nDCG@5 0.430 Hit@5 1.000 AUC 0.550 truth relevant i0-1, new True" in told
    for line in ("nli x6", "1.21 s 1 failed", "nli i0-3: The node 'nli' ran longer than 120 s"):
        assert line in told
    assert "<product><img src=x onerror=alert(2)></product> > No 0.63 Yes 0.37" in told
    assert '> {"summary": "Sweet spreads."}' in told
    assert "repair" in told
    assert "> EndpointError: The server stayed unreachable after 3 tries." in told
    assert "2 * i0-1 <img src=x onerror=alert(2)> 0.370 goes with tea" in told
    assert "* named by the case's truth" in told
    assert "total 13 9,140 8,320 48 1.9" in told
    assert "Product 3 that shopper" not in told, "prompts are shortened"


def test_full_shows_every_prompt_and_answer_whole(trace: Trace) -> None:
    run = trace.runs["200/ARAG"]
    text = flat(printed(TraceText(trace, plain, full=True).run(run)))
    assert text.count("Product 3 that shopper 200 bought") == sum(
        len(c.request["messages"]) > 1 for c in run.calls
    )
    assert "[system] You work in a team" in text
    assert "[answer]" in text


def test_nothing_in_a_trace_commands_the_terminal(trace: Trace) -> None:
    for full in (False, True):
        text = TraceText(trace, plain, full)
        everything = printed(text.overview()) + "".join(
            printed(text.run(run)) for run in trace.runs.values()
        )
        bad = [c for c in everything if unicodedata.category(c) in ("Cc", "Zl", "Zp") and c != "\n"]
        assert bad == []
        assert "\u202e" not in everything
        assert "\ufffd" in everything


def test_a_failed_run_says_where_and_why(trace: Trace) -> None:
    text = flat(printed(TraceText(trace, plain).run(trace.runs["200/broken"])))
    assert text.startswith("200/broken failed graph arag")
    assert "900.00 s 1 failed" in text
    assert "retrieve: The node 'retrieve' ran longer than 900 s and was stopped." in text


def test_a_system_that_asks_no_model_has_its_ranking(trace: Trace) -> None:
    text = flat(printed(TraceText(trace, plain).run(trace.runs["200/popularity"])))
    assert "Ranking # item" in text
    assert "2 * i0-1" in text
    assert "Usage" not in text
    assert "Path" not in text


def test_the_relevant_item_is_shown_however_low_it_stands() -> None:
    trace = made(1, 30, ("ARAG",))
    trace.cases["200"]["truth"] = {"relevant": ["i0-28"]}
    run = trace.runs["200/ARAG"]
    short = flat(printed(TraceText(trace, plain).run(run)))
    assert "29 * i0-28" in short
    assert "28 i0-27" not in short
    assert "30 items in all" in short
    assert "28 i0-27" in flat(printed(TraceText(trace, plain, full=True).run(run)))


def test_a_run_with_next_to_nothing_in_it_is_shown() -> None:
    run = Run(begin=RunLine(run="r"), tools=[ToolLine(key="k", name="clock")])
    run.end = run.end.model_copy(update={"output": "[b]text[/b]"})
    text = flat(printed(TraceText(Trace(path="t", runs={"r": run}), plain).run(run)))
    assert text == "r ok 0.0 s, 0 calls > [b]text[/b]"
