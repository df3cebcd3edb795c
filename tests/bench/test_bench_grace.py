"""GRACE on The Complete Journey: how long an answer takes, and what attention costs by length."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from rich.console import Console

from merchgraph.evals.suites.grace_speed import Cost, measured, table
from merchgraph.tools.data.shops import shop
from merchgraph.tools.grace.config import PRESETS
from merchgraph.tools.grace.data import Journey
from merchgraph.tools.grace.learn import learn, prepare
from merchgraph.tools.grace.tool import Generator

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1_800)]

SLOWEST_MS = 150.0
"""Of processor time, for ten beams of each behaviour for one shopper."""
LEAST_SAVED, LEAST_FASTER, LONG = 0.48, 1.5, 2_000


@pytest.fixture(scope="module")
def model() -> Generator:
    """A model that learned for one step: what it knows changes no time."""
    store, config = shop(), PRESETS["cpu"].with_(steps=1)
    learned, _ = learn(prepare(store.items, store.events, config), config)
    return Generator.from_learned(tuple(store.items.frame["item"]), learned, config)


@pytest.fixture(scope="module")
def costs() -> list[Cost]:
    return measured(PRESETS["cpu"])


def test_an_answer_takes_less_than_150_milliseconds(model: Generator) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = []
    for user in shop().events.users[:100]:
        journeys = [Journey(basket.items) for basket in shop().history(user)]
        began = time.thread_time()
        model.next_items(journeys, 10)
        times.append(1_000 * (time.thread_time() - began))
    torch.set_num_threads(threads)
    p50, p95 = np.percentile(times, [50, 95])
    Console().print(f"next_items: p50 {p50:.0f} ms, p95 {p95:.0f} ms of one thread")
    assert p50 < SLOWEST_MS


def test_long_histories_are_read_faster(costs: list[Cost]) -> None:
    told = table(costs)
    Console().print(told.columns, *told.rows, sep="\n")
    for one in costs:
        if one.tokens >= LONG:
            assert one.saved >= LEAST_SAVED
            assert one.faster >= LEAST_FASTER
