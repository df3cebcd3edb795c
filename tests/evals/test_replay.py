"""Replays of traces outside a suite: what is compared, what is told, and what cannot be played."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from merchgraph.evals.replay import MOST, Replay, replay_file
from merchgraph.graphs import arag
from merchgraph.graphs.arag import Context, Request
from merchgraph.prompts import load
from merchgraph.runtime import software
from merchgraph.runtime.errors import EndpointError, SetupError
from merchgraph.runtime.frames import Group, pack, unpack
from merchgraph.runtime.recording import recorded
from merchgraph.runtime.scripted import Always, scripted
from merchgraph.runtime.trace import EndLine, Header, RunLine
from merchgraph.runtime.trace_file import read
from tests.graphs.conftest import corner as corner
from tests.graphs.conftest import replies
from tests.runtime.small_trace import write

pytestmark = pytest.mark.usefixtures("corner")
SLATE = ["tea", "cake", "soap", "rice"]
GONE = EndpointError("The model server did not answer.")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two runs; in one the judge fails on the cake."""
    path = tmp_path / "x.jsonl.zst"
    with scripted(replies({"tea": 0.3}, nli__cake=Always(GONE)), name="r"), recorded(path):
        for user in ("ann", "bob"):
            arag.run(Request(user=user, candidates=SLATE), Context(model="scripted/r", k=2))
    return path


def play(file: Path) -> Replay:
    return asyncio.run(replay_file(file))


def edit(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change lines of a file as a person with an editor would."""
    groups = [part for part in unpack(file.read_bytes()) if isinstance(part, Group)]
    rows = [[json.loads(line) for line in group.lines] for group in groups]
    for group in rows:
        for row in group:
            change(row)
    file.write_bytes(b"".join(pack(json.dumps(row).encode() for row in group) for group in rows))


def test_all_runs_are_played_and_are_the_same(file: Path) -> None:
    replay = play(file)
    assert (replay.same, replay.runs, replay.calls) == (True, 2, 2 * 9)
    assert (replay.prompts, replay.problems, replay.unfinished) == ([], [], False)
    assert replay.report is None
    assert replay.seconds > 0
    assert replay.recorded_seconds == sum(run.end.seconds for run in read(file).runs.values())


def test_it_tells_of_its_progress(file: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    telling = lambda stage: lambda done, total: seen.append((stage, done, total))  # noqa: E731
    asyncio.run(replay_file(file, telling=telling))
    assert seen == [("runs", 1, 2), ("runs", 2, 2)]


def test_another_output_is_told_by_its_place(file: Path) -> None:
    def change(row: dict[str, Any]) -> None:
        if row["kind"] == "end":
            row["output"]["ranking"][0]["title"] = "Oolong tea"
            row["output"]["fallback"] = True
            row["usage"]["calls"] = 77

    edit(file, change)
    replay = play(file)
    assert not replay.same
    assert [one.run for one in replay.differences] == ["run-1", "run-2"]
    told = replay.differences[0].told.splitlines()
    assert told[0] == "usage.calls: recorded 77, now 9"
    assert "output.ranking[0].title: [-Oolong-]{+Brown+} [-tea-]{+rice+}" in told
    assert "output.fallback: recorded True, now False" in told


def test_many_differences_of_one_part_are_not_all_told(file: Path) -> None:
    def change(row: dict[str, Any]) -> None:
        if row["kind"] == "end":
            row["output"] = {f"field {n}": n for n in range(50)}

    edit(file, change)
    assert len(play(file).differences[0].told.splitlines()) == MOST


def test_fields_that_came_later_are_no_difference(file: Path) -> None:
    def change(row: dict[str, Any]) -> None:
        if row["kind"] == "end":
            del row["output"]["fallback"]
            del row["output"]["ranking"][0]["sources"]

    edit(file, change)
    assert play(file).same


def test_an_answer_that_was_changed_changes_the_run(file: Path) -> None:
    def change(row: dict[str, Any]) -> None:
        if row["kind"] == "call" and row["agent"] == "rank":
            row["chunks"][0]["content"] = '{"ranking": ["1", "2"]}'

    edit(file, change)
    replay = play(file)
    assert len(replay.differences) == 2
    assert "output.recommendations[0].item" in replay.differences[0].told


def test_a_run_with_answers_too_many_or_too_few_goes_no_further_and_the_others_do(
    file: Path,
) -> None:
    def change(row: dict[str, Any]) -> None:
        if row["kind"] == "call" and row["agent"] == "understand" and "ann" in str(dropped):
            dropped.clear()
            row |= {"key": "another", "lane": "x"}

    dropped = ["ann"]
    edit(file, change)
    replay = play(file)
    assert [one.run for one in replay.differences] == ["run-1"]
    assert "The run 'run-1' asks what is not on its tape, in 'understand'" in str(
        replay.differences
    )
    assert replay.runs == 2


def test_an_answer_that_nobody_asks_for_any_more_is_told(file: Path) -> None:
    def change(row: dict[str, Any]) -> None:
        if row["kind"] == "end":
            row["usage"]["calls"] = 77  # told beside it, as one difference of one run

    edit(file, change)
    groups = [part.lines for part in unpack(file.read_bytes()) if isinstance(part, Group)]
    extra = json.dumps({"kind": "tool", "key": "k", "name": "weigh", "lane": "tea"}).encode()
    groups[1].insert(1, extra)
    file.write_bytes(b"".join(map(pack, groups)))
    first, second = play(file).differences
    assert first.told.splitlines() == [
        "The run 'run-1' left 1 recorded answers unasked: weigh@tea; its graph has changed since.",
        "usage.calls: recorded 77, now 9",
    ]
    assert second.told == "usage.calls: recorded 77, now 9"


def test_an_edited_prompt_is_named_with_its_file(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = tmp_path / "prompts"
    for old in load.FOLDER.rglob("*.md"):
        new = edited / old.relative_to(load.FOLDER)
        new.parent.mkdir(parents=True, exist_ok=True)
        text = old.read_text()
        if new == edited / "arag" / "nli.md":
            text = text.replace("one word: Yes", "a single word: Yes")
        new.write_text(text)
    monkeypatch.setattr(load, "FOLDER", edited)
    monkeypatch.setattr(software, "PROMPTS", edited)
    load._template.cache_clear()
    replay = play(file)
    load._template.cache_clear()
    assert replay.prompts == ["arag/nli.md"]
    assert not replay.same
    assert [one.run for one in replay.differences] == ["run-1", "run-2"]
    assert "message 2 (human): " in replay.differences[0].told
    assert "with [-one-]{+a single+} word: Yes" in replay.differences[0].told


def test_a_setting_that_is_gone_is_a_difference_of_its_run(file: Path) -> None:
    def change(row: dict[str, Any]) -> None:
        if row["kind"] == "run" and row["request"]["user"] == "ann":
            row["context"]["mood"] = "good"

    edit(file, change)
    replay = play(file)
    [one] = replay.differences
    assert (one.run, replay.runs) == ("run-1", 2)
    assert "There is no setting 'mood'; there are model" in one.told


@pytest.mark.parametrize(
    ("header", "run", "sentence"),
    [
        (Header(made="x"), None, "holds nothing that can be replayed: no run was finished"),
        (None, RunLine(run="1", graph="arag"), "holds nothing that can be replayed"),
        (
            Header(made="x"),
            RunLine(run="1", graph="carts9"),
            "There is no graph 'carts9'; there is arag",
        ),
        (Header(params={"suite": "x"}), RunLine(run="1"), "There is no suite 'x'; there is arag"),
        (
            Header(params={"suite": "arag", "params": {"mood": 1}}),
            RunLine(run="1"),
            "There is no setting 'mood'",
        ),
        (Header(params={"suite": "arag"}), RunLine(run="1"), "no case that all .* systems have"),
    ],
)
def test_what_cannot_be_played_is_said_in_a_sentence(
    header: Header | None, run: RunLine | None, sentence: str, tmp_path: Path
) -> None:
    groups: list[Any] = [[header]] if header else []
    groups += [[run, EndLine(output=1)]] if run else []
    with pytest.raises(SetupError, match=sentence):
        play(write(tmp_path / "y.jsonl.zst", groups))


def test_a_recording_that_was_broken_off_says_so_and_plays_what_it_has(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: list(unpack(data))[2].offset])
    replay = play(file)
    assert (replay.unfinished, replay.same, replay.runs) == (True, True, 1)
