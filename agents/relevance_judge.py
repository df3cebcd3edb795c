"""Relevance Judge Agent: R(T, i), whether a title is true of an item (CARTS, arXiv 2506.17765).

One token, Yes or No; R is 1 from P(Yes) = 0.5 on. The paper has the indicator, and neither its prompt
nor its scale.

The title comes before the item: the calls of one check, as many as there are items, share it, and an
engine that keeps a single prefix reads only the item anew. A server that keeps many prefixes would
save a few tokens more the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

from merchgraph.agents.feature_extractor import Product, told
from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import choose


@dataclass(frozen=True)
class RelevanceJudge:
    """Judges one title on one item."""

    model: BaseChatModel

    async def judge(self, title: str, product: Product) -> float:
        """P(the title is true of the product), in [0, 1]; not calibrated.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `choose`.
        """
        task = prompt("carts/judge", title=fenced(title), product=told(product))
        messages = [SystemMessage(prompt("carts/system")), HumanMessage(task)]
        return (await choose(self.model, messages, ("Yes", "No"), agent="relevance"))["Yes"]
