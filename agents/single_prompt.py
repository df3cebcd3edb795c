"""The single-prompt baseline of ARAG: one call that reads the shopper and the candidates and ranks.

It is told what the ranker is told, without what the other agents found out, and its answer passes the
same guard; so the difference between the two is what the agents add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel

from merchgraph.agents.item_ranker import Ranking, permutation
from merchgraph.agents.shopper import Candidate, Shopper, conversation, on_offer
from merchgraph.prompts.load import prompt


@dataclass(frozen=True)
class SinglePrompt:
    """Ranks the candidates that it is offered, in the order in which they were retrieved."""

    model: BaseChatModel

    async def rank(self, shopper: Shopper, candidates: Sequence[Candidate], *, k: int) -> Ranking:
        """Rank the candidates, of which there is at least one.

        Args:
            shopper: whose basket it is.
            candidates: what the reply leaves out follows in this order.
            k: the reply names at least so many.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        least = min(k, len(candidates))
        task = prompt("arag/single", products=on_offer(candidates), k=least)
        messages = conversation(shopper, task)
        return await permutation(self.model, messages, candidates, k=least, agent="single")
