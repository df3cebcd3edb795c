"""The live view's counts, and what it and the tables look like at several widths."""

import io
from typing import Any

import pytest
from rich.console import Console

from merchgraph.agents.item_ranker import Ranking
from merchgraph.agents.nli import NliScore
from merchgraph.agents.user_understanding import Constraints, Understanding
from merchgraph.cli.ledger_view import ledger_table
from merchgraph.cli.live import View, show_arag
from merchgraph.graphs.arag_state import Message, Ranked, Result
from merchgraph.runtime.ledger import Usage
from merchgraph.runtime.node import RunError

NODES = ["retrieve", "understand", "nli", "summarize", "rank"]
LONG = "A title of a great many words that goes on and on " * 6
WIDTHS = (60, 80, 200)


def event(kind: str, node: str, lane: str = "") -> dict[str, Any]:
    return {"event": kind, "node": node, "lane": lane}


def lines(shown: object, width: int = 80) -> list[str]:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(shown)
    text = console.export_text()
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    return [line.rstrip() for line in text.splitlines()]


@pytest.fixture
def view() -> View:
    """Retrieved five; understand is done; of five branches three began, one ended, one failed."""
    view = View(NODES, {"nli": lambda state: len(state.get("offers", []))})
    view.take(event("started", "retrieve"))
    view.take(event("finished", "retrieve"))
    view.expect({"offers": ["a"] * 5})
    for node in ("understand", "nli", "nli", "nli"):
        view.take(event("started", node))
    view.take(event("finished", "understand"))
    view.take(event("finished", "nli", "a"))
    view.take(event("degraded", "nli", "b"))
    return view


def test_the_view_counts_what_started_ended_and_failed(view: View) -> None:
    row = view.rows["nli"]
    assert (row.started, row.finished, row.degraded, row.expected) == (3, 2, 1, 5)
    assert view.rows["rank"].started == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_the_view_has_a_line_for_every_node_at_any_width(view: View, width: int) -> None:
    shown = lines(view, width)
    assert len(shown) == len(NODES)
    assert shown[0].split() == ["✓", "retrieve", "0.0", "s"]
    assert shown[2].split()[1] == "nli"
    assert shown[2].endswith("2/5  1 failed")
    assert shown[4].split() == ["·", "rank"]


def test_a_node_that_is_done_with_failures_is_marked(view: View) -> None:
    for lane in "cde":
        view.take(event("finished", "nli", lane))
    assert lines(view)[2].split()[0] == "!"


def test_a_run_that_broke_leaves_no_spinner(view: View) -> None:
    view.broken = True
    assert [line.split()[0] for line in lines(view)] == ["✓", "✓", "✗", "·", "·"]


def test_a_node_that_is_come_back_to_is_timed_while_it_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([10.0, 12.0, 100.0, 101.5, 200.0, 203.0])
    monkeypatch.setattr("merchgraph.cli.live.time.monotonic", lambda: next(clock))
    view = View(["revise"], {})
    for kind in ("started", "finished", "started", "started", "finished", "finished", "started"):
        view.take(event(kind, "revise"))
    # 10 to 12, two branches from 100 to 101.5, and from 200 on
    assert lines(view)[0].split()[-2:] == ["6.5", "s"]


def test_events_of_other_sources_are_ignored(view: View) -> None:
    view.take({"event": "started", "node": "elsewhere"})
    view.take({"event": "started"})
    assert set(view.rows) == set(NODES)


def test_a_state_without_branches_expects_one(view: View) -> None:
    view.expect({"offers": []})
    assert view.rows["nli"].expected == 1


USAGE = Usage(calls=12_345, prompt_tokens=4_144_000, cached_tokens=3_744_300,
              completion_tokens=703_000, seconds=12_345.6)  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
def test_no_heading_or_number_of_the_ledger_is_cut(width: int) -> None:
    shown = "\n".join(lines(ledger_table({"understand": USAGE, "summarize": USAGE}, USAGE), width))
    assert "…" not in shown
    for word in ("agent", "calls", "prompt", "cached", "reply", "seconds", "summarize", "total"):
        assert word in shown
    assert "4,144,000" in shown
    assert "retries" not in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_mishaps_stand_below_the_ledger_and_cut_nothing(width: int) -> None:
    bad = USAGE.model_copy(update={"retries": 3, "repairs": 1, "cost_usd": 0.5})
    worse = bad.model_copy(update={"retries": 2_000, "repairs": 0})
    both = bad.model_copy(update={"retries": 2_003})
    shown = lines(ledger_table({"understand": bad, "summarize": worse}, both), width)
    assert "…" not in "".join(shown)
    told = " ".join(" ".join(shown).split())
    assert "calls prompt cached reply seconds" in told
    assert "2003 retries (understand 3, summarize 2000) 1 repair (understand 1) $0.5000" in told
    assert "failure" not in told


def test_a_known_price_is_shown() -> None:
    paid = Usage(calls=1, cost_usd=0.01234)
    assert "$0.0123" in "\n".join(lines(ledger_table({"nli": paid}, paid)))


def result(title: str, *, accepted: bool = True, score: float | None = 0.5) -> Result:
    row = Ranked(
        rank=1, item="tea", title=title, score=score, label=None, accepted=accepted, why=title,
        sources=(),
    )  # fmt: skip
    constraints = Constraints(price=None, brand=None, avoid=[])
    understanding = Understanding(
        long_term=[], session_goal=title, constraints=constraints, summary=title
    )
    board = [
        Message(role="nli", payload=NliScore(item="tea", score=score)),
        Message(role="rank", payload=Ranking(ranking=["tea"])),
    ]
    return Result(
        user=title, recommendations=[row], ranking=[row], understanding=understanding,
        context=None, fallback=not accepted, board=board, usage=Usage(), usage_by_agent={},
        errors=[RunError(node="nli", lane="tea", kind="EndpointError", message=title)],
    )  # fmt: skip


def printed(shown: Result, width: int = 80, **options: Any) -> str:
    file = io.StringIO()
    show_arag(shown, Console(file=file, width=width, **options))
    return file.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_long_title_is_wrapped_not_lost(width: int) -> None:
    shown = printed(result(LONG), width)
    assert all(len(line) <= width for line in shown.splitlines())
    assert shown.count("goes") >= 4 * 6


@pytest.mark.parametrize("title", ["[red]x[/]", "[/]", "[link=http://a]x[/link]", ":apple:", "x\\"])
def test_markup_in_a_title_is_printed_word_for_word(title: str) -> None:
    shown = printed(result(title), 200)
    assert shown.count(title) >= 5


@pytest.mark.parametrize(
    "title",
    [
        "a\x1b[2Jb",
        "a\x1b]0;owned\x07b",
        "a\x1b]8;;http://evil\x1b\\b",
        "a\x9b2Jb",
        "a\rb",
        "a\nb",
        "a\x08b",
        "a\x00b",
        "a\u202eb",
        "a\u2028b",
    ],
    ids=ascii,
)
def test_a_title_commands_no_terminal(title: str) -> None:
    shown = printed(result(title), 200, force_terminal=True, color_system=None)
    assert not set(shown) & {*map(chr, (*range(10), *range(11, 32), *range(127, 160))), "\u202e"}
    assert len(shown.splitlines()) == len(printed(result("a b"), 200).splitlines())


def test_what_stands_in_and_what_failed_is_said() -> None:
    shown = printed(result("Tea", accepted=False))
    assert "0.50 *" in shown
    assert "* below theta" in shown
    assert "No candidate reached theta" in shown
    assert "nli tea: Tea" in shown
    assert " - " in printed(result("Tea", score=None))
