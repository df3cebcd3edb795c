"""Seconds of scoring: one user against 1,000 ads, many users on one core; and of the weight store."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from merchgraph.tools.ctr.entries import Basis, Draft
from merchgraph.tools.ctr.scorer import Floats, Scorer
from merchgraph.tools.ctr.store import Store

pytestmark = pytest.mark.bench

USERS, ADS, FEATURES = 10_000, 1_000, 49
CALLS = 20_000


@pytest.fixture
def scorer() -> Scorer:
    rng = np.random.default_rng(0)
    made = rng.normal(0, 0.05, (ADS, FEATURES)).astype(np.float32)
    cold = np.zeros(FEATURES + 1, np.float32)
    centre, spread = np.full(FEATURES, 0.4, np.float32), np.full(FEATURES, 0.2, np.float32)
    ads = tuple(f"{n}" for n in range(ADS))
    return Scorer(ads, made, np.full(ADS, -3, np.float32), centre, spread, cold)


@pytest.fixture
def users() -> Floats:
    return np.random.default_rng(1).random((USERS, FEATURES), np.float32)


def test_one_user_and_a_thousand_ads(
    benchmark: BenchmarkFixture, scorer: Scorer, users: Floats
) -> None:
    assert benchmark(scorer.scores, users[0]).shape == (ADS,)


def test_the_slowest_of_a_hundred_calls_takes_less_than_a_millisecond(
    scorer: Scorer, users: Floats
) -> None:
    seconds = np.empty(CALLS)
    for call in range(CALLS):
        start = time.perf_counter()
        scorer.scores(users[call % USERS])
        seconds[call] = time.perf_counter() - start
    middle, slow = np.quantile(seconds, [0.5, 0.99]) * 1e3
    print(f"\n1 user, {ADS:,} ads: median {middle:.3f} ms, p99 {slow:.3f} ms")  # noqa: T201
    assert slow < 1


def test_many_users_and_a_thousand_ads(
    benchmark: BenchmarkFixture, scorer: Scorer, users: Floats
) -> None:
    assert benchmark(scorer.scores, users).shape == (USERS, ADS)
    rounds = []
    for _ in range(5):
        start = time.process_time()  # of one core, whoever else is at work on it
        scorer.scores(users)
        rounds.append(time.process_time() - start)
    rate = USERS * ADS / float(np.median(rounds))
    print(f"\n{rate / 1e6:.0f} million scores a second of one core")  # noqa: T201
    assert rate > 5e6


def test_opening_a_store_of_a_thousand_ads(
    benchmark: BenchmarkFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = (0.1,) * FEATURES
    basis = Basis(features=tuple(f"f{n}" for n in range(FEATURES)), centre=numbers, spread=numbers,
                  cold=numbers, cold_intercept=-3)  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # this times reading alone
        store = Store(tmp_path / "weights.jsonl", basis)
        for n in range(ADS):
            store.put(Draft(ad=f"{n}", content="c", prompt="p", model="m",
                            weights=tuple(np.random.default_rng(n).normal(size=FEATURES).round(6)),
                            intercept=-3))  # fmt: skip

    def opened() -> int:
        return len(Store(tmp_path / "weights.jsonl").scorer().ads)

    assert benchmark(opened) == ADS
