"""A list that is fair to sellers: what graphs call between ranking and showing.

    ranker = FairRanker.load(home("fairness", "complete_journey"), ledger="fair.jsonl")
    found = ranker.rerank(items, chances, prices, sellers, k=10)
    ranker.observe("trip 17", found.outcomes, found.lost)    # or, later, what was really bought

An item is worth chance * price * (1 + subsidy of its seller / target). The subsidies follow what sellers
got so far and, with a budget, what that cost, which `observe` tells and the ledger keeps; nothing else
changes them, so that answers may come late and in any order. It re-ranks what others scored, and is no
recommender of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, Field

from merchgraph.runtime.errors import SetupError
from merchgraph.tools import checkpoint
from merchgraph.tools.data.checks import examples
from merchgraph.tools.fairness.data import REST, Floats
from merchgraph.tools.fairness.duals import Goal, affordable, leader, plan_of
from merchgraph.tools.fairness.store import Ledger
from merchgraph.tools.fairness.train import COMMAND, Config

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool


class Reranked(NamedTuple):
    """A list, best first.

    Attributes:
        items: ids.
        scores: expected sales and the subsidy, as they were ranked.
        outcomes: seller -> expected sales of its items in the list, as `observe` takes them.
        lost: expected sales that the best list without subsidies would have had beyond these.
    """

    items: list[str]
    scores: list[float]
    outcomes: dict[str, float]
    lost: float


class Candidates(BaseModel):
    """Scored items to be re-ranked; all lists have the same length."""

    items: list[str] = Field(description="Ids of the candidates.")
    chances: list[float] = Field(description="Probability that the shopper buys each, 0 to 1.")
    prices: list[float] = Field(description="Price of each, above 0.")
    sellers: list[str] = Field(description="Seller of each.")
    k: int = Field(default=10, ge=1, description="How many to keep.")


class FairRanker:
    """Ranks by expected sales and what is owed to sellers; threads may share it.

    Args:
        goal: what is fair and what it may cost.
        targets: seller -> sales a trip that are fair, above 0. `REST` stands for all other sellers.
        start: seller -> subsidy to begin with, from a forecast, one of each; None begins with equal ones.
        ledger: file of what sellers got; None keeps it in memory.

    Raises:
        SetupError: a target that is not above 0, or a start or a ledger of other sellers.
    """

    def __init__(
        self,
        goal: Goal,
        targets: Mapping[str, float],
        *,
        start: Mapping[str, float] | None = None,
        ledger: str | Path | None = None,
    ) -> None:
        self.goal = goal
        self.sellers = tuple(targets)
        if start is not None and start.keys() != targets.keys():
            others = sorted(start.keys() ^ targets.keys())
            raise SetupError(
                f"The start and the targets are of other sellers ({examples(others, 'seller')}); give "
                "each seller both, a subsidy of 0 for none."
            )
        begun = None if start is None else np.array([start[name] for name in self.sellers])
        self.plan = plan_of(goal, np.array(list(targets.values()), dtype=np.float64), begun)
        self.ledger = Ledger(ledger, self.sellers)
        self._place = {seller: place for place, seller in enumerate(self.sellers)}

    @classmethod
    def load(cls, folder: Path, *, ledger: str | Path | None = None) -> Self:
        """The ranker that `merchgraph train fairness` made.

        Args:
            folder: of the model.
            ledger: as above.

        Raises:
            SetupError: there is no model; the message says what makes it.
            DataError: the model is damaged.
        """
        config, tensors = checkpoint.load(folder, Config, COMMAND)
        with checkpoint.fitting(folder, COMMAND):
            form = {"sellers": ":u", "targets": "S:f", "subsidies": "S:f"}
            checkpoint.sizes_of(tensors, form)
            sellers = checkpoint.as_texts(tensors["sellers"])
            targets = dict(zip(sellers, tensors["targets"].tolist(), strict=True))
            start = dict(zip(sellers, tensors["subsidies"].tolist(), strict=True))
            cls(config.goal, targets, start=start)
        return cls(config.goal, targets, start=start, ledger=ledger)

    def subsidies(self) -> dict[str, float]:
        """What a unit of each seller's outcome is worth beyond its reward, now."""
        return dict(zip(self.sellers, self._boost().tolist(), strict=True))

    def rerank(
        self,
        items: Sequence[str],
        chances: Sequence[float],
        prices: Sequence[float],
        sellers: Sequence[str],
        k: int = 10,
    ) -> Reranked:
        """The k candidates that are worth most; equal ones in the order given.

        Args:
            items: ids.
            chances: probability of a purchase, in [0, 1]; optimistic ones, where they are being learned.
            prices: above 0.
            sellers: a name that has no target of its own counts as `REST`.
            k: fewer come back where there are fewer.

        Raises:
            SetupError: lists of different lengths, a number that cannot be, or an unknown seller where
                there is no rest.
        """
        if not len(items) == len(chances) == len(prices) == len(sellers):
            raise SetupError(
                f"There are {len(items)} items, {len(chances)} chances, {len(prices)} prices and "
                f"{len(sellers)} sellers; give one of each for every candidate."
            )
        if k < 1:
            raise SetupError(f"k is {k}, but at least 1 item must be asked for.")
        for item, chance, price in zip(items, chances, prices, strict=True):
            if not (0 <= chance <= 1 and 0 < price < math.inf):
                raise SetupError(
                    f"The item {item!r} has the chance {chance} and the price {price}; a chance lies in "
                    "[0, 1] and a price above 0."
                )
        places = np.array([self._of(seller) for seller in sellers], dtype=np.int64)
        sales = np.array(chances, dtype=np.float64) * np.array(prices, dtype=np.float64)
        scores = sales * (1 + self._boost()[places])
        best = np.argsort(-scores, kind="stable")[:k]
        outcomes: dict[str, float] = {}
        for place, sold in zip(places[best].tolist(), sales[best].tolist(), strict=True):
            name = self.sellers[place]
            outcomes[name] = outcomes.get(name, 0.0) + sold
        lost = float(np.sort(sales)[::-1][:k].sum() - sales[best].sum())
        return Reranked([items[n] for n in best], scores[best].tolist(), outcomes, max(0.0, lost))

    def observe(self, trip: str, outcomes: Mapping[str, float], lost: float = 0.0) -> bool:
        """Note what sellers got of a list that was shown; see `Ledger.add`.

        Expected outcomes steady the subsidies; real purchases of small sellers are so rare that each one
        sways them.
        """
        return self.ledger.add(trip, outcomes, lost)

    def as_tool(self) -> BaseTool:
        """A LangChain tool over `rerank`; it shows, and observes nothing."""
        from langchain_core.tools import StructuredTool

        def fair_rerank(**given: Any) -> dict[str, Any]:
            return self.rerank(**given)._asdict()

        return StructuredTool.from_function(
            fair_rerank,
            name="fair_rerank",
            description="Re-rank scored items so that sellers who fell short are shown more.",
            args_schema=Candidates,
        )

    def _boost(self) -> Floats:
        """(S,) — subsidy per unit of outcome."""
        found = np.zeros(len(self.sellers))
        if self.goal.strength == 0:
            return found
        sums, lost, trips = self.ledger.snapshot()
        got = np.array([sums[seller] for seller in self.sellers])
        leader(self.plan, got / self.plan.targets, float(trips), found)
        found *= affordable(self.plan, float(got.sum()) + lost, lost, float(trips))
        boost: Floats = found / self.plan.targets
        return boost

    def _of(self, seller: str) -> int:
        place = self._place.get(seller, self._place.get(REST))
        if place is None:
            raise SetupError(
                f"The seller {seller!r} has no target ({examples(self.sellers, 'seller')}); give it one, "
                f"or give {REST!r} one."
            )
        return place
