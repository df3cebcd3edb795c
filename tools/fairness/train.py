"""Fitting what the fair ranker starts from: a purchase model, targets, and subsidies on a forecast.

    train(shop("complete_journey"), PRESETS["cpu"], folder, before=datetime(2017, 11, 27))

Everything comes from the log before one time. The purchase model is fitted on the last weeks, with
features of what came before them; the forecast is that the shoppers of those weeks come again as often,
with the habits of now. A sampled example weighs as many as it stands for.

It takes a minute, so there is no state to go on from: the same call gives the same model.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from merchgraph.runtime.errors import SetupError
from merchgraph.tools import checkpoint
from merchgraph.tools.checkpoint import Progress, quiet
from merchgraph.tools.data.tables import Shop, local
from merchgraph.tools.fairness.data import (
    Floats,
    Market,
    Threshold,
    Trips,
    Whole,
    market_of,
    span_of,
    trips_of,
)
from merchgraph.tools.fairness.duals import Goal, plan_of
from merchgraph.tools.fairness.model import Purchase, features, fit, probabilities

COMMAND = "merchgraph train fairness"
STAGES = 4


class Config(BaseModel):
    """What is fitted, and the goal that the ranker is for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    goal: Annotated[Goal, Field(description="What is fair and what it may cost.")] = Goal()
    places: Annotated[int, Field(ge=1, le=100, description="Items of a list.")] = 10
    weeks: Annotated[
        int,
        Field(ge=1, le=52, description="Last weeks of the log, for the fit and the forecast."),
    ] = 4
    trips: Annotated[int, Field(ge=1, description="Trips that the fit sees.")] = 4_000
    others: Annotated[
        int, Field(ge=1, description="Items a trip, drawn of those that the shopper never bought.")
    ] = 50
    ridge: Annotated[float, Field(gt=0, description="Penalty on the squared weights.")] = 1.0
    least_item: Annotated[
        int, Field(ge=1, description="Purchases that an item needs to be offered.")
    ] = 20
    least_seller: Annotated[
        int,
        Field(
            ge=1, description="Purchases that a seller needs to stand alone; the others are one."
        ),
    ] = 2_000
    seed: Annotated[int, Field(ge=0, description="Which trips and items are drawn.")] = 0


PRESETS: Mapping[Literal["cpu", "gpu"], Config] = {"cpu": Config(), "gpu": Config()}


class Start(NamedTuple):
    """What the ranker begins with.

    Attributes:
        purchase: the purchase model.
        market: at the cut.
        targets: (S,) reward a trip that is fair: the seller's share of sales, of what greedy lists earn.
        subsidies: (S,) the best ones on the forecast.
        greedy: reward a trip of greedy lists on the forecast.
    """

    purchase: Purchase
    market: Market
    targets: Floats
    subsidies: Floats
    greedy: float


def train(
    store: Shop,
    config: Config,
    folder: Path,
    *,
    before: datetime | None = None,
    progress: Progress = quiet,
) -> Start:
    """Fit on a shop's log and keep the result in a folder; an old model with the same settings goes.

    Args:
        store: a shop whose catalogue names sellers.
        config: of all stages.
        folder: for `model.safetensors`, `config.json`, `README.md`.
        before: nothing of the log from this time on is seen.
        progress: called with (done, total, what) after each stage.

    Raises:
        SetupError: the folder holds a model of other settings, or the log is too short.
        DataError: the catalogue names no sellers, or the log no prices.
    """
    if (folder / checkpoint.WEIGHTS).exists():
        held, _ = checkpoint.load(folder, Config, COMMAND)
        if held != config:
            raise SetupError(
                f"{str(folder)!r} holds a model that was trained with other settings; remove it, or "
                "name another folder by --out."
            )
    started = start_of(store, config, before=before, progress=progress)
    tensors: checkpoint.Tensors = {
        "sellers": checkpoint.as_bytes(started.market.sellers),
        "targets": started.targets,
        "subsidies": started.subsidies,
    }
    told = card(store, config, before, started.market, started.targets, started.greedy)
    checkpoint.save(folder, tensors, config, told)
    return started


def start_of(
    store: Shop,
    config: Config,
    *,
    before: datetime | None = None,
    sellers: tuple[str, ...] | None = None,
    progress: Progress = quiet,
) -> Start:
    """The purchase model, targets and first subsidies, without keeping them.

    Args:
        store: a shop whose catalogue names sellers.
        config: of all stages.
        before: nothing of the log from this time on is seen; None is the whole log.
        sellers: that stand alone, in place of those with `least_seller` purchases.
        progress: called after each stage.

    Raises:
        SetupError: the log is too short.
        DataError: the catalogue names no sellers, or the log no prices.
    """
    # nothing is cut off without `before`: the end is just after the last event
    cut = local(before) if before else span_of(store)[1] + timedelta(microseconds=1)
    purchase = purchase_of(store, config, cut, progress)
    market = market_of(store, cut, Threshold(config.least_item, config.least_seller, sellers))
    lately = trips_of(store, market, cut - timedelta(weeks=config.weeks), cut)
    shoppers, counts = np.unique(lately.shopper, return_counts=True)
    if not len(shoppers):
        raise SetupError(
            f"Nobody shopped at {store.name} in the {config.weeks} weeks before {cut:%Y-%m-%d}; give "
            "more weeks, or another time."
        )
    targets, subsidies, greedy = forecast(
        config, market, probabilities(purchase, market, shoppers), counts.astype(np.float64)
    )
    progress(STAGES, STAGES, "subsidies on the forecast")
    return Start(purchase, market, targets, subsidies, greedy)


def forecast(
    config: Config, market: Market, chance: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    counts: Floats,
) -> tuple[Floats, Floats, float]:  # fmt: skip
    """Targets (S,), the best subsidies (S,) and greedy reward a trip, where shoppers come `counts` times.

    Args:
        config: goal and places.
        market: of the items.
        chance: (U, I) float32 — of the shoppers that come.
        counts: (U,) float64 — how often each comes.

    Raises:
        SetupError: numba is not installed.
    """
    try:
        from merchgraph.tools.fairness.bound import fluid, outcomes_of
        from merchgraph.tools.fairness.loop import Window, shown_at
    except ModuleNotFoundError as error:
        raise SetupError(
            f"The fair ranker's training needs the package {error.name}, which is not installed: "
            "pip install 'merchgraph[torch]'."
        ) from error

    prices, shoppers = market.prices.astype(np.float32), np.arange(len(chance))
    window = Window(chance, prices, prices, market.seller)
    sellers = len(market.sellers)
    unpriced = plan_of(Goal(strength=0), np.ones(sellers))
    shown = shown_at(window, unpriced, np.zeros(sellers), shoppers, config.places)
    _, greedy = outcomes_of(window, shoppers, shown, sellers, counts / counts.sum())
    targets = np.maximum(market.shares, 1e-9) * greedy
    if config.goal.strength == 0:
        return targets, np.zeros(sellers), greedy
    best = fluid(window, plan_of(config.goal, targets), shoppers, counts, config.places)
    return targets, best.subsidies, greedy


def purchase_of(store: Shop, config: Config, cut: datetime, progress: Progress = quiet) -> Purchase:
    """The purchase model, fitted on the last weeks before a time.

    Raises:
        SetupError: there are no trips in those weeks by shoppers that came before.
    """
    begin = cut - timedelta(weeks=config.weeks)
    market = market_of(store, begin, Threshold(config.least_item, config.least_seller))
    trips = trips_of(store, market, begin, cut)
    progress(1, STAGES, "what was known before the last weeks")
    if not len(trips.shopper):
        raise SetupError(
            f"No known shopper came to {store.name} in the {config.weeks} weeks before "
            f"{cut:%Y-%m-%d}; give more weeks, or another time."
        )
    rng = np.random.default_rng(config.seed)
    size = min(config.trips, len(trips.shopper))
    drawn = np.sort(rng.choice(len(trips.shopper), size, replace=False))
    parts = [_examples(market, trips, int(trip), config.others, rng) for trip in drawn]
    x, bought, importance = (np.concatenate(column) for column in zip(*parts, strict=True))
    progress(2, STAGES, f"{len(x):,} examples of {size:,} trips")
    purchase = fit(x, bought, importance, ridge=config.ridge)
    progress(3, STAGES, "purchase model")
    return purchase


def _examples(
    market: Market, trips: Trips, trip: int, others: int, rng: np.random.Generator
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]], Floats]:
    """Of one trip: all that was bought now or before, and some of the rest."""
    shopper = int(trips.shopper[trip])
    basket: Whole = trips.bought[trips.starts[trip] : trips.starts[trip + 1]]
    start, end = market.habits.starts[shopper : shopper + 2]
    sure = np.union1d(basket, market.habits.own[start:end])
    rest = np.setdiff1d(rng.integers(len(market.items), size=others), sure)
    stands = (len(market.items) - len(sure)) / max(1, len(rest))
    columns = np.concatenate([sure, rest])
    importance = np.concatenate([np.ones(len(sure)), np.full(len(rest), stands)])
    return features(market, shopper, columns), np.isin(columns, basket), importance


def card(
    store: Shop,
    config: Config,
    before: datetime | None,
    market: Market,
    targets: Floats,
    greedy: float,
) -> str:
    """Markdown for people who find the model's folder."""
    goal = config.goal
    upto = f"before {before:%Y-%m-%d %H:%M}" if before else "all of it"
    return f"""# Fair ranker of {store.name}

Raises the outcome of sellers that fall short of their target, at a stated price in reward.

- Data: the log of {store.name}, {upto}; {len(market.items):,} items with at least {config.least_item}
  purchases, {len(market.sellers):,} sellers, {len(market.habits.shoppers):,} shoppers.
- Goal: {goal.fair}, strength {goal.strength:g} of reward a trip, pace {goal.pace:g} over
  {goal.horizon:,} trips, lists of {config.places}.
- Targets: each seller's share of sales, of {greedy:.4f}, which greedy lists earn a trip on the forecast;
  the smallest is {targets.min():.5f}, the median {np.median(targets):.5f}.
- Outcomes are expected ones of a logistic model of ten features, fitted on the last {config.weeks} weeks
  with what was known before them. It knows habits and popularity, and no price: it underrates what dear
  items earn, and is too sure of purchases that it holds likelier than .3.
- Limits: purchases in the log would mostly have happened anyway, so its figures are no causal effects.
  What is fair is a choice: a share of past sales keeps what was.
- Source: Ye et al., "Seller-side Outcome Fairness in Online Marketplaces", arXiv 2312.03253, of which the
  abstract is known here and no formula; the method is ours, in its spirit (online dual prices).
- `merchgraph eval fairness` measures it; settings stand in `config.json`.
"""
