"""`merchgraph run carts` and `run copywriting`: what they print, what they refuse, and their replay."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from merchgraph.graphs import carts, copywriting
from merchgraph.runtime.scripted import scripted
from tests.cli.conftest import Command, Ended
from tests.graphs.carts_shop import script, vectors
from tests.graphs.tea_campaign import CASE, GOOD, NO, copies, replies

TITLES = ["Milk & Rye Bread", "Fresh Milk & Bread", "Rye Bread"]
HOSTILE = ["\x1b[2JSoap", "[red]Tea[/]", "Soap \u202eaeT", ":apple: Tea"]
SETS = "set,item\nfirst [b],milk\nfirst [b],bread\nsecond,jam\nsecond,salt\n"


@pytest.fixture(autouse=True)
def _no_embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carts, "_embed", vectors)


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Two modules of two items."""
    (tmp_path / "sets.csv").write_text(SETS)
    return tmp_path / "sets.csv"


@pytest.fixture
def titled(typed: Command, gifts: Path) -> Callable[..., Ended]:
    """`merchgraph run carts` over the small shop, with three drafts that are revised once."""

    def run(*words: str, drafts: list[str] | None = None) -> Ended:
        with scripted(script(drafts or TITLES)) as model:
            return typed(
                "run", "carts", "--data", str(gifts), "--model", model,
                "--set", "drafts=3", "--set", "rounds=1", *words,
            )  # fmt: skip

    return run


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    """The tea campaign as a person writes it."""
    path = tmp_path / "tea.yaml"
    path.write_text(yaml.safe_dump(CASE.model_dump(mode="json"), sort_keys=False))
    return path


@pytest.fixture
def written(typed: Command, campaign: Path) -> Callable[..., Ended]:
    """`merchgraph run copywriting` for the tea campaign."""

    def run(*words: str, texts: Any = GOOD, **changed: Any) -> Ended:
        with scripted(replies(*texts, **changed)) as model:
            return typed("run", "copywriting", "--use-case", str(campaign), "--model", model,
                         "--copies", "3", "--set", "rounds=0", *words)  # fmt: skip

    return run


def controls(text: str) -> list[str]:
    return [c for c in text if (unicodedata.category(c) == "Cc" and c != "\n") or c == "\u202e"]


def flat(text: str) -> str:
    return " ".join(text.split())


def test_every_module_of_a_file_is_titled_in_turn(titled: Callable[..., Ended], sets: Path) -> None:
    ended = titled("--module", str(sets))
    assert (ended.code, ended.err) == (0, "")
    first, second = ended.out.split("2 of 2 second (2 items)\n")
    assert "1 of 2 first [b] (2 items)\n" in first
    for part in (first, second):
        for word in ("extract", "arbitrate", "Candidates", "relevance", "total"):
            assert word in part
    title, _, covered = next(x for x in first.splitlines() if "judge" in x).partition("  covers ")
    assert title in ("Milk & Rye Bread", "Fresh Milk & Bread")  # on a line of its own
    assert covered == "100% by the judge"
    assert "by code" not in first
    assert "by code" in second  # of its drafts none is fit


def test_a_single_module_is_not_counted(titled: Callable[..., Ended]) -> None:
    ended = titled("--seed-item", "bread", "--size", "1")
    assert (ended.code, ended.err) == (0, "")
    assert " of 1" not in ended.out
    assert "Rye Bread" in ended.out


def test_json_is_one_line_for_each_module(titled: Callable[..., Ended], sets: Path) -> None:
    ended = titled("--module", str(sets), "--json")
    assert (ended.code, ended.err) == (0, "")
    results = [carts.Result.model_validate_json(line) for line in ended.out.splitlines()]
    assert [result.name for result in results] == ["first [b]", "second"]
    assert [list(result.features) for result in results] == [["milk", "bread"], ["jam", "salt"]]
    assert [result.feasible for result in results] == [True, True]
    assert controls(ended.out) == []


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_titles_of_others_command_no_terminal(
    titled: Callable[..., Ended], sets: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    sets.write_text(
        "set,item\n\x1b]0;owned\x07 \u202eset,soap\n\x1b]0;owned\x07 \u202eset,tea\n2,tea\n"
    )
    ended = titled("--module", str(sets), drafts=HOSTILE)
    assert (ended.code, ended.err) == (0, "")
    assert controls(ended.out) == []
    assert "\N{REPLACEMENT CHARACTER}]0;owned\N{REPLACEMENT CHARACTER}" in ended.out
    assert "[red]Tea[/]" in ended.out
    assert all(len(line) <= int(columns) for line in ended.out.splitlines())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "Give --module FILE or --seed-item ID, one of the two."),
        ("--module SETS --seed-item soap", "Give --module FILE or --seed-item ID, one of the two."),
        ("--seed-item beer", "'beer'"),
        ("--module sets.csv --size 3", "--size 3 is for --seed-item; a file's sets are"),
        ("--seed-item soap --size 0", "A module of 0 items was asked for; give 1 to 50."),
        ("--seed-item soap --size 51", "A module of 51 items was asked for; give 1 to 50."),
        ("--module gone.csv", "There is no file 'gone.csv'; give a CSV, TSV or Parquet file"),
        ("--module SETS --set drafts=0", "The setting drafts is 0, but: "),
        ("--module SETS --set name=x", "There is no setting 'name'; there are "),
        ("--module SETS --set drafts", "--set got 'drafts'; expected NAME=VALUE"),
        (f"--module SETS --set drafts={'9' * 5000}", "The setting drafts is '999"),
        ("--module SETS --model smol", "The model name 'smol' is not known"),
        ("--module SETS --data complete_jurney", "did you mean 'complete_journey'?"),
    ],
    ids=lambda words: words[:40],
)
@pytest.mark.parametrize("json_flag", [(), ("--json",)], ids=["drawn", "json"])
def test_a_mistake_about_modules_is_one_sentence(
    typed: Command, sentence: Any, gifts: Path, sets: Path, words: str, told: str, json_flag: Any
) -> None:
    given = words.replace("SETS", str(sets)).split()
    ended = typed("run", "carts", "--data", str(gifts), *given, *json_flag)
    assert told in sentence(ended)
    if json_flag:
        assert ended.out == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "sets.csv"),
        ("set,item\n", "the file has no rows"),
        ("set,thing\n1,soap\n", "there is no column 'item'"),
        ("set,item\n1,\n", "fill the cell"),
        ("set,item\n1,soap\n1,soap\n", "its set has it already"),
        ("set,item\n" + "".join(f"1,{n}\n" for n in range(51)), "at most 50 items"),
        ("set,item\n1,soap\n2,\x1b[2Jbeer\n", "beer"),
        (f"set,item\n{'x' * 201},soap\n", "The setting name is "),
    ],
    ids=["empty", "rows", "column", "blank", "twice", "many", "unknown item", "long name"],
)
def test_a_faulty_file_of_modules_is_one_sentence_and_nothing_is_recorded(
    typed: Command, sentence: Any, gifts: Path, sets: Path, text: str, told: str
) -> None:
    sets.write_text(text)
    kept = sets.with_name("kept.jsonl.zst")
    with scripted({}) as model:  # nobody is asked
        ended = typed("run", "carts", "--module", str(sets), "--data", str(gifts),
                      "--model", model, "--record", str(kept))  # fmt: skip
    assert told in sentence(ended)
    assert controls(ended.err) == []
    assert not kept.exists()


def test_recorded_titles_replay(
    titled: Callable[..., Ended], typed: Command, sets: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "a trace.jsonl.zst"
    ended = titled("--module", str(sets), "--record", str(kept))
    assert f"merchgraph trace show '{kept}'\n" in ended.out
    again = typed("replay", str(kept))
    assert (again.code, again.err) == (0, "")
    assert "2 runs with " in again.out
    assert "all as recorded" in flat(again.out)


def test_accepted_and_rejected_copies_are_told_apart(written: Callable[..., Ended]) -> None:
    ended = written(tone__2=[NO])
    assert (ended.code, ended.err) == (0, "")
    text = flat(ended.out)
    assert "Tea week" in [line.strip() for line in ended.out.splitlines()]
    assert text.count("✓ Green tea days") == 1
    assert "✓ Your cup of tea" not in text
    assert "tone: Header and subheader do not" in text
    assert "passed by round 0, 1, ...: 67%" in text


def test_json_is_the_copies_and_nothing_else(written: Callable[..., Ended]) -> None:
    ended = written("--json")
    assert (ended.code, ended.err) == (0, "")
    result = copywriting.Result.model_validate(json.loads(ended.out))
    assert [(copy.text["header"], copy.text["subheader"]) for copy in result.accepted] == GOOD
    assert result.use_case == "Tea week"


def test_a_model_that_writes_nothing_is_said(written: Callable[..., Ended]) -> None:
    ended = written(write=[copies(), copies()])
    assert (ended.code, ended.err) == (0, "")
    assert "Tea week: the model wrote no copy." in ended.out
    assert "passed by round 0, 1, ...: 0%" in ended.out


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_copies_command_no_terminal(
    written: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    bad = [
        ("\x1b]0;owned\x07 tea", "[red]12[/] teas \u202e"),
        (":apple: tea", "x" * 9_000),
        GOOD[0],
    ]
    ended = written(texts=bad)
    assert (ended.code, ended.err) == (0, "")
    assert controls(ended.out) == []
    assert ":apple: tea" in ended.out
    assert "[red]12[/]" in ended.out
    assert all(len(line) <= int(columns) for line in ended.out.splitlines())
    assert ended.out.count("x") < 1_000


CASES = {
    "not YAML": ("name: [", "this is not YAML"),
    "a list": ("- one\n", "a use case has keys such as"),
    "a key twice": ("name: tea\nname: jam\n", "the key 'name' stands in line 1 already"),
    "empty": ("", "a use case has keys such as"),
    "an escape": ("\x1b[2J", "tea.yaml"),
}


@pytest.mark.parametrize(("text", "told"), CASES.values(), ids=CASES)
def test_a_faulty_use_case_is_one_sentence_and_nothing_is_recorded(
    typed: Command, sentence: Any, campaign: Path, text: str, told: str
) -> None:
    campaign.write_text(text)
    kept = campaign.with_name("kept.jsonl.zst")
    with scripted({}) as model:
        ended = typed("run", "copywriting", "--use-case", str(campaign), "--model", model,
                      "--record", str(kept))  # fmt: skip
    assert told in sentence(ended)
    assert controls(ended.err) == []
    assert not kept.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--use-case d", "'d'"),
        ("--use-case /", "'/'"),
        ("--use-case a --copies 0", "The setting copies is 0, but: "),
        ("--use-case a --copies 51", "The setting copies is 51, but: "),
        ("--use-case a --set mode=some", "The setting mode is 'some', but: "),
        ("--use-case a --set use_case=b", "There is no setting 'use_case'; there are "),
        ("--use-case a --model smol", "The model name 'smol' is not known"),
    ],
)
def test_a_mistake_about_copies_is_one_sentence(
    typed: Command, sentence: Any, words: str, told: str
) -> None:
    for more in ((), ("--json",)):
        ended = typed("run", "copywriting", *words.split(), *more)
        assert told in sentence(ended)
    assert ended.out == ""


def test_copies_of_no_use_case_are_refused(typed: Command) -> None:
    ended = typed("run", "copywriting")
    assert (ended.code, ended.out) == (2, "")
    assert "--use-case" in ended.err


def test_recorded_copies_replay_without_their_use_case(
    written: Callable[..., Ended], typed: Command, campaign: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.jsonl.zst"
    ended = written("--record", str(kept))
    assert f"recorded in {kept}; merchgraph trace show {kept}\n" in ended.out
    campaign.unlink()
    again = typed("replay", str(kept))
    assert (again.code, again.err) == (0, "")
    assert "1 run with 13 model calls: all as recorded" in flat(again.out)
