from __future__ import annotations

from pathlib import Path

import pytest

from merchgraph.cli.doctor_jobs import JOBS, Finding, Job, gpus, jobs, machine

CARD = "NVIDIA H100 80GB HBM3, 81559 MiB"


def found(job: Job, cards: list[str], monkeypatch: pytest.MonkeyPatch) -> Finding:
    monkeypatch.setattr("merchgraph.cli.doctor_jobs.JOBS", (job,))
    return list(jobs(cards))[1]


def test_a_job_says_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = Job("paths", ("pathlib", "os.path"), "none")
    assert found(ready, [], monkeypatch) == ("ok", "paths", "ready")
    lacking = Job("fly", ("pathlib", "no_wings.at.all"), "wings", gpu=True)
    takes = "takes `pip install 'merchgraph[wings]'`"
    assert found(lacking, [], monkeypatch) == ("off", "fly", f"{takes} and a GPU")
    assert found(lacking, [CARD], monkeypatch) == ("off", "fly", takes)
    assert found(ready._replace(gpu=True), [], monkeypatch).detail == "takes a GPU"
    assert found(ready._replace(gpu=True), [CARD], monkeypatch).detail == "ready"


def test_every_extra_that_is_named_is_there() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    for job in JOBS:
        assert f"\n{job.extra} = [" in text, job


@pytest.mark.parametrize(
    ("script", "told"),
    [(f"echo '{CARD}'; echo ' {CARD}'", [CARD, CARD]), ("exit 9", []), ("echo", [])],
)
def test_gpus_are_those_of_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: list[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus() == []
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert gpus() == told
    assert next(jobs(told)).detail == ("; ".join(told) or "none that nvidia-smi knows")


def test_the_machine_is_told() -> None:
    assert "cores" in machine().detail
