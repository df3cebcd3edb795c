"""Feature Extractor Agent: what one item's text says of it, each feature with the words that prove it.

The first half of Generation Augmented Generation, CARTS' name for writing from generated material
(arXiv 2506.17765). The paper publishes neither prompt nor schema; these are our design. What the model
says is not yet proven: `tools/features.py` drops a feature whose quotation the text does not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from merchgraph.prompts.load import fenced, prompt
from merchgraph.runtime.structured import ask

MOST = 8
"""Features of one item; what a reply has beyond them is left out."""
TEXT = 480
"""Longest supplementary text in a prompt, in characters."""
Kind = Literal["material", "use", "style", "audience", "occasion", "attribute"]


class Product(BaseModel):
    """One item of the module, as the shop knows it.

    Attributes:
        item: its id; never shown to a model.
        title: t_i of the paper.
        catalog: c_i, its category and brand.
        details: s_i, what else the shop says of it; "" for nothing.
    """

    model_config = ConfigDict(frozen=True)

    item: str
    title: str
    catalog: str = ""
    details: str = ""

    @property
    def text(self) -> str:
        """All that is known of it; what a span has to stand in."""
        return "\n".join(filter(None, (self.title, self.catalog, self.details)))

    @property
    def line(self) -> str:
        """The item in one line of a prompt."""
        parts = [fenced(self.title, 120), fenced(self.catalog, 120) if self.catalog else ""]
        return " | ".join(filter(None, parts))


def _cut(limit: int) -> AfterValidator:
    return AfterValidator(lambda text: " ".join(text.split())[:limit])


# A reply that runs over is cut, not refused; servers that constrain are told the limit.
Words = Annotated[str, _cut(40), Field(json_schema_extra={"maxLength": 40})]
Span = Annotated[str, _cut(60), Field(json_schema_extra={"maxLength": 60})]


class Said(BaseModel):
    """A feature of a product, and the words of its text that prove it."""

    quote: Span
    feature: Words
    kind: Kind
    salience: Literal["high", "middle", "low"]


class Extraction(BaseModel):
    """What a product's text says about it."""

    product_type: Words
    features: list[Said]


@dataclass(frozen=True)
class FeatureExtractor:
    """Reads one item at a time."""

    model: BaseChatModel

    async def extract(self, product: Product) -> Extraction:
        """What the model says of a product, at most 8 features; nothing of it is proven yet.

        Raises:
            ModelReplyError, EndpointError, BudgetError, SetupError: as `ask`.
        """
        # a short text proves few features, and a weak model would go on to the end
        most = min(MOST, 1 + len(product.text.split()) // 4)
        task = prompt("carts/extract", most=most, product=told(product))
        messages = [SystemMessage(prompt("carts/system")), HumanMessage(task)]
        reply = await ask(self.model, messages, _schema(most), agent="extract", max_tokens=640)
        return Extraction(product_type=reply.product_type, features=reply.features[:MOST])


@cache
def _schema(most: int) -> type[Extraction]:
    """The reply, in which a server that constrains allows so many features."""
    features: Any = (list[Said], Field(json_schema_extra={"maxItems": most}))
    return create_model("ProductFeatures", __base__=Extraction, features=features)


def told(product: Product) -> str:
    """A product's text as a prompt's part."""
    return prompt(
        "carts/product",
        title=fenced(product.title),
        catalog=fenced(product.catalog),
        details=fenced(product.details, TEXT),
    )
