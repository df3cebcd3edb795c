"""`merchgraph batch`: rows in, shards out, and what is refused before the first row."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from merchgraph.graphs.registry import GRAPHS, module
from merchgraph.graphs.rows import SUBJECTS
from merchgraph.runtime.scripted import scripted
from tests.cli.test_run import SCRIPT

Sentence = Callable[[Any], str]


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """Rows for ARAG: 7 has a history, 9 is unknown, the slate of the third is too short."""
    file = tmp_path / "users.parquet"
    slates = [["tea", "soap"], ["tea", "soap"], [], ["jam", "salt"]]
    pl.DataFrame({"id": [1, 2, 3, 4], "user": [7, 9, 7, None], "candidates": slates}).write_parquet(
        file
    )
    return file


@pytest.fixture
def on_gifts(typed: Any, gifts: Path, tmp_path: Path) -> Callable[..., Any]:
    def run(file: Path, *more: str, graph: str = "arag") -> Any:
        settings = ("--set", f"data={gifts}", "--set", "k=1", "--set", "candidates=2")
        return typed("batch", graph, "--input", str(file), "--output", str(tmp_path / "out"),
                     *(settings if graph == "arag" else ()), *more)  # fmt: skip

    return run


def test_a_graph_is_run_over_a_table(on_gifts: Any, users: Path, tmp_path: Path) -> None:
    with scripted(SCRIPT) as model:
        ended = on_gifts(users, "--model", model, "--shard-size", "2")
    assert (ended.code, ended.err) == (0, "")
    assert "4 rows; 3 rows failed, see error" in " ".join(ended.out.split())
    table = pl.read_parquet(tmp_path / "out" / "*.parquet")
    assert table["id"].to_list() == ["1", "2", "3", "4"]
    assert table["user"].to_list() == ["7", None, None, None]
    assert table["recommendations"][0][0]["title"].endswith(("Green tea", "Soap[/] \\"))
    errors = table["error"].to_list()
    assert errors[0] is None
    assert errors[1].startswith("SetupError: ")
    assert "'9'" in errors[1]
    assert errors[3] == "DataError: The row has nothing in its column 'user'."
    assert [used["calls"] > 0 for used in table["usage"]] == [True, False, False, False]
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 2


def test_a_restart_goes_on(on_gifts: Any, users: Path, sentence: Sentence) -> None:
    with scripted(SCRIPT, name="batch") as model:
        assert on_gifts(users, "--model", model).code == 0
        told = sentence(on_gifts(users, "--model", model))
        assert "holds a batch; --resume goes on" in told
        ended = on_gifts(users, "--model", model, "--resume")
        assert "4 rows (1 from before); 3 rows failed" in " ".join(ended.out.split())
        told = sentence(on_gifts(users, "--model", model, "--resume", "--set", "theta=0.4"))
        assert (
            "another batch: given.context.theta is 0.5 there and 0.4 here" in told
            or "context" in told
        )


REFUSED: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    (
        {"id": [1], "usr": ["7"]},
        (),
        "There is no column 'user', which every row needs; there is id, usr.",
    ),
    ({"user": ["7"], "segment": ["a"]}, (), "The column 'segment' is no field of a request"),
    ({"user": ["7", "7"]}, (), "The id '7' stands twice"),
    ({"user": []}, (), "holds no rows"),
    ({"user": ["7"]}, ("--id", "who"), "no column 'who' to tell rows apart; there is user"),
    ({"user": ["7"]}, ("--model", "smol"), "The model name 'smol' is not known"),
    ({"user": ["7"]}, ("--set", "kk=3"), "There is no setting 'kk'"),
    ({"user": ["7"]}, ("--set", "theta=3"), "The setting theta is 3"),
    ({"user": ["7"]}, ("--output", "/proc/out"), "cannot be written"),
]


@pytest.mark.parametrize(("table", "more", "told"), REFUSED)
def test_what_cannot_be_run_is_said_before_the_first_row(
    on_gifts: Any, sentence: Sentence, tmp_path: Path, table: Any, more: Any, told: str
) -> None:
    file = tmp_path / "x.parquet"
    pl.DataFrame(table, schema_overrides={"user": pl.String}).write_parquet(file)
    assert told in sentence(on_gifts(file, *more))
    assert not (tmp_path / "out").exists()


def test_an_unknown_graph_is_told(on_gifts: Any, users: Path, sentence: Sentence) -> None:
    assert "There is no graph 'arga'; there is arag" in sentence(on_gifts(users, graph="arga"))


def test_ray_that_is_not_installed_is_told(
    on_gifts: Any, users: Path, sentence: Sentence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("merchgraph.runtime.batch_ray.find_spec", lambda name: None)
    with scripted(SCRIPT) as model:
        told = sentence(on_gifts(users, "--engine", "ray", "--model", model))
    assert "run `pip install 'merchgraph[ray]'`, or leave --engine out" in told


@pytest.mark.parametrize("graph", GRAPHS)
def test_every_graph_has_a_subject(graph: str) -> None:
    assert SUBJECTS[graph] in module(graph).Request.model_fields


PROGRAM = """
import sys
from merchgraph.cli.main import main
from merchgraph.runtime.scripted import Always, scripted
from merchgraph.graphs import voice_repair
sys.argv[0] = "merchgraph"
with scripted({"repair": Always('{"line": "Sorry, should the timer be for ten minutes?"}'),
               "refine": Always('{"line": "Sorry?"}')}, name="slow", delay_s=0.05):
    main()
"""


def test_ctrl_c_keeps_what_was_done(tmp_path: Path) -> None:
    readings = [{"time": 0.25 * n, "p_error": 0.9} for n in range(1, 17)]
    turns = [{"asked": "Ten minutes", "answered": "Two minutes", "readings": readings}]
    file, out = tmp_path / "x.jsonl", tmp_path / "out"
    file.write_text("".join(json.dumps({"id": n, "turns": turns}) + "\n" for n in range(400)))
    words = ["batch", "voice_repair", "--input", str(file), "--output", str(out), "--shard-size", "5",
             "--concurrency", "2", "--model", "scripted/slow"]  # fmt: skip
    running = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip
    end = time.monotonic() + 60
    while not list(out.glob("*.parquet")) and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGINT)
    told = running.communicate(timeout=60)[1]
    assert running.returncode == 130, told
    assert "The finished rows are in" in told
    assert "Traceback" not in told
    done = pl.read_parquet(out / "*.parquet")
    assert 0 < len(done) < 400
    assert done["row"].to_list() == list(range(len(done)))
