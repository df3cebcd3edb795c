"""A launch on a toy shop: who is in which part, what is deleted, and the pool that comes of it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import use_settings
from merchgraph.tools.ctr import launch as module
from merchgraph.tools.ctr.launch import Launch, kept, launch
from merchgraph.tools.ctr.pool import Pool, pool_of
from merchgraph.tools.data import shops
from merchgraph.tools.data.tables import Shop
from tests.tools.ctr.toy_mailers import NEW_ADS, TYPES, small, toy_shop


@pytest.fixture(scope="module")
def shop() -> Shop:
    return toy_shop()


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    small(monkeypatch)
    with use_settings(cache=tmp_path):
        yield


@pytest.fixture
def drawn(shop: Shop) -> Launch:
    return launch(shop, seed=0)


def parts(drawn: Launch) -> dict[str, pl.DataFrame]:
    visits = drawn.mailers.visits
    return {name: visits[getattr(drawn, name)] for name in ("early", "late", "held")}


def test_pool_and_new_ads_and_pool_and_other_users_are_apart(drawn: Launch) -> None:
    assert len(drawn.new) == NEW_ADS
    assert len(drawn.retired) > 0
    assert not set(drawn.new) & set(drawn.retired)
    found = {name: set(frame["user"]) for name, frame in parts(drawn).items()}
    assert found["early"] | found["late"]
    assert not (found["early"] | found["late"]) & found["held"]
    assert len(found["held"]) == 12


def test_pool_models_are_of_the_weeks_before_the_launch(drawn: Launch) -> None:
    weeks = {name: frame["week"] for name, frame in parts(drawn).items()}
    assert (weeks["early"].min(), weeks["early"].max()) == (9, 33)
    assert (weeks["late"].min(), weeks["held"].max()) == (34, 53)


def test_nobody_has_ever_bought_a_new_type(drawn: Launch, shop: Shop) -> None:
    names = drawn.mailers.types["name"].to_list()
    gone = {names[row] for row in drawn.new}
    frame = shop.events.frame
    rest = frame.filter(~pl.col("item").is_in(gone))
    assert rest.height < frame.height
    user = drawn.mailers.visits["user"][int(drawn.held[-1])]
    week = int(drawn.mailers.visits["week"][int(drawn.held[-1])])
    at = drawn.log.places[user]
    before = rest.filter((pl.col("user") == user) & (pl.col("week") < week)).height
    assert drawn.log.past["lines"][at, week] == before > 0


def test_features_are_standardised_on_the_pool_s_users(drawn: Launch) -> None:
    x = drawn.x(drawn.early)
    moving = x.std(axis=0) > 0
    assert 10 < moving.sum() < 49, "aisles that the toy shop lacks stay 0"
    np.testing.assert_allclose(x[:, ~moving], 0, atol=1e-9)
    np.testing.assert_allclose(x[:, moving].mean(axis=0), 0, atol=0.05)


def test_the_pool_finds_the_tastes_that_the_toy_shop_was_made_with(drawn: Launch) -> None:
    pool = drawn.pool
    names = [feature.name for feature in pool.features]
    own = [pool.weights[row, names.index(f"aisle: {ad.group}")] for row, ad in enumerate(pool.ads)]
    assert np.median(own) > np.quantile(pool.weights, 0.9)
    assert (pool.rates > 0.05).all()
    assert pool.users.shape == (50, 49)
    assert pool.ads[0].text.endswith(f"Aisle: {pool.ads[0].group}")
    assert len({ad.id for ad in pool.ads}) == len(pool.ads)


def test_a_seed_draws_the_same_again_and_another_one_draws_others(
    drawn: Launch, shop: Shop
) -> None:
    again, other = launch(shop, seed=0), launch(shop, seed=1)
    assert again.new.tolist() == drawn.new.tolist()
    np.testing.assert_array_equal(again.held, drawn.held)
    assert other.new.tolist() != drawn.new.tolist()


def test_a_pool_is_fitted_once_and_then_read(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(shops._shops, "complete_journey", shop)
    first = pool_of("complete_journey")
    monkeypatch.setattr(module, "launch", None)
    again = pool_of("complete_journey")
    np.testing.assert_array_equal(again.weights, first.weights)
    assert again.ads == first.ads
    assert [path.name for path in (tmp_path / "pools").iterdir()] == [kept(shop, 0).name]


def test_a_pool_that_another_process_kept_meanwhile_stays(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = kept(shop, 0)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    module._keep(Pool.load(folder), folder)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert len(before) == 2


def test_a_cache_that_cannot_be_written_is_said(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "pools").write_text("a file")
    with pytest.raises(SetupError, match=r"cannot be written .* MERCHGRAPH_CACHE"):
        kept(shop, 0)


def test_a_shop_with_too_few_ads_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEW_ADS", TYPES + 1)
    with pytest.raises(SetupError, match=rf"'toy' has \d+ ads .* but {TYPES + 1} are drawn"):
        launch(shop)
