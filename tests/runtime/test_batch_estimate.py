"""The estimate of a large batch is what its formula says, of what a small one took."""

import asyncio
from pathlib import Path

import pytest

from merchgraph.runtime.batch import run
from merchgraph.runtime.batch_estimate import CPU_S_A_CALL, Gpu, Row, estimate, measured
from merchgraph.runtime.errors import DataError
from merchgraph.runtime.scripted import Always, scripted
from tests.runtime.batch_job import job_of
from tests.runtime.batch_rows import said


def test_the_formula() -> None:
    row = Row(calls=20, prompt=10_000, cached=9_000, completion=200, cpu_s=0.036, bytes=5_000)
    found = estimate(row, 1_000_000, Gpu(prefill=50_000, decode=10_000, used=0.5, dollars_h=3))
    assert found.gpu_hours == pytest.approx(1e6 * (0.02 + 0.02) / 0.5 / 3600)
    assert found.dollars == pytest.approx(3 * found.gpu_hours)
    assert found.core_hours == pytest.approx(10)
    assert found.terabytes == pytest.approx(0.005)
    assert found.cores_a_gpu == pytest.approx(0.45)


def test_the_rates_are_those_that_the_source_has() -> None:
    gpu = Gpu()
    for prompt, completion, rate in ((128, 2048, 22_714), (2048, 128, 3_450)):
        seconds = prompt / gpu.prefill + completion / gpu.decode
        assert completion / seconds == pytest.approx(rate, rel=0.002)


def test_a_small_batch_is_measured_without_its_failed_rows(tmp_path: Path) -> None:
    with scripted({"echo": Always(said)}) as model:
        job = job_of(["tea", "bad", "green tea"], tmp_path, size=2, model=str(model))
        asyncio.run(run(job))
    row = measured(job.folder.path)
    assert (row.calls, row.cached, row.cpu_s) == (1, 0, CPU_S_A_CALL)
    assert row.prompt == (len("tea") // 4 + len("green tea") // 4) / 2
    assert row.bytes > 100


def test_a_folder_without_good_rows_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no row without an error"):
        measured(tmp_path)
    job = job_of(["bad"], tmp_path)
    asyncio.run(run(job))
    with pytest.raises(DataError, match="holds no row without an error"):
        measured(job.folder.path)
