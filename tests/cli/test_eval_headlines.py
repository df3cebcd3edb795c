"""`merchgraph eval headlines`: a table, JSON, a recording that goes on, and sentences."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from merchgraph.runtime.scripted import Always, scripted
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.data.upworthy import FILE

Typed = Callable[..., Any]
WEEKS = range(201403, 201423)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Data of earlier weeks, of which the longer headline of each pair won."""
    rows = [
        (f"{week}", week, "tree", f"{word} {week}", 4_000, clicks)
        for week in WEEKS
        for word, clicks in (("a report on", 400), ("watch", 40))
    ]
    columns = [
        "clickability_test_id",
        "test_week",
        "eyecatcher_id",
        "headline",
        "impressions",
        "clicks",
    ]
    (tmp_path / FILE).parent.mkdir()
    pl.DataFrame(rows, schema=columns, orient="row").write_parquet(tmp_path / FILE)
    with use_settings(data=tmp_path):
        yield tmp_path


def test_every_pair_is_judged_and_the_same_command_asks_nothing_twice(
    typed: Typed, folder: Path
) -> None:
    file, note = str(folder / "x.jsonl.zst"), folder / "report.md"
    asked = []
    for told in ((), ("--markdown", str(note)), ("--json",)):
        replies = {"headline": Always({"A": 0.7, "B": 0.3})}
        with scripted(replies, name="clicks") as model:
            ended = typed("eval", "headlines", "--every", "--model", model, "--record", file, *told)
            assert (ended.code, ended.err) == (0, "")
            asked.append(len(model.script.asked))
    assert asked == [2 * len(WEEKS), 0, 0]
    report = json.loads(ended.out)
    assert (report["n"], report["tests"]) == (20, 20)
    chance, judge = report["rows"]
    assert (judge["judge"], judge["means"]["place"]["mean"]) == ("scripted/clicks", 1)
    assert chance["means"]["accuracy"]["mean"] == judge["means"]["accuracy"]["mean"] == 0.5
    assert "| scripted/clicks | .500 [.500 .500] |" in note.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "there is none; give data with more tests"),
        (("--model", "nobody/x"), "The model name 'nobody/x' is not known"),
        (("--record", "x.zst"), "--record keeps what a model is asked; name one by --model"),
        (("--every", "--model", "scripted/clicks", "--record", "/"), "'/' cannot be written"),
        (("--every", "--markdown", "/dev/null/x.md"), "cannot be written to '/dev/null/x.md'"),
    ],
)
def test_bad_input_is_a_sentence(
    typed: Typed, sentence: Any, folder: Path, words: tuple[str, ...], told: str
) -> None:
    with scripted({"headline": Always({"A": 0.7, "B": 0.3})}, name="clicks"):
        ended = typed("eval", "headlines", *words)
    assert ended.code == 2
    assert told in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("verb", ["pilot", "headlines"])
@pytest.mark.parametrize("content", [b"", b"headline,clicks\n", None])
def test_a_file_without_headlines_is_a_sentence(
    typed: Typed, sentence: Any, tmp_path: Path, verb: str, content: bytes | None
) -> None:
    (tmp_path / FILE).parent.mkdir()
    if content is None:
        pl.DataFrame({"headline": ["x"]}).write_parquet(tmp_path / FILE)
    else:
        (tmp_path / FILE).write_bytes(content)
    with use_settings(data=tmp_path):
        assert FILE.name in sentence(typed("eval", verb))
