"""The fit of a pool's click models: all ads in one solve, beside scikit-learn ad by ad.

As large as the pool of The Complete Journey: 27,433 rows of 49 features, 224 ads that a third of the rows
are shown each. The last test draws and fits that very pool.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from rich.console import Console
from sklearn.linear_model import LogisticRegression

from merchgraph.runtime.settings import use_settings
from merchgraph.tools.ctr.fit import Sample, fit
from merchgraph.tools.ctr.launch import L2, launch
from merchgraph.tools.data import complete_journey
from merchgraph.tools.data.mailers import mailers

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

ROWS, WIDTH, ADS, ALONE = 27_433, 49, 224, 10
LONGEST_S = 30.0
"""Of processor time; on a free core it takes 4."""


def sample() -> Sample:
    rng = np.random.default_rng(0)
    x = np.clip(rng.normal(size=(ROWS, WIDTH)), -4, 4)
    odds = 1 / (1 + np.exp(-(x @ (0.1 * rng.normal(size=(WIDTH, ADS))) - 3.5)))
    shown = rng.random((ROWS, ADS)) < 0.35
    return Sample(x, shown, shown & (rng.random((ROWS, ADS)) < odds))


def test_all_ads_are_fitted_in_one_solve(benchmark: BenchmarkFixture) -> None:
    data = sample()
    models = benchmark.pedantic(lambda: fit(data, l2=L2), rounds=1)  # type: ignore[no-untyped-call]
    began = time.process_time()
    for ad in range(ALONE):
        seen = data.shown[:, ad]
        alone = LogisticRegression(C=1 / L2, tol=1e-8, max_iter=1_000)
        alone.fit(data.x[seen], data.clicked[seen, ad])
        np.testing.assert_allclose(models.weights[ad], alone.coef_[0], atol=1e-4)
    each = (time.process_time() - began) / ALONE
    Console().print(
        f"scikit-learn: {each:.3f} s of processor time per ad, {each * ADS:.1f} s for all"
    )


def test_a_launch_of_the_complete_journey(tmp_path: Path) -> None:
    with use_settings(cache=tmp_path):
        journey = complete_journey.load()
        record = mailers(journey)
        assert record.types["advertised"].sum() == 1_556
        assert record.visits.height == 82_118
        assert record.tables["clicks"].height == 427_213
        began = time.process_time()
        drawn = launch(journey, seed=0)
        pool = drawn.pool
    spent = time.process_time() - began
    Console().print(f"a launch and its pool: {spent:.1f} s of processor time")
    assert len(pool.ads) == len(drawn.retired) == 224
    assert len(drawn.early) == ROWS
    norms = np.quantile(np.linalg.norm(pool.weights, axis=1), [0.1, 0.5, 0.9])
    np.testing.assert_allclose(norms, [0.22, 0.33, 0.52], atol=0.02)
    assert spent < LONGEST_S
