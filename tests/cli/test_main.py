"""What any verb shares: help, quick starts, bad settings, and how errors look."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from merchgraph.cli import main as cli
from merchgraph.runtime.errors import SetupError

HELP = {
    (): ["run", "prepare", "eval", "replay", "trace", "studio", "doctor"],
    ("run",): ["arag"],
    ("run", "arag"): ["--user", "--k", "--candidates", "--model", "--data", "--slate", "--set"],
    ("prepare",): ["--data"],
    ("eval",): ["arag", "recall", "retrieval"],
    ("eval", "arag"): ["--limit", "--model", "--data", "--targets", "--systems", "--record"],
    ("eval", "recall"): ["--data", "--targets"],
    ("replay",): ["--html", "exit code 1"],
    ("trace",): ["show", "diff", "export"],
    ("studio",): ["--port", "--skip-prepare"],
    ("doctor",): ["exit code 1"],
}


@pytest.mark.parametrize(("words", "told"), HELP.items(), ids=lambda part: " ".join(part) or "top")
def test_help_names_every_verb_and_option(typed: Any, words: Any, told: str) -> None:
    ended = typed(*words, "--help")
    assert ended.code == 0
    for word in told:
        assert word in " ".join(ended.out.split()), word
    assert ended.err == ""


def test_the_installed_command_starts(process: Any) -> None:
    program = (
        "from importlib.metadata import entry_points as e; (c,) = e(name='merchgraph'); c.load()()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "--help"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "doctor" in ended.stdout


def test_the_first_line_waits_for_no_heavy_import() -> None:
    heavy = [
        "langgraph",
        "langchain_core",
        "openai",
        "torch",
        "chromadb",
        "polars",
        "numpy",
        "xllamacpp",
    ]
    program = f"import sys, merchgraph.cli.main; sys.exit(str(sys.modules.keys() & {heavy}))"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.stderr.strip() == "set()"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("CONCURRENCY", "0", "MERCHGRAPH_CONCURRENCY has the value '0'"),
        ("ATTEMPTS", "many", "MERCHGRAPH_ATTEMPTS has the value 'many'"),
        ("PRICES", "cheap", "MERCHGRAPH_PRICES"),
        ("LOG_LEVEL", "noisy", "MERCHGRAPH_LOG_LEVEL has the value 'noisy'"),
    ],
)
def test_a_bad_variable_is_one_sentence(
    process: Any, sentence: Any, name: str, value: str, told: str
) -> None:
    ended = process("doctor", **{f"MERCHGRAPH_{name}": value})
    assert told in sentence(ended)
    assert ended.out == ""


def test_a_cache_folder_that_cannot_be_made_is_one_sentence(
    process: Any, sentence: Any, gifts: Path
) -> None:
    ended = process("prepare", "--data", str(gifts), MERCHGRAPH_CACHE="/dev/null/cache")
    assert "/dev/null/cache" in sentence(ended)


def test_an_error_is_printed_word_for_word_on_one_line(
    typed: Any, sentence: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise SetupError("The title '[red]x[/]\x1b[2J'\nis :apple: bad.")

    monkeypatch.setattr(cli, "app", fail)
    assert sentence(typed()) == "The title '[red]x[/]\N{REPLACEMENT CHARACTER}[2J' is :apple: bad."


def test_an_interrupt_ends_with_130(typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    assert typed() == (130, "", "")


def test_an_unknown_suite_is_named(typed: Any) -> None:
    ended = typed("eval", "nope")
    assert ended.code == 2
    assert "No such command 'nope'" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("verb", ["prepare", "eval retrieval", "eval recall"])
def test_every_verb_names_an_unknown_shop(typed: Any, sentence: Any, verb: str) -> None:
    ended = typed(*verb.split(), "--data", "complete_jurney")
    assert "did you mean 'complete_journey'?" in sentence(ended)
    assert ended.out == ""
