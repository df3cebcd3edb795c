"""Seconds of a pilot of 8 copies: choosing, P(best), and opening a store of 10,000 updates."""

from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from merchgraph.tools.bandit import Pilot
from merchgraph.tools.bandit_store import Store

pytestmark = pytest.mark.bench

UPDATES = 10_000


@pytest.fixture
def pilot() -> Pilot:
    made, rng = Pilot.start("abcdefg", control="m"), np.random.default_rng(0)
    made = made.give(dict.fromkeys("abcdefgm", 3_500))
    for arm in made.arms:
        made = made.observe(arm.id, shows=3_500, clicks=int(rng.binomial(3_500, 0.015)))
    return made


def test_choosing_500_shows(benchmark: BenchmarkFixture, pilot: Pilot) -> None:
    assert sum(benchmark(pilot.choose, 500).values()) == 500


def test_p_best(benchmark: BenchmarkFixture, pilot: Pilot) -> None:
    assert sum(benchmark(pilot.p_best).values()) == pytest.approx(1)


def test_an_update_on_disk(benchmark: BenchmarkFixture, pilot: Pilot, tmp_path: Path) -> None:
    with Store(tmp_path / "pilot.jsonl", pilot) as store:
        numbers = iter(range(10**9))
        benchmark(lambda: store.choose(100, update=f"{next(numbers)}"))


def test_opening_a_store(
    benchmark: BenchmarkFixture, pilot: Pilot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)  # this times reading alone
        with Store(tmp_path / "pilot.jsonl", pilot) as store:
            for n in range(UPDATES):
                store.choose(1, update=f"{n}")

    def opened() -> Pilot:
        with Store(tmp_path / "pilot.jsonl") as again:
            return again.pilot

    assert sum(arm.pending for arm in benchmark(opened).arms) == UPDATES
