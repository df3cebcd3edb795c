"""`merchgraph eval voice`: its tables, its files, its mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Ended

FEW = ("eval", "voice", "--limit", "3", "--set", "expressiveness=[]", "--set", "answers=20")
ONE = ("--set", "aucs=[0.8]")


def test_the_tables_are_printed_and_written(typed: Command, tmp_path: Path) -> None:
    ended = typed(*FEW, *ONE, "--markdown", str(tmp_path / "v.md"))
    assert (ended.code, ended.err) == (0, "")
    assert "n = 3 a system, 30% first answers wrong" in " ".join(ended.out.split())
    assert "| the truth |" in (tmp_path / "v.md").read_text(encoding="utf-8")


def test_json_has_every_number(typed: Command) -> None:
    told = json.loads(typed(*FEW, *ONE, "--json", "--errors", "0.5", "--ratio", "3").out)
    assert told["n"] == 3
    assert (told["params"]["person"]["errors"], told["params"]["cost_ratio"]) == (0.5, 3)
    assert [row["system"] for row in told["rows"]][-2:] == ["faces of AUC 0.8", "the truth"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--errors 1.5", "The setting person.errors is 1.5"),
        ("--ratio 0", "The setting cost_ratio is 0"),
        ("--set aucs=[0.3]", "The setting aucs.0 is 0.3"),
        ("--set aucs=[]", "The setting aucs is []"),
        ("--set faces=2", "There is no setting 'faces'; there are limit, aucs, person"),
    ],
)
def test_a_mistake_is_one_sentence(
    typed: Command, sentence: Callable[[Ended], str], words: str, told: str
) -> None:
    assert told in sentence(typed(*FEW, *words.split()))
