from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl
import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.tools.data.tables import Events, Shop
from merchgraph.tools.fairness.data import REST, Threshold, market_of, trips_of
from merchgraph.tools.fairness.learn import Study, Traits, cold, learn
from merchgraph.tools.fairness.loop import Window
from merchgraph.tools.fairness.model import F, features, fit, probabilities, sigmoid
from tests.tools.fairness.market_toy import FIRST, WEEKS, market_shop

CUT = FIRST + timedelta(weeks=WEEKS - 3)
LEAST = Threshold(item=3, seller=200)


def test_a_market_knows_nothing_of_what_comes_later() -> None:
    store = market_shop()
    market = market_of(store, CUT, LEAST)
    frame = store.events.frame
    later = pl.col("time") >= CUT
    changed = frame.with_columns(price=pl.when(later).then(99.0).otherwise(pl.col("price")))
    cut = Shop("cut", store.items, Events(frame.filter(~later)))
    other = Shop("other", store.items, Events(changed))
    for same in (market_of(cut, CUT, LEAST), market_of(other, CUT, LEAST)):
        assert same.items == market.items
        assert same.sellers == market.sellers
        np.testing.assert_array_equal(same.prices, market.prices)
        np.testing.assert_array_equal(same.popularity, market.popularity)
        np.testing.assert_array_equal(same.habits.own, market.habits.own)
        np.testing.assert_array_equal(same.habits.kinds, market.habits.kinds)


def test_small_sellers_are_the_rest_and_shares_sum_to_one() -> None:
    market = market_of(market_shop(), CUT, LEAST)
    assert market.sellers[0] == "acme"
    assert market.sellers[-1] == REST
    assert market.shares.sum() == pytest.approx(1)
    assert set(market.seller) == set(range(len(market.sellers)))
    named = market_of(market_shop(), CUT, LEAST._replace(sellers=("dora", "acme")))
    assert set(named.sellers) == {"acme", "dora", REST}
    assert len(named.sellers) == 3


def test_trips_are_those_of_the_window_in_the_order_of_time() -> None:
    store = market_shop()
    market = market_of(store, CUT, LEAST)
    trips = trips_of(store, market, CUT, CUT + timedelta(weeks=1))
    log = store.events.frame.filter(
        pl.col("time") >= CUT, pl.col("time") < CUT + timedelta(weeks=1)
    )
    assert len(trips.shopper) == log["session"].n_unique()
    first = log.sort("time", "session")["session"][0]
    basket = log.filter(pl.col("session") == first, pl.col("item").is_in(market.items))
    columns = trips.bought[trips.starts[0] : trips.starts[1]]
    assert {market.items[column] for column in columns} == set(basket["item"])
    assert market.habits.shoppers[trips.shopper[0]] == basket["user"][0]


def test_a_catalogue_without_sellers_is_refused() -> None:
    with pytest.raises(DataError, match="names no sellers"):
        market_of(market_shop(sellers=False), CUT)


def test_a_cut_before_all_purchases_is_refused() -> None:
    with pytest.raises(SetupError, match="has 3 purchases before 2020"):
        market_of(market_shop(), datetime(2020, 1, 1), LEAST)


@pytest.mark.parametrize("price", [pl.lit(None, pl.Float64), pl.lit(0.0), None])
def test_a_log_without_prices_is_refused(price: pl.Expr | None) -> None:
    store = market_shop()
    frame = store.events.frame.drop("price")
    frame = frame if price is None else frame.with_columns(price=price)
    with pytest.raises(DataError, match=r"no prices paid.* map its column of prices to `price`"):
        market_of(Shop("toy", store.items, Events(frame)), CUT, LEAST)


def test_sessions_of_one_name_are_as_many_as_their_shoppers() -> None:
    store = market_shop()
    numbered = store.events.frame.with_columns(session=pl.col("session").str.replace(r"u\d+/", ""))
    other = Shop("other", store.items, Events(numbered))
    assert numbered["session"].n_unique() < store.events.frame["session"].n_unique()
    here, there = market_of(store, CUT, LEAST), market_of(other, CUT, LEAST)
    np.testing.assert_array_equal(there.popularity, here.popularity)
    np.testing.assert_array_equal(there.habits.trips, here.habits.trips)
    mine, theirs = trips_of(store, here, CUT), trips_of(other, there, CUT)
    assert len(theirs.shopper) == len(mine.shopper)


def test_the_fit_finds_weights_that_made_the_answers() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(2, 3, (40_000, F))
    true = np.linspace(-1, 1, F)
    bought = rng.random(len(x)) < sigmoid(-5 + ((x - 2) / 3) @ true)
    found = fit(x, bought, np.ones(len(x)), ridge=1e-3)
    error = np.sqrt(np.diag(found.covariance))
    np.testing.assert_array_less(np.abs(found.weights - true), 4 * error[1:] + 0.02)
    half = rng.random(len(x)) < 0.5  # of the others half are drawn, each for two
    kept = bought | half
    sampled = fit(x[kept], bought[kept], np.where(bought[kept], 1.0, 2.0), ridge=1e-3)
    assert sampled.intercept == pytest.approx(found.intercept, abs=0.15)


def test_traits_give_the_chances_of_the_model() -> None:
    from merchgraph.tools.fairness.learn import _chances

    market = market_of(market_shop(), CUT, LEAST)
    x = np.concatenate([features(market, shopper) for shopper in range(10)])
    bought = np.random.default_rng(0).random(len(x)) < 0.1
    model = fit(x, bought, np.ones(len(x)), ridge=1.0)
    shoppers = np.arange(len(market.habits.shoppers))
    table = probabilities(model, market, shoppers)
    traits = Traits.of(market, model)
    theta = np.append(model.intercept, model.weights).astype(np.float32)
    chance, none = np.empty(len(market.items), np.float32), np.zeros((F + 1, F + 1), np.float32)
    for shopper in (0, 7):
        _chances(traits, shopper, theta, none, np.float32(0), chance)
        np.testing.assert_allclose(chance, table[shopper], rtol=1e-3)


@pytest.mark.timeout(400)  # of which compiling may take most, on a busy machine
@pytest.mark.parametrize("explore", ["mean", "ucb", "thompson"])
def test_a_cold_ranker_learns_what_shoppers_buy(
    explore: Literal["mean", "ucb", "thompson"],
) -> None:
    from merchgraph.evals.suites.fairness_measures import reordered
    from merchgraph.tools.fairness.bound import outcomes_of
    from merchgraph.tools.fairness.duals import Goal, plan_of

    store = market_shop()
    market = market_of(store, CUT, LEAST)
    once = trips_of(store, market, CUT)
    trips = reordered(once, np.tile(np.arange(len(once.shopper)), 8))
    x = np.concatenate([features(market, shopper) for shopper in range(40)])
    true = fit(x, x[:, 9] * np.random.default_rng(0).random(len(x)) > 0.5, np.ones(len(x)), ridge=1)
    chance = probabilities(true, market, np.arange(len(market.habits.shoppers)))
    ones = np.ones(len(market.items), np.float32)
    window = Window(chance, ones, ones, market.seller)
    plan = plan_of(Goal(strength=0), np.ones(len(market.sellers)))
    study, belief = Study(explore, delay=5), cold(4, len(ones))
    shown = learn(window, plan, trips, Traits.of(market, true), belief, study, 4)
    half = len(shown) // 2
    late = np.full(len(shown) - half, 1 / (len(shown) - half))
    _, reward = outcomes_of(window, trips.shopper[half:], shown[half:], len(plan.targets), late)
    best = np.sort(chance, axis=1)[:, -4:].sum(axis=1)[trips.shopper[half:]].mean()
    assert reward >= 0.95 * best
    assert np.linalg.eigvalsh(belief.covariance).min() > 0
