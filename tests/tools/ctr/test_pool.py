"""The pool of retired ads: its checks, and its two files."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.ctr.pool import TENSORS, WORDS, Ad, Feature, Pool


@pytest.fixture
def pool() -> Pool:
    rng = np.random.default_rng(0)
    return Pool(
        features=tuple(Feature(name=f"f{n}", meaning="m") for n in range(3)),
        ads=tuple(Ad(id=f"a{n}", text="Käse", group="dairy") for n in range(5)),
        weights=rng.normal(size=(5, 3)), intercepts=rng.normal(size=5), rates=rng.random(5),
        exposures=np.full(5, 100.0), centre=np.full(3, 0.2), spread=np.array([0.1, 0.2, 1.0]),
        users=rng.normal(size=(7, 3)),
    )  # fmt: skip


def changed(pool: Pool, name: str, array: np.ndarray) -> Pool:
    arrays: dict[str, Any] = {name: array}
    return dataclasses.replace(pool, **arrays)


def test_a_pool_comes_back_from_its_folder_as_it_was(pool: Pool, tmp_path: Path) -> None:
    pool.save(tmp_path / "deep" / "pool")
    again = Pool.load(tmp_path / "deep" / "pool")
    assert (again.features, again.ads) == (pool.features, pool.ads)
    for name in ("weights", "intercepts", "rates", "exposures", "centre", "spread", "users"):
        np.testing.assert_array_equal(getattr(again, name), getattr(pool, name))


def test_a_slice_of_memory_is_saved_as_its_values(pool: Pool, tmp_path: Path) -> None:
    turned = dataclasses.replace(pool, weights=np.asfortranarray(pool.weights))
    turned.save(tmp_path)
    np.testing.assert_array_equal(Pool.load(tmp_path).weights, pool.weights)


def test_quantiles_are_per_feature_over_the_ads(pool: Pool) -> None:
    found = pool.quantiles((0.0, 0.5, 1.0))
    np.testing.assert_allclose(found[0], pool.weights.min(axis=0))
    np.testing.assert_allclose(found[1], np.median(pool.weights, axis=0))
    np.testing.assert_allclose(found[2], pool.weights.max(axis=0))


def test_standardised_features_stay_within_their_reach(pool: Pool) -> None:
    raw = np.array([[0.3, 0.2, 0.0], [1.0, 1.0, 1.0]])
    np.testing.assert_allclose(pool.standardised(raw), [[1, 0, -0.2], [4, 4, 0.8]])


@pytest.mark.parametrize("name", ["weights", "intercepts", "rates", "centre", "users"])
def test_an_array_that_does_not_fit_or_is_not_finite_is_refused(pool: Pool, name: str) -> None:
    array = getattr(pool, name).copy()
    array.flat[0] = np.nan
    with pytest.raises(DataError, match=f"pool's {name} hold a number that is not finite"):
        changed(pool, name, array)
    with pytest.raises(DataError, match=rf"pool's {name} have the shape \(2, 2\)"):
        changed(pool, name, np.zeros((2, 2)))


def test_a_folder_without_a_whole_pool_is_refused(pool: Pool, tmp_path: Path) -> None:
    refused = pytest.raises(SetupError, match="holds no pool of ads")
    with refused:
        Pool.load(tmp_path / "nothing")
    pool.save(tmp_path)
    whole = (tmp_path / TENSORS).read_bytes()
    (tmp_path / TENSORS).write_bytes(whole[: len(whole) // 2])
    with refused:
        Pool.load(tmp_path)
    (tmp_path / TENSORS).write_bytes(whole)
    for text in ("[", "[]", '{"features": []}', '{"features": [{"name": 3}], "ads": []}'):
        (tmp_path / WORDS).write_text(text)
        with refused:
            Pool.load(tmp_path)
    (tmp_path / WORDS).write_text('{"features": [], "ads": []}')
    with pytest.raises(SetupError):
        Pool.load(tmp_path)
