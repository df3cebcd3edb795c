"""What the complement model is trained with; the paper's special cases are settings of it.

    PRESETS["cpu"].with_(history=1, user=False)      # a copy with other settings

Source of the defaults: Xu et al., "Knowledge-aware complementary product representation learning", WSDM
2020 (arXiv 1904.12574), read in full, and its released C++ code, which says what the text leaves open:
negatives by count^0.5, a window shuffled inside a purchase row, a rate that falls linearly to 0. Rate,
epochs and window differ from that code's, chosen on validation weeks.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

Source = Literal["category", "brand", "seller", "price", "words"]
"""Where an item's context tokens come from: each level of its path, its brand, its seller, its price in
ten bins, the words of its title."""


class Config(BaseModel):
    """Settings of one training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dim: Annotated[int, Field(ge=2, le=512, description="P, width of the item vectors.")] = 64
    user_dim: Annotated[int, Field(ge=2, le=512, description="Q, width of the user vectors.")] = 16
    history: Annotated[
        int, Field(ge=1, le=50, description="k, items of the basket that a target is told by.")
    ] = 5
    pooling: Annotated[
        Literal["mean", "max"],
        Field(description="How the k items become one vector (eq. 6: mean)."),
    ] = "mean"
    dual: Annotated[
        bool, Field(description="An item-out vector of its own; else item-in serves as both.")
    ] = True
    user: Annotated[bool, Field(description="The term s(i, u) of the user's taste (eq. 1).")] = True
    context: Annotated[bool, Field(description="The losses of item and user tokens.")] = True
    meets: Annotated[
        int,
        Field(
            ge=1,
            le=50,
            description="How often an item's tokens are met per place in a basket; "
            "k is the paper's sum, 1 takes a k-th of the time.",
        ),
    ] = 1
    tokens: Annotated[tuple[Source, ...], Field(description="Where item tokens come from.")] = (
        "category",
        "brand",
        "seller",
        "price",
        "words",
    )
    user_columns: Annotated[
        tuple[str, ...],
        Field(description="Columns of the log whose first value is a token of the user."),
    ] = ()
    negatives: Annotated[int, Field(ge=1, le=100, description="Negatives per positive.")] = 5
    power: Annotated[
        float, Field(ge=0, le=1, description="Negatives are drawn by count to this power.")
    ] = 0.5
    epochs: Annotated[int, Field(ge=1, le=1_000, description="Passes over the log.")] = 20
    rate: Annotated[float, Field(gt=0, le=5, description="First step; falls to 0.")] = 0.15
    least: Annotated[
        int, Field(ge=0, description="Baskets below which an item is left out; 0 keeps all.")
    ] = 20
    days: Annotated[
        int, Field(ge=1, description="Last days of the log, on which the blend is weighed.")
    ] = 28
    threads: Annotated[
        int, Field(ge=1, le=256, description="Writers without locks; 1 gives the same bits again.")
    ] = 2
    seed: Annotated[int, Field(ge=0)] = 0
    device: Annotated[
        Literal["cpu", "cuda"], Field(description="cpu: compiled loops; cuda: batches by torch.")
    ] = "cpu"

    def with_(self, **changes: Any) -> Self:
        """A checked copy with some settings changed."""
        return type(self).model_validate(self.model_dump() | changes)


PRESETS: Mapping[str, Config] = MappingProxyType(
    {
        "cpu": Config(user=False),
        "gpu": Config(user=False, dim=100, device="cuda", epochs=40),
    }
)

CASES: Mapping[str, Mapping[str, Any]] = MappingProxyType({
    "item-item CF": {"history": 1, "user": False, "context": False},
    "item2vec": {"user": False, "context": False},
    "triple2vec": {"history": 1, "user": True, "context": False},
    "prod2vec": {"user": True, "context": False},
})  # fmt: skip
"""The Bayesian network (eq. 2) with arrows left out: p(i | i'), p(i | history), p(i | i', u),
p(i | history, u)."""
