"""A launch: some ads are new and some have retired, as of one week of a shop's log.

    weeks  9 to 33   pool users see the ads that retire later: their clicks train the pool's models
    weeks 34 to 53   new ads; pool users' clicks train what a new ad is measured against, and on the
                     other users' clicks everything is measured

New ads are drawn by the seed among those with enough clicks to be measured by; that threshold looks at
outcomes, but only decides which ads are measurable. Products of a new ad's type are deleted from every
history, as if they did not exist yet. Pool and new ads have no type in common, and pool and other users
are different people.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.settings import settings
from merchgraph.tools.ctr.aisles import aisle_of
from merchgraph.tools.ctr.features import History, features, history
from merchgraph.tools.ctr.fit import Sample, fit
from merchgraph.tools.ctr.pool import REACH, Ad, Doubles, Pool
from merchgraph.tools.data.mailers import Mailers, mailers
from merchgraph.tools.data.tables import Shop

Rows = NDArray[np.int64]

VERSION = "2"  # raise it when the pool made of the same shop changes
L2 = 300.0
"""Chosen on pool ads only, by AUC for 30, 100, 300 and 1,000 (hyper_protocol.md, section 1)."""
EARLY, LATE = (9, 33), (34, 53)
POOL_SHARE = 0.7
POOL_CLICKS = 60
WARM_CLICKS, HELD_CLICKS = 40, 30
NEW_ADS = 120
REFERENCE = 3_000
"""Rows of pool users that intercepts are calibrated on."""


@dataclass(frozen=True, eq=False)
class Launch:
    """One draw of users and new ads.

    Attributes:
        retired, new: rows of `mailers.types`.
        log: histories without the new types.
        early: visits of pool users in the early weeks; `late` and `held` those of the pool's and of
            the other users in the late weeks.
        centre, spread: (F,) of the raw features of `early`.
    """

    mailers: Mailers
    log: History
    retired: Rows
    new: Rows
    early: Rows
    late: Rows
    held: Rows
    centre: Doubles
    spread: Doubles

    def sample(self, visits: Rows, types: Rows) -> Sample:
        """Who of some visits was shown which types, and clicked."""
        shown, clicked = self.mailers.shown(visits, types), self.mailers.clicked(visits, types)
        return Sample(self.x(visits), shown, clicked)

    def x(self, visits: Rows) -> Doubles:
        """(rows, F) standardised features."""
        raw = _raw(self.mailers, self.log, visits)
        return np.clip((raw - self.centre) / self.spread, -REACH, REACH)

    def ads(self, types: Rows) -> tuple[Ad, ...]:
        """What is known of ads before anybody has seen them."""
        named = self.mailers.types.select("department", "category", "name").rows()
        return tuple(_ad(*named[row]) for row in types)

    @cached_property
    def pool(self) -> Pool:
        """The retired ads with their models."""
        sample = self.sample(self.early, self.retired)
        models = fit(sample, l2=L2)
        chosen = np.linspace(0, len(sample.x) - 1, min(REFERENCE, len(sample.x))).astype(np.int64)
        return Pool(
            features(), self.ads(self.retired), models.weights, models.intercepts, sample.rates,
            sample.exposures, self.centre, self.spread, sample.x[chosen],
        )  # fmt: skip


def launch(shop: Shop, seed: int = 0) -> Launch:
    """Draw the users and the new ads of a shop.

    Raises:
        SetupError: the shop has no record of what was advertised, or too few ads.
    """
    record, rng = mailers(shop), np.random.default_rng(seed)
    users, weeks = _visits(record)
    people = sorted(set(users))
    chosen = rng.permutation(len(people))[: round(POOL_SHARE * len(people))]
    pool_users = {people[row] for row in chosen}
    ours = np.asarray([user in pool_users for user in users])
    demographics = shop.extras["demographics"].lazy().collect()
    warm = history(record, demographics).known(users, weeks)

    def visits(mine: NDArray[np.bool_], span: tuple[int, int]) -> Rows:
        return np.flatnonzero(warm & mine & (weeks >= span[0]) & (weeks <= span[1]))

    early, late, held = visits(ours, EARLY), visits(ours, LATE), visits(~ours, LATE)
    measurable = np.flatnonzero(
        (record.clicks(late) >= WARM_CLICKS) & (record.clicks(held) >= HELD_CLICKS)
    )
    if len(measurable) < NEW_ADS:
        raise SetupError(
            f"The shop {shop.name!r} has {len(measurable)} ads with enough clicks to be measured "
            f"by, but {NEW_ADS} are drawn; take a shop with more purchases."
        )
    new = np.sort(rng.choice(measurable, NEW_ADS, replace=False))
    retired = np.setdiff1d(np.flatnonzero(record.clicks(early) >= POOL_CLICKS), new)
    log = history(record, demographics, without=new.tolist())
    raw = _raw(record, log, early)
    # a flag that no pool user has tells nothing, and stays 0
    spread = np.where(raw.std(axis=0) > 0, raw.std(axis=0), 1.0)
    return Launch(record, log, retired, new, early, late, held, raw.mean(axis=0), spread)


def kept(shop: Shop, seed: int) -> Path:
    """The folder of a launch's pool in the cache; it is fitted and kept there if it is not there yet.

    Raises:
        SetupError: as `launch`, or the cache folder cannot be written.
    """
    folder = settings().cache_dir / "pools" / f"{shop.fingerprint}-{VERSION}-{seed}"
    if not folder.is_dir():
        pool = launch(shop, seed).pool
        try:
            _keep(pool, folder)
        except OSError as error:
            raise SetupError(
                f"The cache folder {str(folder.parent)!r} cannot be written "
                f"({error.strerror or error}); set MERCHGRAPH_CACHE to a folder that can."
            ) from error
    return folder


def _keep(pool: Pool, folder: Path) -> None:
    """Write a pool so that its folder appears whole, or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as part:
        whole = Path(part) / "pool"
        pool.save(whole)
        if not folder.is_dir():
            os.rename(whole, folder)


def _visits(record: Mailers) -> tuple[Sequence[str], Rows]:
    visits = record.visits
    return visits["user"].to_list(), visits["week"].to_numpy().astype(np.int64)


def _raw(record: Mailers, log: History, visits: Rows) -> Doubles:
    users, weeks = _visits(record)
    return log.rows([users[row] for row in visits], weeks[visits])


def _ad(department: str, category: str, name: str) -> Ad:
    # of the texts that were tried, this one's nearest ads explain most of the weights of pool ads
    aisle = aisle_of(department, category)
    text = f"{name}. {category}. {department}. Aisle: {aisle}"
    return Ad(id=f"{category} | {name}", text=text, group=aisle)
