"""Item Ranker Agent: a permutation of the offered items by likelihood of purchase (ARAG).

It ranks and gives no reasons: those are the judge's, who read each item alone (`nli.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from pydantic import BaseModel, ConfigDict, Field, create_model

from merchgraph.agents.context_summary import ContextSummary
from merchgraph.agents.nli import Judged, products
from merchgraph.agents.shopper import Candidate, Shopper, conversation, in_order_offered
from merchgraph.agents.user_understanding import Understanding
from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import ask


class Ranking(BaseModel):
    """A permutation of the offered items, best first.

    Attributes:
        ranking: item ids; what the model left out follows in the order offered.
        named: how many of them the model itself placed.
    """

    model_config = ConfigDict(frozen=True)

    ranking: list[str]
    named: int = 0


@dataclass(frozen=True)
class ItemRanker:
    """Ranks the items that it is offered, and no others: a number that was not offered is refused."""

    model: BaseChatModel

    async def rank(
        self,
        shopper: Shopper,
        understanding: Understanding | None,
        context: ContextSummary | None,
        offered: Sequence[Judged],
        *,
        k: int,
    ) -> Ranking:
        """Rank the offered items, of which there is at least one.

        Args:
            shopper: whose basket it is.
            understanding: S_user, None where that agent failed.
            context: S_ctx, None where that agent failed.
            offered: items in the order of their NLI score; ids that the reply leaves out keep it.
            k: the reply names at least so many.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        task = prompt(
            "arag/rank",
            shopper_summary=fenced(understanding.summary, 500) if understanding else "(unknown)",
            goal=fenced(understanding.session_goal) if understanding else "(unknown)",
            context_summary=fenced(context.summary, 500) if context else "(unknown)",
            products=products(offered),
            k=min(k, len(offered)),
        )
        candidates = [candidate for candidate, _ in offered]
        messages = conversation(shopper, task)
        return await permutation(self.model, messages, candidates, k=k, agent="rank")


async def permutation(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    offered: Sequence[Candidate],
    *,
    k: int,
    agent: str,
) -> Ranking:
    """Ask for an order of numbered candidates, at least the best k; the others follow as offered.

    A server that constrains lets a reply name 2 k: most of a ranking's time is the writing of numbers,
    and places far below k are nobody's. A reply that names more is taken as it is.

    Raises:
        ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
    """
    schema = _schema(len(offered), min(k, len(offered)))
    limit = _TOKENS_EACH * len(offered) + 32
    reply: Any = await ask(model, messages, schema, agent=agent, max_tokens=limit)
    ids = [candidate.item for candidate in offered]
    named = in_order_offered(reply.ranking, ids)
    return Ranking(ranking=list(dict.fromkeys(named + ids)), named=len(named))


_TOKENS_EACH = 8
"""Of one number in the reply: digits, quotes, comma, and whitespace where a server allows it."""


@cache
def _schema(items: int, least: int) -> type[BaseModel]:
    """The reply for `items` items: only their numbers can be named, `least` of them at least."""
    number: Any = Literal[tuple(str(n) for n in range(1, items + 1))]
    wanted = Field(
        min_length=least, max_length=items, json_schema_extra={"maxItems": min(2 * least, items)}
    )
    return create_model(
        "ProductRanking",
        __doc__="The products in the order in which the shopper is likely to buy them.",
        ranking=(list[number], wanted),
    )
