"""`merchgraph run --thread`: a run that goes on, and one that waits."""

from pathlib import Path
from typing import Any

import pytest

from merchgraph.graphs import voice_repair_look
from merchgraph.runtime.scripted import scripted
from tests.cli.test_run import SCRIPT
from tests.graphs.test_voice_stream import Brow, stream


def on(gifts: Path) -> tuple[str, ...]:
    return ("--user", "7", "--data", str(gifts), "--slate", "tea,soap", "--set", "candidates=2")


def test_a_thread_that_has_ended_asks_nothing_again(typed: Any, gifts: Path) -> None:
    words = ("run", "--thread", "gifts", "arag", *on(gifts), "--k", "1", "--json")
    with scripted(SCRIPT, name="thread") as model:
        first = typed(*words, "--model", model)
        asked = len(model.script.asked)
        again = typed(*words, "--model", model)
        assert len(model.script.asked) == asked > 0
    assert (first.code, again.code) == (0, 0)
    assert first.out == again.out


def test_another_run_in_the_thread_is_refused(typed: Any, gifts: Path, sentence: Any) -> None:
    words = ("run", "--thread", "other", "arag", *on(gifts))
    with scripted(SCRIPT, name="thread") as model:
        assert typed(*words, "--model", model, "--k", "1").code == 0
        ended = typed(*words, "--model", model, "--k", "2")
    assert "The thread 'other' holds the run of another context" in sentence(ended)


def test_a_run_that_waits_takes_its_answer(
    typed: Any, sentence: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice_repair_look, "Detector", Brow)
    file = stream(tmp_path, "0.1", *["0.9"] * 19)
    words = ("voice", "--features", file, "--detector", "made", "--model", "none")
    told = sentence(typed("run", "--thread", "voice", *words))
    assert "waits for [{'wanted': 'the next turn'" in told
    assert told.endswith("give it as --answer.")
    ended = typed("run", "--thread", "voice", "--answer", "", *words)
    assert ended.code == 0, ended
    assert "the repair was said" in " ".join(ended.out.split())
    assert "name its --thread" in sentence(typed("run", "--answer", "x", *words))
