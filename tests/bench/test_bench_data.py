"""Seconds to load The Complete Journey, from the package's files and from the cache."""

import shutil
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from merchgraph.runtime.settings import use_settings
from merchgraph.tools.data import complete_journey

pytestmark = pytest.mark.bench


def test_cold_load(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    def without_cache() -> None:
        shutil.rmtree(tmp_path / "data", ignore_errors=True)

    with use_settings(cache=tmp_path):
        benchmark.pedantic(  # type: ignore[no-untyped-call]
            complete_journey.load, setup=without_cache, rounds=3
        )


def test_warm_load(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    with use_settings(cache=tmp_path):
        complete_journey.load()
        benchmark.pedantic(complete_journey.load, rounds=5)  # type: ignore[no-untyped-call]


def test_history_of_a_user(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    with use_settings(cache=tmp_path):
        shop = complete_journey.load()
    assert benchmark(shop.history, "900")
