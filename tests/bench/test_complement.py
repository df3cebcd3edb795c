"""Observations a second beside gensim's C skip-gram, time and memory by the size of a log, and a query.

    pytest -m bench tests/bench/test_complement.py                 # up to a million observations
    COMPLEMENT_LARGEST=50000000 pytest -m bench tests/bench/test_complement.py -k size

Equal width 64, window 5, 5 negatives, 1 epoch, the same baskets, negatives by count^0.5. gensim trains
on (centre, one context) pairs; ours on (target, mean of its history), one per place of a basket. So two
rates are printed for each: what each calls an observation, and places, which count the same in both.
"""

from __future__ import annotations

import os
import resource
import time

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from rich.console import Console

from merchgraph.evals.baselines.complement import skip_gram
from merchgraph.tools.complement.blend import PRIOR
from merchgraph.tools.complement.config import Config
from merchgraph.tools.complement.data import Log, Tokens
from merchgraph.tools.complement.fit import Passes
from merchgraph.tools.complement.learned import Learned
from merchgraph.tools.complement.model import Model
from merchgraph.tools.complement.tool import Complement
from merchgraph.tools.contract import Past
from merchgraph.tools.neighbours import nearest

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3_000)]

ITEMS, BASKET, WINDOW, CATALOGUE = 10_000, 10, 5, 12_367
LARGEST = int(os.environ.get("COMPLEMENT_LARGEST", "1000000"))
SIZES = [size for size in (100_000, 1_000_000, 10_000_000, 50_000_000) if size <= LARGEST]
QUERY_MS = 10.0
PLAIN = Config(user=False, context=False, history=WINDOW)


def synthetic(observations: int, items: int = ITEMS) -> Log:
    """Baskets of 10 items by Zipf's law; a basket has 9 observations."""
    rng = np.random.default_rng(0)
    baskets = -(-observations // (BASKET - 1))
    chance = 1 / np.arange(1, items + 1)
    rows = np.searchsorted(np.cumsum(chance / chance.sum()), rng.random(baskets * BASKET))
    none = Tokens((), np.zeros(0, np.int32), np.zeros(items + 1, np.int64))
    return Log(
        tuple(map(str, range(items))), ("",), np.minimum(rows, items - 1).astype(np.int32),
        np.arange(0, baskets * BASKET + 1, BASKET), np.zeros(baskets, np.int32), none,
        Tokens((), np.zeros(0, np.int32), np.zeros(2, np.int64)),
    )  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2])
def test_observations_a_second_beside_gensim(benchmark: BenchmarkFixture, threads: int) -> None:
    log = synthetic(300_000)
    config = PLAIN.with_(threads=threads)
    model, run = Model.fresh(log, config), Passes(log, config)
    run.run(model, 0)  # compiles
    seen = benchmark.pedantic(lambda: run.run(model, 1), rounds=3)  # type: ignore[no-untyped-call]
    ours, spent = timed(lambda: run.run(model, 2))
    theirs, used = timed(lambda: skip_gram(log, 0, epochs=1, threads=threads, power=0.5))
    places = len(log.rows)
    # a window of 5 is drawn from 1 to 5 anew for each place: 3 on each side, less at the edges
    pairs = sum(min(n, w) for w in range(1, 6) for n in range(BASKET)) * 2 / 5 * places / BASKET
    Console(width=300).print(
        f"{threads} threads, a second of wall clock (of processor): ours {seen / ours:,.0f} "
        f"({seen / spent:,.0f}) observations, {places / ours:,.0f} places; gensim with its "
        f"vocabulary {pairs / theirs:,.0f} ({pairs / used:,.0f}) pairs, {places / theirs:,.0f} places"
    )
    assert places / spent > places / used


def timed(work: object) -> tuple[float, float]:
    """Seconds of wall clock and of processor time."""
    assert callable(work)
    begun, spent = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - spent


@pytest.mark.parametrize("size", SIZES)
def test_time_and_memory_by_size(size: int) -> None:
    log = synthetic(size, items=100_000)
    model, run = Model.fresh(log, PLAIN), Passes(log, PLAIN)
    wall, spent = timed(lambda: run.run(model, 0))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Console(width=300).print(
        f"{log.observations:,} observations of 100,000 items, one pass: {wall:.1f} s, "
        f"{spent:.1f} s of processor time, {most:,.0f} MB at most in this process"
    )
    assert np.isfinite(model.item_in).all()


def test_a_query_on_the_full_catalogue(benchmark: BenchmarkFixture) -> None:
    log = synthetic(900_000, items=CATALOGUE)
    learned = Learned(
        PLAIN, log.items, log.users, (), np.zeros(0, np.int64), log.counts,
        Model.fresh(log, PLAIN), nearest(log.rows, log.ends, len(log.items)), PRIOR,
    )  # fmt: skip
    tool = Complement.knowing(learned)
    rng = np.random.default_rng(0)
    pasts = [
        Past([str(n) for n in rng.integers(CATALOGUE, size=300)],
             [str(n) for n in rng.integers(CATALOGUE, size=12)])
        for _ in range(200)
    ]  # fmt: skip
    took = []
    for past in pasts:
        begun = time.perf_counter()
        tool.recommend([past], 10)
        took.append(1_000 * (time.perf_counter() - begun))
    benchmark.pedantic(lambda: tool.recommend(pasts[:1], 10), rounds=20)  # type: ignore[no-untyped-call]
    half, most = np.percentile(took, [50, 95])
    Console(width=300).print(f"a query over {CATALOGUE:,} items: {half:.2f} ms, p95 {most:.2f} ms")
    assert half < QUERY_MS
