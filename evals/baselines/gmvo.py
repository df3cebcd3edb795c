"""Rankings of similar items that nobody trained: popularity, texts, co-purchase, switches and blends.

    RANKERS["S"](window)      # (P,) scores of the window's pairs

S is the share of a target among the switches away from a source, with a Dirichlet prior worth 5 switches
by the purchases of the last 8 weeks. The blend is log S + log(household cosine + .02).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from merchgraph.tools.gmvo.data import Floats
from merchgraph.tools.gmvo.edges import information
from merchgraph.tools.gmvo.signals import (
    FOREVER,
    NAMES,
    WEEK,
    cosine,
    popularity,
    shrunk,
    switches,
    wallet,
)
from merchgraph.tools.gmvo.windows import Window

Ranker = Callable[[Window], Floats]
RECENT_WEEKS = 8
TIES = 1e-9


def random(window: Window) -> Floats:
    """(P,) in [0, 1), the same at every call."""
    return np.random.default_rng(0).random(len(window.pairs))


def dearest(window: Window) -> Floats:
    """(P,) list price."""
    return window.past.goods.prices[window.pairs.target]


def popular(window: Window) -> Floats:
    """(P,) purchases of the target."""
    return popularity(window.past, FOREVER)[window.pairs.target]


def recent(window: Window) -> Floats:
    """(P,) purchases of the target in the last 8 weeks."""
    return _recent(window)[window.pairs.target]


def text(window: Window) -> Floats:
    """(P,) cosine of the texts' vectors; 0 where no texts are read."""
    return window.signals[:, NAMES.index("text")].astype(np.float64)


def baskets(window: Window) -> Floats:
    """(P,) cosine of the baskets with each item: co-purchase kNN."""
    return cosine(window.pairs, window.past, window.past.log.basket)


def households(window: Window) -> Floats:
    """(P,) cosine of the households that bought each item."""
    return cosine(window.pairs, window.past, window.past.log.user)


def counted(window: Window) -> Floats:
    """(P,) switches from source to target, then popularity: switch kNN."""
    return switches(window.pairs, window.past) + TIES * popular(window)


def pointwise_information(window: Window) -> Floats:
    """(P,) pointwise mutual information of switches, k = 10; -1e9 where there is none."""
    found = information(window.pairs, switches(window.pairs, window.past), 10)
    return np.where(np.isneginf(found), -1e9, found)


def with_prior(window: Window) -> Floats:
    """(P,) log S."""
    return shrunk(window.pairs, switches(window.pairs, window.past), _recent(window), 5)


def blend(window: Window) -> Floats:
    """(P,) log S + log(household cosine + .02)."""
    return with_prior(window) + np.log(households(window) + 0.02)


def wallets(window: Window) -> Floats:
    """(P,) share of the target in the wallets of the source's households, the tool's best signal."""
    return shrunk(window.pairs, wallet(window.pairs, window.past), popularity(window.past, 4), 3)


def priced(ranker: Ranker, power: float) -> Ranker:
    """A ranker of log shares, times a power of the target's price."""

    def scores(window: Window) -> Floats:
        prices = np.maximum(window.past.goods.prices, 0.01)[window.pairs.target]
        return ranker(window) + power * np.log(prices)

    return scores


RANKERS: Mapping[str, Ranker] = {
    "random": random,
    "dearest": dearest,
    "popularity": popular,
    "recent popularity": recent,
    "text cosine": text,
    "co-purchase kNN": baskets,
    "household cosine": households,
    "switch PMI": pointwise_information,
    "switch kNN": counted,
    "S": with_prior,
    "S x price^.5": priced(with_prior, 0.5),
    "S x price": priced(with_prior, 1.0),
    "blend": blend,
    "wallet": wallets,
}
"""By name, from the weakest to the strongest; none of them is trained."""


def _recent(window: Window) -> Floats:
    """(I,) purchases in the last 8 weeks."""
    past = window.past
    late = past.log.bought & (past.log.day >= past.day - RECENT_WEEKS * WEEK)
    return np.bincount(past.log.item[late], minlength=len(past.goods.items)).astype(np.float64)
