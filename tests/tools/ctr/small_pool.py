"""Eight retired ads of a corner shop with click models of five features, and what is like what."""

from __future__ import annotations

import numpy as np

from merchgraph.tools.ctr.pool import Ad, Feature, Pool

NAMES = ["aisle: tea", "aisle: baby", "trips", "price tier", "children"]
KINDS = ["tea", "tea", "tea", "baby", "baby", "baby", "soap", "soap"]
ADS = tuple(
    Ad(id=f"r{n}", text=f"an advertisement for {kind} {n}", group=kind)
    for n, kind in enumerate(KINDS)
)


def small_pool() -> Pool:
    """Ads of a kind have large weights on its aisle; all have a small one on trips."""
    rng = np.random.default_rng(5)
    weights = rng.normal(0, 0.02, (8, 5))
    weights[:, 2] += 0.1
    weights[:3, 0] += 0.4
    weights[3:6, 1] += 0.3
    return Pool(
        features=tuple(Feature(name=name, meaning=f"how much of {name}") for name in NAMES),
        ads=ADS,
        weights=weights,
        intercepts=np.linspace(-4, -3, 8),
        rates=np.linspace(0.01, 0.08, 8),
        exposures=np.full(8, 1000.0),
        centre=np.full(5, 0.4),
        spread=np.full(5, 0.2),
        users=np.clip(rng.normal(0, 1, (200, 5)), -4, 4),
    )
