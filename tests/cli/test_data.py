"""`merchgraph data`: rate clips, see how raters agree, delete a person; `merchgraph eval reactions`."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from merchgraph.runtime.settings import use_settings

Typed = Callable[..., Any]
Sentence = Callable[[Any], str]
RATED = "clip,rater,answer\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = "a,ann,0,1,error\nb,bob,0,1,correct\nc,bob,0,1,error\n"
    (tmp_path / "labels.csv").write_text("clip,person,start,end,label\n" + rows)
    for name in "abc":
        (tmp_path / f"{name}.csv").write_text("time,AU12_r\n0,1\n0.5,2\n")
        (tmp_path / f"{name}.mp4").write_bytes(b"x")
    return tmp_path


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What the person types, a line each."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(text) + "\n"))


def test_clips_are_rated_without_their_labels_and_go_on(
    typed: Typed, folder: Path, keys: Callable[[str], None]
) -> None:
    keys("exuq")
    ended = typed("data", "rate", str(folder), "--rater", "eve")
    assert (ended.code, ended.err) == (0, "")
    assert "3 clips to rate, 0 done" in ended.out
    assert ".mp4from0to1s" in "".join(ended.out.split())
    assert "correct" not in ended.out
    first = (folder / "ratings.csv").read_text().splitlines()
    assert first[0] + "\n" == RATED
    assert [line.split(",", 1)[1] for line in first[1:]] == ["eve,error", "eve,unsure"]
    keys("f")
    assert "1 clips to rate, 2 done" in typed("data", "rate", str(folder), "--rater", "eve").out
    rated = (folder / "ratings.csv").read_text().splitlines()
    assert rated[:3] == first
    assert sorted(line[:3] for line in rated[1:]) == ["a@0", "b@0", "c@0"]


def test_a_player_that_is_not_there_is_said(typed: Typed, folder: Path, sentence: Sentence) -> None:
    ended = typed("data", "rate", str(folder), "--rater", "eve", "--player", "no-such-player -an")
    assert "'no-such-player -an' cannot be started" in sentence(ended)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were started."""
    commands: list[list[str]] = []
    monkeypatch.setattr("subprocess.run", lambda words, check: commands.append(words))
    return commands


def test_each_clip_is_played_from_its_own_file(
    typed: Typed, folder: Path, keys: Callable[[str], None], played: list[list[str]]
) -> None:
    rows = "p,ann,0,1,error\np.2,bob,0,1,correct\np[1],cat,0,1,error\n"
    (folder / "labels.csv").write_text("clip,person,start,end,label\n" + rows)
    (folder / "more").mkdir()
    for name in ("p.2", "more/p", "p[1]", "p1"):
        (folder / f"{name}.mp4").write_bytes(b"x")
    keys("fff")
    assert typed("data", "rate", str(folder), "--rater", "eve", "--player", "play -an").code == 0
    told = sorted(Path(file).relative_to(folder).as_posix() for *_, file in played)
    assert told == ["more/p.mp4", "p.2.mp4", "p[1].mp4"]


def test_a_player_is_told_the_seconds_of_a_clip(
    typed: Typed, folder: Path, keys: Callable[[str], None], played: list[list[str]],
    sentence: Sentence,
) -> None:  # fmt: skip
    rows = "a,ann,0,1,error\na,ann,12.25,1000.5,correct\n"
    (folder / "labels.csv").write_text("clip,person,start,end,label\n" + rows)
    rate = ("data", "rate", str(folder), "--rater", "eve", "--player")
    told = sentence(typed(*rate, "play --from={start}"))
    assert "would play all of 'a', which holds 2 clips" in told
    assert "No closing quotation" in sentence(typed(*rate, "play '"))
    assert played == []
    keys("ff")
    assert typed(*rate, "play --from={start} --to {end}").code == 0
    video = str(folder / "a.mp4")
    assert sorted(played) == [
        ["play", "--from=0.000", "--to", "1.000", video],
        ["play", "--from=12.250", "--to", "1000.500", video],
    ]


def test_the_agreement_of_raters_is_printed(typed: Typed, folder: Path, sentence: Sentence) -> None:
    assert "merchgraph data rate" in sentence(typed("data", "agreement", str(folder)))
    rows = ["a@0,r1,error", "a@0,r2,error", "b@0,r1,fine", "b@0,r2,error"]
    (folder / "ratings.csv").write_text(RATED + "\n".join(rows) + "\n")
    ended = typed("data", "agreement", str(folder))
    assert (ended.code, ended.err) == (0, "")
    lines = dict(line.strip().rsplit(maxsplit=1) for line in ended.out.splitlines()[1:])
    assert lines["mean vote is right"] == "0.750"
    assert lines["AUC of the mean vote"] == "1.000"
    roc = [line for line in ended.out.splitlines() if "ROC of the mean vote" in line]
    assert roc[1].split()[-4:] == ["alarms", "0.000,", "hits", "1.000"]
    assert len(roc) == 3  # over nothing, over .5, over all


def test_a_person_is_deleted_when_the_person_says_yes(
    typed: Typed, folder: Path, keys: Callable[[str], None]
) -> None:
    keys("n")
    assert typed("data", "forget", "bob", "--folder", str(folder)).code == 1
    assert (folder / "b.mp4").exists()
    ended = typed("data", "forget", "bob", "--folder", str(folder), "--yes")
    assert (ended.code, ended.err) == (0, "")
    assert "deleted bob: 4 files, 2 labels" in ended.out
    assert "train them anew" in " ".join(ended.out.split())
    assert sorted(file.name for file in folder.iterdir()) == ["a.csv", "a.mp4", "labels.csv"]


def test_an_unknown_person_or_folder_is_a_sentence(
    typed: Typed, folder: Path, sentence: Sentence
) -> None:
    assert "no person 'cat'" in sentence(typed("data", "forget", "cat", "--folder", str(folder)))
    none = typed("data", "forget", "cat", "--folder", str(folder / "none"))
    assert "give a folder with labels.csv" in sentence(none)
    assert (folder / "a.csv").exists()


def test_a_video_needs_the_model_of_mediapipe(
    typed: Typed, folder: Path, sentence: Sentence
) -> None:
    words = ("--model", str(folder / "none.task"), "--out", str(folder / "out.csv"))
    ended = typed("data", "faces", str(folder / "a.mp4"), *words)
    assert "no model of MediaPipe" in sentence(ended)


def test_the_evaluation_prints_its_tables_and_writes_them(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "table.md"
    with use_settings(data=tmp_path):
        ended = typed("eval", "reactions", "--people", "3", "--clips", "4", "--markdown", str(file))
    assert (ended.code, ended.err) == (0, "")
    assert "The trap switched on" in ended.out
    assert "### Planted reactions" in file.read_text()
