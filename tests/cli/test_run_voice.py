"""`merchgraph run voice`: what it draws, says and refuses."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from merchgraph.cli import run_voice
from merchgraph.cli.run_voice import BARS, BLIND
from merchgraph.graphs.voice_repair_result import Result
from merchgraph.runtime.scripted import scripted
from tests.cli.conftest import Command, Ended
from tests.graphs.voice_exchange import OPTIONS, run, turn

READY = ("--model", "none", "--speed", "0")


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_example_draws_p_the_decision_the_line_and_what_came_of_it(typed: Command) -> None:
    ended = typed("run", "voice", *READY)
    assert (ended.code, ended.err) == (0, "")
    assert "“Set a timer for ten minutes” → “Your timer is set for two minutes”" in flat(ended.out)
    first, second = re.findall(rf"^  +([{BARS} ]+)$", ended.out, flags=re.MULTILINE)
    assert first.split() == ["".join(sorted(first.strip()))]  # it rises, and ends with the decision
    assert set(second.strip()) == {BARS[0]}
    assert "▸ 3.0 s p(error) 0.70 repair: p(error) stayed above 0.60 for 0.3 s" in flat(ended.out)
    assert "says “Sorry, did I get that wrong? Could I hear it once again?”" in flat(ended.out)
    assert "repaired: what came after was fine" in ended.out


def test_what_others_wrote_is_shown_as_it_is() -> None:
    line = "Was it [b]jazz[/] or the news at last?"
    console = Console(file=io.StringIO(), width=100)
    script: Any = {"repair": [json.dumps({"line": line})], "refine": ["{}", "{}"]}
    with scripted(script) as model:
        found = run(turn(0.9, "[red]Jars[/]\x1b[2J", options=OPTIONS), model=model)
    run_voice.show(found, console)
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert "[red]Jars[/]" in told
    assert "\x1b[2J" not in told
    assert "offer options; a ready line, since the model's broke:" in flat(told)


def test_a_face_that_is_not_there_is_drawn_as_such() -> None:
    console = Console(file=io.StringIO(), width=80)
    run_voice.show(run(turn([0.1] * 8 + [None] * 8)), console)
    told = console.file.getvalue()  # type: ignore[attr-defined]
    assert re.search(rf"{BARS[0]}+{BLIND}+", told)


def test_a_stream_is_played_at_its_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("merchgraph.cli.run_voice.time.sleep", slept.append)
    found = run(turn(0.1))
    terminal = Console(file=io.StringIO(), width=80, force_terminal=True)
    run_voice.show(found, terminal, speed=2.0)
    assert sum(slept) == pytest.approx(4 / 2, abs=0.11)
    slept.clear()
    run_voice.show(found, Console(file=io.StringIO(), width=80), speed=2.0)
    assert slept == []  # no terminal, nobody who watches


def test_json_is_the_result(typed: Command) -> None:
    ended = typed("run", "voice", *READY, "--json", "--set", "cost_ratio=1")
    assert (ended.code, ended.err) == (0, "")
    found = Result.model_validate(json.loads(ended.out))
    assert (found.threshold, found.outcome) == (0.5, "repaired")


def test_a_recording_is_named_and_replays(typed: Command, tmp_path: Path) -> None:
    trace = str(tmp_path / "v.jsonl.zst")
    ended = typed("run", "voice", *READY, "--record", trace)
    assert "recorded in" in flat(ended.out)
    assert typed("replay", trace).code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--features gone.csv", "The stream 'gone.csv' cannot be read (No such file or directory)"),
        ("--at 3", "are of a stream; name its CSV by --features"),
        ("--option x", "are of a stream; name its CSV by --features"),
        ("--asked x", "--asked, --answered, --option and --at are of a stream"),
        ("--answered x", "--asked, --answered, --option and --at are of a stream"),
        ("--asked=", "--asked, --answered, --option and --at are of a stream"),
        ("--features gone.csv --asked=", "The setting turns.0.asked is ''"),
        ("--set cost_ratio=0", "The setting cost_ratio is 0, but: input should be greater than 0"),
        ("--set margin=0.7", "The setting margin is 0.7"),
        ("--set face=1", "There is no setting 'face'; there are mode, rounds"),
        ("--model smol", "The model name 'smol' is not known"),
    ],
)
def test_a_mistake_is_one_sentence(
    typed: Command, sentence: Callable[[Ended], str], words: str, told: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert told in sentence(typed("run", "voice", *READY, *words.split()))


def test_a_stream_without_a_detector_is_told_how_to_make_one(
    typed: Command, tmp_path: Path
) -> None:
    file = tmp_path / "face.csv"
    file.write_text("time,AU06_r\n0,1\n0.1,1\n", encoding="utf-8")
    ended = typed("run", "voice", *READY, "--features", str(file))
    assert ended.code == 2
    assert ended.err.startswith("error: There is no model at ")
    assert "merchgraph train reactions" in ended.err
