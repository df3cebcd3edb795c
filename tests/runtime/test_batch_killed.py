"""Exactly one row out per row in, whatever is killed and when."""

import logging
import os
import signal
import time
from pathlib import Path
from threading import Thread

import pytest

from merchgraph.runtime.batch import Tally
from merchgraph.runtime.batch_ray import run_ray
from merchgraph.runtime.errors import SetupError
from tests.runtime.batch_job import job_of, unfinished, written
from tests.runtime.batch_killed import soak


def test_five_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    counts = soak(tmp_path, kills=5, rows=400, seed=3)
    assert counts["driver"] + counts["endpoint"] == 5


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_a_hundred_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    counts = soak(tmp_path, kills=100, rows=800)
    logging.getLogger().warning("%s", counts)
    assert counts["driver"] + counts["endpoint"] == 100


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_rays_workers_are_killed_and_their_rows_are_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    pids, killed = tmp_path / "pids", set[int]()
    pids.touch()
    job = job_of([f"text {n}" for n in range(1500)], tmp_path, size=25, rows=4, delay_s=0.2,
                 pids=str(pids))  # fmt: skip

    def kill() -> None:
        while len(killed) < 10:
            time.sleep(1)
            alive = (
                {int(line.split()[0]) for line in pids.read_text().splitlines()}
                - killed
                - {os.getpid()}
            )
            for pid in sorted(alive)[-1:]:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)

    told = list[int]()
    killer = Thread(target=kill, daemon=True)
    killer.start()
    tally = run_ray(job, lambda tally: told.append(tally.rows))
    logging.getLogger().warning("%d workers killed", len(killed))
    assert len(killed) > 3
    assert written(job)["row"].to_list() == list(range(1500))
    assert written(job)["text"].to_list() == [f"TEXT {n}" for n in range(1500)]
    assert unfinished(job) == []
    assert isinstance(tally, Tally)
    again = run_ray(job, resume=True)
    assert (again.rows, again.old) == (1500, 1500)


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_what_stops_a_worker_of_ray_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    job = job_of(["tea"] * 5 + ["away"] * 200, tmp_path, size=50, rows=4)
    with pytest.raises(SetupError, match="20 rows one after the other failed alike: The server is"):
        run_ray(job)


def test_ray_that_is_not_installed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("merchgraph.runtime.batch_ray.find_spec", lambda name: None)
    with pytest.raises(SetupError, match="which is not installed; run `pip install"):
        run_ray(job_of(["tea"], tmp_path))
