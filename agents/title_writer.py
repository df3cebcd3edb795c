"""Title Writer Agent: K different titles of one module in one reply (CARTS, arXiv 2506.17765).

It reads the chosen features and not the items: that is what Generation Augmented Generation means. The
ablation without features hands it the items' texts instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import BaseModel, Field, create_model

from merchgraph.agents.feature_extractor import Product
from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import ask


@dataclass(frozen=True)
class Limits:
    """How long a title may be, in characters as a person counts them; both inclusive."""

    least: int
    most: int


@dataclass(frozen=True)
class TitleWriter:
    """Drafts titles from what `features` or `products` says of the module."""

    model: BaseChatModel

    async def write(
        self, about: str, words: Sequence[str], titles: int, limits: Limits
    ) -> list[str]:
        """The titles as the model wrote them: there may be fewer, doubled ones, or none that fits.

        Args:
            about: the module, by `features` or `products`.
            words: the features again, for a model that would forget them; empty with `products`.
            titles: K, how many are wanted; no more come back.
            limits: what the titles are told to keep to.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        listed = ", ".join(fenced(word, 60) for word in words)
        said = f"<features>{listed}</features>" if words else "what these products are"
        task = prompt(
            "carts/write", titles=titles, words=said, least=limits.least, most=limits.most
        )
        messages = [SystemMessage(system()), HumanMessage(f"{about}\n\n{task}")]
        # far above the limit, so that no title is cut to fit; a character may take a token
        longest = 2 * limits.most
        reply: Any = await ask(
            self.model, messages, _schema(titles, longest), agent="draft",
            max_tokens=titles * longest + 32,
        )  # fmt: skip
        found: list[str] = reply.titles[:titles]
        return found


def system() -> str:
    """The system prompt that all agents of CARTS share; the shared refiner is given it."""
    return prompt("carts/system")


def features(clusters: Sequence[tuple[str, int]], types: Sequence[str], products: int) -> str:
    """Features and how many products have each, as the first part of a prompt.

    Args:
        clusters: (feature, number of products), strongest first.
        types: what many of the products are, the most common type first.
        products: how many there are on the shelf.
    """
    lines = [f"- {fenced(text, 60)} ({count} of {products})" for text, count in clusters]
    kinds = ", ".join(fenced(text, 60) for text in types)
    lines += [f"- {kinds} (types of product)"] if kinds else []
    return prompt("carts/features", count=products, features="\n".join(lines) or "(none)")


def products(shelf: Sequence[Product]) -> str:
    """The items' own texts, as the first part of a prompt."""
    lines = "\n".join(f"- {product.line}" for product in shelf)
    return prompt("carts/products", count=len(shelf), products=lines)


@cache
def _schema(titles: int, longest: int) -> type[BaseModel]:
    items: Any = {"type": "string", "maxLength": longest}
    extra: Any = {"minItems": titles, "maxItems": titles, "items": items}
    return create_model(
        "Titles",
        __doc__="Different titles for one shelf.",
        titles=(list[str], Field(json_schema_extra=extra)),
    )
