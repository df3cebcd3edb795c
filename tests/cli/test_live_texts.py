"""The drafts of a run in the live view, and the tables of what it gave, at several widths."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from merchgraph.cli.live_texts import LONGEST, Drafts, show_carts, show_copies, verdicts, words
from merchgraph.graphs.carts_state import Candidate
from merchgraph.graphs.carts_state import Result as Titled
from merchgraph.graphs.copywriting_state import Copy, Rejected
from merchgraph.graphs.copywriting_state import Result as Written
from merchgraph.graphs.versions import Finding, Round
from merchgraph.runtime.ledger import Usage

WIDTHS = (60, 80, 200)
LONG = "A great many words that go on and on " * 4
CHECKS = {"header length": True, "a check of a rather long name": False, "tone": None}
FAULTS = {"tone": f"Header '{LONG}' does not have the tone.", "facts": "No '5'.\nNo '6'."}


def event(lane: str, number: int, header: str = LONG, **more: Any) -> dict[str, Any]:
    told = {"event": "round", "lane": lane, "round": number, "checks": CHECKS, "stopped": None}
    return {**told, "text": {"header": header, "subheader": header}, **more}


def printed(show: Callable[[Console], object], width: int = 80) -> str:
    file = io.StringIO()
    show(Console(file=file, width=width))
    assert all(cell_len(line) <= width for line in file.getvalue().splitlines())
    return file.getvalue()


def drawn(drafts: Drafts, width: int = 80) -> list[str]:
    return printed(lambda console: console.print(drafts), width).splitlines()


def titled(rounds: list[Round], **more: Any) -> Titled:
    """A run with one candidate, whose title the first round has."""
    one = Candidate(id="1", text=rounds[0].text["title"], origin="model", feasible=True,
                    coverage=0.5, points=None, rounds=rounds, stopped="max rounds")  # fmt: skip
    fields: dict[str, Any] = {
        "name": None, "title": one.text, "feasible": True, "trimmed": False, "coverage": 0.5,
        "agreement": None, "candidates": [one], "features": {}, "clusters": [], "errors": [],
        "usage": Usage(), "usage_by_agent": {},
    }  # fmt: skip
    return Titled(**fields | more)


def version(number: int, text: str, **passed: bool) -> Round:
    found = [Finding(rule=rule, passed=value) for rule, value in passed.items()]
    return Round(number=number, text={"title": text}, findings=found)


def written(**more: Any) -> Written:
    fields: dict[str, Any] = {
        "use_case": "Tea", "accepted": [], "rejected": [], "duplicates": [], "success": [0.5, 1.0],
        "checks": {}, "refined": [], "calls_per_copy": None, "tokens_per_copy": None,
        "errors": [], "usage": Usage(), "usage_by_agent": {},
    }  # fmt: skip
    return Written(**fields | more)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_draft_takes_as_many_lines_as_it_has_parts_and_one_more(width: int) -> None:
    drafts = Drafts()
    for lane in ("2", "10", "1"):
        drafts.take(event(lane, 0))
    drafts.take(event("2", 1, "short", stopped="max rounds"))
    shown = drawn(drafts, width)
    assert len(shown) == 9
    assert [line.split()[0] for line in shown[::3]] == ["1", "2", "10"]
    assert shown[3].split() == ["2", "short"]
    assert "round 1 ✓✗· a check of a rather long name" in shown[5]
    assert shown[0].rstrip().endswith("…") == (width < 200)


def test_the_newest_version_of_a_draft_is_shown() -> None:
    drafts = Drafts()
    drafts.take(event("1", 0, "old"))
    drafts.take(event("1", 1, "new"))
    drafts.take({"event": "finished", "node": "check", "lane": "1"})
    text = "\n".join(drawn(drafts))
    assert "new" in text
    assert "old" not in text


@given(st.lists(st.text(max_size=300), min_size=1, max_size=3), st.sampled_from(WIDTHS))
def test_no_text_makes_a_draft_taller(parts: list[str], width: int) -> None:
    drafts = Drafts()
    drafts.take(event("1", 0, text=dict(enumerate(parts))))
    assert len(drawn(drafts, width)) == len(parts) + 1


def test_why_a_draft_was_left_is_said_unless_it_passed() -> None:
    assert verdicts(CHECKS, "no gain").plain == "✓✗· a check of a rather long name (no gain)"
    assert verdicts({"tone": True}, "passed").plain == "✓"


def test_a_text_is_cut_only_where_it_is_no_result() -> None:
    long = {"header": "x" * 9_000}
    assert words(long).plain == "x" * (LONGEST - 1) + "…"
    assert words(long, longest=None).plain == "x" * 9_000


@pytest.mark.parametrize("width", WIDTHS)
def test_the_checks_of_a_candidate_are_those_of_its_title(width: int) -> None:
    rounds = [
        version(0, LONG, length=True, style=False),
        version(1, "No", length=False, style=False),
    ]
    shown = printed(lambda console: show_carts(titled(rounds), console), width)
    assert "✓✗ style (max rounds)" in shown
    assert "✗✗" not in shown
    for heading in ("title", "coverage", "points", "revisions"):
        assert heading in shown
    assert shown.startswith("\n")
    assert " ".join(shown.split()).count("many words") == 8  # the title, and its candidate


def test_a_trimmed_title_and_one_by_code_say_so() -> None:
    result = titled([version(0, "Tea", length=False)], feasible=False, trimmed=True)
    assert "Tea (trimmed, breaks a rule)  covers 50%" in printed(lambda c: show_carts(result, c))
    result.candidates[0].origin = "template"
    assert "Tea by code" in printed(lambda console: show_carts(result, console))


@pytest.mark.parametrize("width", WIDTHS)
def test_copies_and_faults_have_room_at_any_width(width: int) -> None:
    copy = Copy(id="1", text={"header": LONG, "subheader": "Leaves"}, rounds=2, scores={})
    bad = Rejected(id="2", text={"header": LONG}, rounds=1, failed=FAULTS, stopped="no gain")
    result = written(accepted=[copy], duplicates=[copy], rejected=[bad])
    shown = printed(lambda console: show_copies(result, console), width)
    for word in ("copy", "revisions", "why not", "like another", "✓ A great", "Leaves"):
        assert word in shown
    assert "…" not in shown
    assert shown.count("great") == 3 * 4  # what is wrong does not repeat the text beside it
    assert "facts: No '5'.; No '6'." in " ".join(shown.split())
    assert shown.startswith("\n")


def test_a_check_without_an_answer_is_named() -> None:
    bad = Rejected(id="2", text={"header": "Tea"}, rounds=0, failed={"tone": ""}, stopped="no gain")
    shown = printed(lambda console: show_copies(written(rejected=[bad]), console))
    assert "tone: no answer" in shown


def test_a_run_without_copies_says_so() -> None:
    shown = printed(lambda console: show_copies(written(use_case="[b]Tea"), console))
    assert "[b]Tea: the model wrote no copy." in shown
    assert "why not" not in shown
