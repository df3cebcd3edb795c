"""A recorder that is killed leaves a file whose finished runs replay, and that goes on."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from merchgraph.runtime.recorder import Recorder
from merchgraph.runtime.recording import recorded
from merchgraph.runtime.scripted import Always, scripted
from merchgraph.runtime.trace_file import read
from tests.runtime import small_graph

ROOT = Path(__file__).parents[2]
SCRIPT = {"slow": Always("late"), "writer": Always("a green tea")}
PROGRAM = """
import asyncio, os, signal, sys
from merchgraph.runtime.recording import recorded
from merchgraph.runtime.scripted import Always, scripted
from tests.runtime import small_graph
from tests.runtime.test_recording_killed import SCRIPT

async def main(path, end):
    with scripted(SCRIPT, name="k"), recorded(path):
        for text in ("tea", "jam"):
            await small_graph.arun(text, model="scripted/k")
        dying = asyncio.create_task(small_graph.arun("salt", model="scripted/k"))
        await asyncio.sleep(0.001)
        os._exit(9) if end == "exit" else os.kill(os.getpid(), getattr(signal, end))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize(("end", "code"), [("exit", 9), ("SIGKILL", -9), ("SIGTERM", -15)])
def test_finished_runs_replay_and_the_file_goes_on(end: str, code: int, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl.zst"
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file), end],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == code, ended.stderr
    trace = read(file)
    assert ([run.begin.request["text"] for run in trace.runs.values()], trace.closed) == (
        ["tea", "jam"],
        False,
    )
    assert trace.problems == []
    asyncio.run(play(file, ["jam", "tea"]))
    with scripted(SCRIPT, name="k"), recorded(file):
        asyncio.run(small_graph.arun("salt", model="scripted/k"))
    asyncio.run(play(file, ["tea", "salt", "jam"]))
    assert read(file).closed


async def play(file: Path, texts: list[str]) -> None:
    recorder = Recorder(file, "replay")
    outputs = {run.begin.request["text"]: run for run in recorder.trace.runs.values()}
    for text in texts:
        with recorder.run(outputs[text].id) as take:
            result = await small_graph.arun(text, model="scripted/k")
        assert take.end.output == outputs[text].end.output == result.model_dump(mode="json")
