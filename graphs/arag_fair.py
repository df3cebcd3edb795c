"""ARAG's last step where it is asked for: a list that is fair to sellers.

What an item is worth becomes its expected sales, chance x price, raised for sellers who fell short of
their target (`tools/fairness`). The chance is the graph's own estimate: with a fusion, whose weights are
those of a conditional logit, the softmax of its sums; else s_NLI; without a judge 1 / place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import polars as pl
from pydantic import BaseModel, ConfigDict

from merchgraph.graphs.fusion import Fused
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.checkpoint import WEIGHTS, command, home
from merchgraph.tools.data.tables import Shop, local

if TYPE_CHECKING:
    from merchgraph.tools.fairness.tool import FairRanker


class Fair(BaseModel):
    """The order that is fair to sellers.

    Attributes:
        ranking: item ids, best first; the first k were chosen, the others follow as before.
        outcomes: seller -> expected sales of its items among the first k, for `FairRanker.observe`.
    """

    model_config = ConfigDict(frozen=True)

    ranking: list[str]
    outcomes: dict[str, float]


class Good(NamedTuple):
    """What an item costs and who sells it."""

    price: float
    seller: str


def chances(
    ranking: Sequence[str], fused: Fused | None, judged: Mapping[str, float | None]
) -> list[float]:
    """The probability of each item of a ranking, in its order; see the module's docstring."""
    if fused is not None:
        sums = [
            math.fsum(share.adds for share in fused.shares.get(item, {}).values())
            for item in ranking
        ]
        odds = [math.exp(one - max(sums)) for one in sums]
        return [round(one / math.fsum(odds), 9) for one in odds]
    if any(judged.get(item) is not None for item in ranking):
        return [judged.get(item) or 0.0 for item in ranking]
    return [1 / place for place in range(1, len(ranking) + 1)]


def fair(
    store: Shop,
    ranking: Sequence[str],
    odds: Sequence[float],
    k: int,
    *,
    before: datetime | None = None,
    ledger: str | None = None,
) -> Fair:
    """The first k of a ranking chosen anew.

    Args:
        store: the shop.
        ranking: item ids, best first.
        odds: a probability for each.
        k: how many are shown.
        before: nothing of the log from this time on is seen.
        ledger: file of what sellers got so far.

    Raises:
        SetupError: no ranker was trained, an item has neither sale nor price, or the catalogue names no
            sellers.
    """  # fmt: skip
    goods, ranker = _goods(store, ranking, before), ranker_of(store, before, ledger)
    prices, sellers = zip(*goods, strict=True)
    found = ranker.rerank(ranking, odds, prices, sellers, k)
    shown = set(found.items)
    rest = [item for item in ranking if item not in shown]
    return Fair(ranking=[*found.items, *rest], outcomes=found.outcomes)


def ranker_of(store: Shop, before: datetime | None, ledger: str | None) -> FairRanker:
    """The trained ranker of a shop; read once a process, with its ledger.

    Raises:
        SetupError: no ranker was trained; the message has the command that does.
    """
    folder = home("fairness", store.name, before)
    if not (folder / WEIGHTS).is_file():
        raise SetupError(
            f"No fair ranker was trained for {store.name}; make it: "
            f"{command('fairness', store.name, before)}"
        )
    return _ranker(folder, ledger)


@lru_cache(maxsize=4)
def _ranker(folder: Path, ledger: str | None) -> FairRanker:
    from merchgraph.tools.fairness.tool import FairRanker

    return FairRanker.load(folder, ledger=ledger)


def _goods(store: Shop, items: Sequence[str], before: datetime | None) -> list[Good]:
    """The median price paid, else the catalogue's, and the seller of each item."""
    log, catalogue = store.events.frame, store.items.frame
    if before is not None:
        log = log.filter(pl.col("time") < local(before))
    if "seller" not in catalogue.columns:
        raise SetupError(
            f"The catalogue of {store.name} names no sellers; map a column to `seller`."
        )
    paid = log.filter(pl.col("item").is_in(items)).group_by("item").agg(pl.median("price"))
    wanted = catalogue.filter(pl.col("item").is_in(items)).select("item", "price", "seller")
    joined = wanted.join(paid, on="item", how="left", suffix="_paid").select(
        "item", pl.coalesce("price_paid", "price").alias("price"), pl.col("seller").fill_null("")
    )
    found = {item: Good(price or 0.0, seller) for item, price, seller in joined.iter_rows()}
    for item in items:
        if found[item].price <= 0:
            raise SetupError(
                f"The item {item!r} has no price in the log or the catalogue, which a fair list "
                f"weighs; leave it out of the candidates."
            )
    return [found[item] for item in items]
