"""ARAG's last step where it is asked for: a list that is fair to sellers.

What an item is worth becomes its expected sales, chance x price, raised for sellers who fell short of
their target (`tools/fairness`). The chance is the graph's own estimate: with a fusion, whose weights are
those of a conditional logit, the softmax of its sums; else s_NLI; without a judge 1 / place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import polars as pl
from pydantic import BaseModel, ConfigDict

from merchgraph.graphs.fusion import Fused
from merchgraph.runtime.errors import SetupError
from merchgraph.tools.checkpoint import WEIGHTS, command, home
from merchgraph.tools.contract import purchases
from merchgraph.tools.data.tables import Shop

if TYPE_CHECKING:
    from merchgraph.tools.fairness.tool import FairRanker


class Fair(BaseModel):
    """The order that is fair to sellers.

    Attributes:
        ranking: item ids, best first; the first k were chosen, the others follow as before.
        outcomes: seller -> expected sales of its items among the first k, for `FairRanker.observe`.
        lost: expected sales that the best k would have had beyond these; also for `observe`.
    """

    model_config = ConfigDict(frozen=True)

    ranking: list[str]
    outcomes: dict[str, float]
    lost: float = 0.0


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
    """The first k of a ranking chosen anew; what has no price, and so no expected sales, comes after.

    Args:
        store: the shop.
        ranking: item ids, best first.
        odds: a probability for each.
        k: how many are shown.
        before: nothing of the log from this time on is seen.
        ledger: file of what sellers got so far.

    Raises:
        SetupError: no ranker was trained.
    """  # fmt: skip
    goods, ranker = _goods(store, ranking, before), ranker_of(store, before, ledger)
    offered = [(item, chance) for item, chance in zip(ranking, odds, strict=True) if item in goods]
    items = [item for item, _ in offered]
    prices, sellers = [goods[i].price for i in items], [goods[i].seller for i in items]
    found = ranker.rerank(items, [chance for _, chance in offered], prices, sellers, k)
    shown = set(found.items)
    rest = [item for item in ranking if item not in shown]
    return Fair(ranking=[*found.items, *rest], outcomes=found.outcomes, lost=found.lost)


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
    key = folder, None if ledger is None else Path(ledger).expanduser().resolve()
    with _reading:  # a ledger is one object's; two that open it would keep each other out
        if key not in _rankers:
            from merchgraph.tools.fairness.tool import FairRanker

            _rankers[key] = FairRanker.load(folder, ledger=key[1])
        return _rankers[key]


_reading = Lock()
_rankers: dict[tuple[Path, Path | None], FairRanker] = {}


def _goods(store: Shop, items: Sequence[str], before: datetime | None) -> dict[str, Good]:
    """The median price paid, else the catalogue's, and the seller, of items that have a price."""
    wanted = pl.col("item").is_in(items)
    log = purchases(store, before).frame.filter(wanted, pl.col("price") > 0)
    paid = log.group_by("item").agg(paid=pl.median("price"))
    table = store.items.frame.filter(wanted).join(paid, on="item", how="left")
    priced = table.select("item", pl.coalesce("paid", "price"), pl.col("seller").fill_null(""))
    return {item: Good(price, seller) for item, price, seller in priced.iter_rows() if price}
