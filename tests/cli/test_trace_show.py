"""`merchgraph trace show`: in the terminal, and as a page."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest

from merchgraph.agents.user_understanding import Constraints, Understanding
from merchgraph.runtime.recording import recorded
from merchgraph.runtime.scripted import Always, scripted
from tests.runtime.made_traces import made, written

SCRIPT = {
    "understand": Always(
        Understanding(long_term=["tea"], session_goal="tea", summary="Likes [b]tea[/b]",
                      constraints=Constraints(price=None, brand=None, avoid=[]))
    ),
    "nli": Always({"Yes": 0.8, "No": 0.2}),
    "nli@jam": Always("nonsense"),
    "summarize": Always('{"themes": [], "summary": "Some tea."}'),
    "rank": Always('{"ranking": ["2", "1"]}'),
}  # fmt: skip


@pytest.fixture
def trace(tmp_path: Path) -> str:
    """The file of an evaluation: two cases, three systems."""
    return str(written(made(2, 6, ("popularity", "broken", "ARAG")), tmp_path / "x.jsonl.zst"))


@pytest.fixture
def recording(on_slate: Any, tmp_path: Path) -> str:
    """The file of one run over a shop with hostile titles."""
    path = tmp_path / "run.jsonl.zst"
    with recorded(path), scripted(SCRIPT) as model:
        assert on_slate(model).code == 0
    return str(path)


def shown(ended: Any) -> str:
    """What a command that ended well printed, on one line; nothing of it commands the terminal."""
    assert (ended.code, ended.err) == (0, "")
    assert not any(unicodedata.category(c) == "Cc" and c != "\n" for c in ended.out)
    return " ".join(ended.out.split())


def test_a_file_is_shown_with_a_line_for_each_run(typed: Any, trace: str) -> None:
    text = shown(typed("trace", "show", trace))
    assert "6 runs of 2 cases" in text
    for run in ("200/popularity", "200/ARAG", "201/broken"):
        assert run in text


def test_a_case_is_shown_with_its_runs_alone(typed: Any, trace: str) -> None:
    text = shown(typed("trace", "show", trace, "--case", "201"))
    assert "201/ARAG" in text
    assert "200/ARAG" not in text


def test_one_run_is_shown_from_its_path_to_its_usage(typed: Any, trace: str) -> None:
    text = shown(typed("trace", "show", trace, "--run", "201/ARAG"))
    for part in ("Path", "nli x6", "No 0.63", "Ranking", "Usage", "total"):
        assert part in text


def test_the_only_run_of_a_file_is_shown_at_once(typed: Any, recording: str) -> None:
    text = shown(typed("trace", "show", recording))
    for part in (
        "graph arag",
        "retrieve",
        "nli x4",
        "Likes [b]tea[/b]",
        "Yes 0.80 No 0.20",
        "Green tea",
    ):
        assert part in text
    assert "nli jam: The model gave agent 'nli' no usable Choice" in text
    assert "[system]" not in text
    assert "[system] You work in a team" in shown(typed("trace", "show", recording, "--full"))


def test_the_page_has_what_was_asked_for(typed: Any, trace: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert "6 runs" in shown(typed("trace", "show", trace, "--html", str(page)))
    whole = page.read_text("utf-8")
    assert '"id":"200/ARAG"' in whole
    shown(typed("trace", "show", trace, "--case", "201", "--html", str(page)))
    part = page.read_text("utf-8")
    assert '"id":"201/ARAG"' in part
    assert '"id":"200/ARAG"' not in part
    assert len(part) < len(whole)


def test_a_cut_file_is_shown_with_what_is_wrong(typed: Any, trace: str) -> None:
    path = Path(trace)
    path.write_bytes(path.read_bytes()[:-200])
    text = shown(typed("trace", "show", trace))
    assert "The file ends in the middle of a run" in text
    assert "200/ARAG" in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["gone.jsonl.zst"], "'gone.jsonl.zst' cannot be read"),
        (["{other}"], "is no trace"),
        (["{trace}", "--case", "20l"], "There is no case or run '20l'; the nearest"),
        (["{trace}", "--run", "200/arag"], "the nearest of the 6 that are there: 200/ARAG"),
        (["{trace}", "--case", "201", "--run", "200/ARAG"], "There is no run '200/ARAG'; the nearest"),
        (["{trace}", "--html", "{here}"], "cannot be written: Is a directory; give another path."),
        (["{trace}", "--html", "{here}/no/x.html"], "cannot be written: No such file or directory"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(
    typed: Any, sentence: Any, trace: str, tmp_path: Path, words: list[str], told: str
) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("no trace")
    places = {"trace": trace, "other": other, "here": tmp_path}
    ended = typed("trace", "show", *(word.format(**places) for word in words))
    said = sentence(ended._replace(err=" ".join(ended.err.split()) + "\n"))
    assert told in said
