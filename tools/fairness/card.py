"""The card of a fair ranker: what it was made of, what it may be used for, and its limits."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from merchgraph.tools.data.tables import Shop
from merchgraph.tools.fairness.data import Floats, Market

if TYPE_CHECKING:
    from merchgraph.tools.fairness.train import Config


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
  with what was known before them. It knows habits and popularity, and no price: it underrates what dear items
  earn, and is too sure of purchases that it holds likelier than .3.
- Limits: purchases in the log would mostly have happened anyway, so its figures are no causal effects.
  What is fair is a choice: a share of past sales keeps what was.
- Source: Ye et al., "Seller-side Outcome Fairness in Online Marketplaces", arXiv 2312.03253, of which the
  abstract is known here and no formula; the method is ours, in its spirit (online dual prices).
- `merchgraph eval fairness` measures it; settings stand in `config.json`.
"""
