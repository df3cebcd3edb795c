"""Item Ranker Agent: a permutation of the offered items by likelihood of purchase (ARAG)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, ConfigDict, Field, create_model

from merchgraph.agents.context_summary import ContextSummary
from merchgraph.agents.nli import Judged, products
from merchgraph.agents.shopper import Sentence, Shopper, conversation, in_order_offered
from merchgraph.agents.user_understanding import Understanding
from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import ask


class Ranking(BaseModel):
    """A permutation of the offered items, best first.

    Attributes:
        ranking: item ids; what the model left out follows in the order offered.
        why: item id -> the model's reason, for the items that it put on top.
        named: how many of the ids the model itself placed.
    """

    model_config = ConfigDict(frozen=True)

    ranking: list[str]
    why: dict[str, str] = Field(default_factory=dict)
    named: int = 0


_MOST_TOKENS = 120
"""Of a pick with the longest reason, even where every character is a token."""


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
            k: how many get a reason.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        top = min(k, len(offered))
        task = prompt(
            "arag/rank",
            shopper_summary=fenced(understanding.summary, 500) if understanding else "(unknown)",
            goal=fenced(understanding.session_goal) if understanding else "(unknown)",
            context_summary=fenced(context.summary, 500) if context else "(unknown)",
            products=products(offered),
            k=top,
        )
        messages = conversation(shopper, task)
        schema = _schema(len(offered), top)
        reply: Any = await ask(
            self.model,
            messages,
            schema,
            agent="rank",
            max_tokens=_MOST_TOKENS * top + 8 * len(offered),
        )
        ids = [candidate.item for candidate, _ in offered]
        named = in_order_offered([pick.number for pick in reply.top] + reply.rest, ids)
        why: dict[str, str] = {}
        for pick in reply.top:
            why.setdefault(ids[int(pick.number) - 1], pick.why)
        return Ranking(ranking=list(dict.fromkeys(named + ids)), why=why, named=len(named))


@cache
def _schema(items: int, top: int) -> type[BaseModel]:
    """The reply for `items` items: only their numbers can be named, `top` of them with a reason."""
    number: Any = Literal[tuple(str(n) for n in range(1, items + 1))]
    pick = create_model("Pick", number=(number, ...), why=(Sentence, ...))
    return create_model(
        "ProductRanking",
        __doc__="The products in the order in which the shopper is likely to buy them.",
        top=(list[pick], Field(min_length=top, max_length=top)),  # type: ignore[valid-type]
        rest=(list[number], Field(max_length=items - top)),
    )
