"""`merchgraph eval arag`: it records, goes on, prints, and says in a sentence what is wrong."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from merchgraph.runtime.recorder import Recorder
from merchgraph.runtime.scripted import scripted
from merchgraph.runtime.trace_file import read
from tests.cli.conftest import environment
from tests.evals.toy_suite import REPLIES, toy_shop, use_letters

ROOT = Path(__file__).parents[2]
SEEDED = ("arag", "carts", "copy", "recall", "headlines", "pilot")
SYSTEMS = "own frequency, ARAG + tools"
Typed = Callable[..., Any]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return toy_shop(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.jsonl.zst"


@pytest.fixture
def evaluate(typed: Typed, data: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Typed]:
    """Types `merchgraph eval arag` for the toy shop with a scripted model."""
    use_letters(monkeypatch)
    with scripted(REPLIES, name="eval") as model:

        def run(*words: str, limit: int = 2, **options: str) -> Any:
            given = {"data": data, "model": model, "systems": SYSTEMS, "fit-cases": "2"} | options
            flags = [part for name, value in given.items() for part in (f"--{name}", value)]
            return typed("eval", "arag", "--limit", f"{limit}", *flags, *words)

        yield run


def test_it_prints_a_table_and_the_same_command_asks_nothing_twice(
    evaluate: Typed, file: Path
) -> None:
    first = evaluate("--record", str(file))
    assert (first.code, first.err) == (0, "")
    assert "ARAG on " in first.out
    assert "Weights fitted on 12 slates" in " ".join(first.out.split())
    runs = set(read(file).runs)
    assert len(runs) == 2 * 3 + 2 + 1
    again = evaluate("--record", str(file))
    assert again.out == first.out
    trace = read(file)
    assert (set(trace.runs), len(trace.headers), trace.closed) == (runs, 2, True)


def test_json_is_all_that_is_printed_and_the_files_hold_the_report(
    evaluate: Typed, tmp_path: Path
) -> None:
    page, note = tmp_path / "report.html", tmp_path / "report.md"
    ended = evaluate("--json", "--html", str(page), "--markdown", str(note), systems="popularity")
    assert (ended.code, ended.err) == (0, "")
    report = json.loads(ended.out)
    assert [row["system"] for row in report["rows"]] == ["popularity", "vanilla RAG"]
    assert report["n"] == 2
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "| popularity" in note.read_text(encoding="utf-8")


WRONG: list[tuple[dict[str, str], str]] = [
    (
        {"systems": "oracle"},
        "There is no system 'oracle'; there are all, baselines, tools, random,",
    ),
    ({"targets": "best"}, "The setting targets is 'best', but: input should be 'any' or 'new'."),
    ({"fit-cases": "0"}, "The setting fit_cases is 0, but: input should be greater than or equal"),
    ({"data": "shops/none.yaml"}, "The shop 'shops/none.yaml' is not known"),
    ({"model": "abacus/9"}, "The model name 'abacus/9' is not known; expected PROVIDER/MODEL"),
    ({"model": "scripted/nobody"}, "No script is registered as 'scripted/nobody'"),
    ({"record": "/proc/x.zst"}, "The trace '/proc/x.zst' cannot be written: No such file"),
    ({"record": "/"}, "The trace '/' cannot be written: Is a directory; give another path."),
    ({"record": "/dev/null"}, "The trace '/dev/null' is no ordinary file; give another path."),
    ({"record": "x" * 300}, "cannot be written: File name too long; give another path."),
]


@pytest.mark.parametrize(("options", "told"), WRONG, ids=[next(iter(o)) for o, _ in WRONG])
def test_a_wrong_option_is_one_sentence(
    evaluate: Typed, sentence: Any, options: dict[str, str], told: str
) -> None:
    assert told in sentence(evaluate(**options))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["arag", "--limit", "-3"], "should be greater than or equal to 1"),
        *[([verb, "--seed", "-1"], "should be greater than or equal to 0") for verb in SEEDED],
        (["arag", "--limit", "many"], "unable to parse string as an integer"),
        (["arag", "--wish", "x"], "No such option"),
        (["cartz"], "No such command 'cartz'"),
    ],
)
def test_a_word_that_the_command_does_not_know_is_told(
    typed: Typed, words: list[str], told: str
) -> None:
    ended = typed("eval", *words)
    assert ended.code == 2
    assert told in " ".join(ended.err.replace("│", " ").split())


def test_a_file_of_other_settings_or_none_of_ours_is_left_as_it_is(
    evaluate: Typed, sentence: Any, file: Path, tmp_path: Path
) -> None:
    evaluate("--record", str(file), systems="popularity")
    before = file.read_bytes()
    told = sentence(evaluate("--record", str(file)))
    assert "was recorded with systems = 'popularity', now it is" in told
    assert told.endswith("record into another file.")
    note = tmp_path / "note.md"
    note.write_text("# A note\n")
    assert "is no trace" in sentence(evaluate("--record", str(note)))
    assert (file.read_bytes(), note.read_text()) == (before, "# A note\n")
    busy = Recorder(tmp_path / "busy.zst")
    assert "Another process is recording" in sentence(evaluate("--record", busy.trace.path))
    busy.close()


def test_a_page_that_cannot_be_written_costs_no_answer(evaluate: Typed, file: Path) -> None:
    ended = evaluate("--record", str(file), "--html", "/dev/null/x.html", systems="popularity")
    assert ended.code == 2
    assert ended.err.startswith("error: The report cannot be written to '/dev/null/x.html': Not a")
    assert "popularity" in ended.out
    assert read(file).closed


PROGRAM = """
import sys
import pytest
from merchgraph.cli.main import main
from merchgraph.runtime.scripted import scripted
from tests.evals.toy_suite import REPLIES, use_letters

use_letters(pytest.MonkeyPatch())
sys.argv[0] = "merchgraph"
with scripted(REPLIES, name="eval", delay_s=0.02, cap=2):
    main()
"""


def test_ctrl_c_leaves_a_file_that_goes_on(
    evaluate: Typed, file: Path, data: str, tmp_path: Path
) -> None:
    words = ["eval", "arag", "--limit", "6", "--data", data, "--model", "scripted/eval",
             "--systems", SYSTEMS, "--fit-cases", "2", "--record", str(file)]  # fmt: skip
    stopped = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(MERCHGRAPH_CACHE=str(tmp_path / "cache")),
    )  # fmt: skip
    until = time.monotonic() + 60
    while time.monotonic() < until and stopped.poll() is None:
        if file.exists() and file.stat().st_size > 40_000:  # some runs are there, others in the air
            break
        time.sleep(0.02)
    stopped.send_signal(signal.SIGINT)
    out, err = stopped.communicate(timeout=30)
    assert stopped.returncode == 130, (out, err)
    assert "Traceback" not in err
    trace = read(file)
    assert (trace.closed, trace.problems) == (False, [])
    assert 0 < len(trace.runs) < 6 * 3 + 3
    assert evaluate("--record", str(file), limit=6).code == 0
    whole = read(file)
    assert set(trace.runs) < set(whole.runs)
    assert (len(whole.runs), whole.closed) == (6 * 3 + 3, True)
    for name, run in trace.runs.items():
        assert whole.runs[name].end.answer == run.end.answer
