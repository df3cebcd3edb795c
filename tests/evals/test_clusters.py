from __future__ import annotations

import numpy as np
import pytest

from merchgraph.evals.metrics.bootstrap import estimates
from merchgraph.evals.metrics.clusters import clustered


def test_whole_clusters_are_drawn() -> None:
    rng = np.random.default_rng(0)
    values, clusters = rng.random(60), np.repeat(np.arange(12), 5)
    (found,) = clustered([values], clusters.tolist())
    drawn = rng.integers(0, 12, (20_000, 12))
    means = values.reshape(12, 5).mean(axis=1)[drawn].mean(axis=1)
    assert found.mean == pytest.approx(values.mean())
    assert found.n == 12
    assert (found.low, found.high) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.005)


def test_clusters_of_different_sizes_weigh_by_their_cases() -> None:
    rng = np.random.default_rng(0)
    sizes = np.arange(1, 13)
    values, clusters = rng.random(78) + np.repeat(sizes, sizes), np.repeat(sizes, sizes)
    (found,) = clustered([values], clusters.tolist())
    sums = np.bincount(clusters, values)[1:]
    drawn = rng.integers(0, 12, (20_000, 12))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    assert (found.low, found.high) == pytest.approx(np.percentile(means, [2.5, 97.5]), rel=0.02)


def test_a_large_cluster_weighs_by_its_cases() -> None:
    (found,) = clustered([[1, 1, 1, 0]], ["a", "a", "a", "b"])
    assert (found.mean, found.low, found.high) == (0.75, 0.0, 1.0)


def test_clusters_of_one_case_are_the_plain_bootstrap() -> None:
    values = np.random.default_rng(1).random(200)
    (found,), (plain,) = clustered([values], range(200)), estimates([values])
    assert plain is not None
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.003)


def test_cases_that_repeat_each_other_make_it_wider() -> None:
    values = np.repeat(np.random.default_rng(2).random(40), 4)
    (found,), (plain,) = clustered([values], (np.arange(160) // 4).tolist()), estimates([values])
    assert plain is not None
    assert found.high - found.low == pytest.approx(2 * (plain.high - plain.low), rel=0.1)


def test_one_draw_serves_all_columns() -> None:
    rng = np.random.default_rng(3)
    first, clusters = rng.random(60), (np.arange(60) // 3).tolist()
    found = clustered([first, first + 0.1, np.full(60, 0.1)], clusters)
    assert found[1].low - found[0].low == pytest.approx(0.1, abs=1e-8)
    assert (found[2].low, found[2].high) == pytest.approx((0.1, 0.1))


def test_a_single_cluster_is_its_own_interval() -> None:
    (found,) = clustered([[0, 1]], ["a", "a"])
    assert (found.low, found.mean, found.high) == (0.5, 0.5, 0.5)


def test_a_verdict_needs_twenty_clusters_and_not_twenty_cases() -> None:
    always = np.ones(100)
    for count, verdict in ((19, "unclear"), (20, "better")):
        (found,) = clustered([always], (np.arange(100) % count).tolist())
        assert (found.n, found.low, found.verdict) == (count, 1, verdict)


@pytest.mark.parametrize(
    ("columns", "clusters", "problem"),
    [
        ([1.0, 2.0], ["a", "b"], "a table of 2 > 0 cases"),
        ([[1.0, 2.0]], ["a"], "a table of 1 > 0 cases"),
        ([[]], [], "a table of 0 > 0 cases"),
        ([[1.0, float("nan")]], ["a", "b"], "not finite"),
    ],
)
def test_other_tables_are_refused(columns: list[float], clusters: list[str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        clustered(columns, clusters)
