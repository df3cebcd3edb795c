"""What GRACE is trained with; TIGER, MBGen and the ablations are settings of it.

    PRESETS["cpu"].with_(attention="dense")      # a copy with other settings

The paper (arXiv 2507.14758) is known here by its abstract and by summaries of others: numbers of blocks,
widths and windows are our choice. Skeleton: MBGen (Liu et al. 2024), whose code was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Slot = Literal["department", "category", "brand", "price", "text 1", "text 2"]
"""A place of an item's path; an index among the items that share all of them comes last."""
SLOTS: tuple[Slot, ...] = ("department", "category", "brand", "price", "text 1", "text 2")
Branch = Literal["compressed", "intra", "inter", "current"]
BRANCHES: tuple[Branch, ...] = ("compressed", "intra", "inter", "current")


class Config(BaseModel):
    """Settings of one training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least: Annotated[int, Field(ge=1, description="Events that make an item one to predict.")] = 20
    slots: Annotated[
        tuple[Slot, ...],
        Field(description="What a path is made of; empty: digits of a random number (control)."),
    ] = SLOTS
    codes: Annotated[int, Field(ge=2, le=4096, description="Codes of each text level.")] = 64
    bins: Annotated[int, Field(ge=1, le=100, description="Price bins of a department.")] = 10
    random_prices: Annotated[bool, Field(description="Bins are drawn by lot (control).")] = False
    rare: Annotated[int, Field(ge=1, description="Items below which a brand is 'other'.")] = 20
    behaviours: Annotated[bool, Field(description="Whether behaviours are tokens.")] = True
    scarce: Annotated[
        float, Field(ge=0, lt=1, description="Share below which a behaviour is no target.")
    ] = 0.05
    gap_minutes: Annotated[float, Field(gt=0, description="A longer pause ends a journey.")] = 30.0

    interactions: Annotated[int, Field(ge=1, le=4096, description="n, latest that are read.")] = 40
    attention: Annotated[
        Literal["journey", "dense"], Field(description="Of the encoder: JSA, or all to all.")
    ] = "journey"
    branches: Annotated[
        tuple[Branch, ...], Field(min_length=1, description="Of the journey attention.")
    ] = BRANCHES
    select: Annotated[int, Field(ge=1, description="N, interactions of the own journey.")] = 8
    coarse: Annotated[int, Field(ge=1, le=8, description="c, coarse tokens of each.")] = 1
    window: Annotated[int, Field(ge=1, description="W, latest interactions of the window.")] = 5
    copies: Annotated[bool, Field(description="A path that copies what the shopper has had.")] = (
        True
    )
    near: Annotated[
        int, Field(ge=0, le=1024, description="Neighbours of those that can be copied, too.")
    ] = 256
    trie: Annotated[bool, Field(description="Only paths of items can be told.")] = True
    prior: Annotated[
        bool, Field(description="Tokens start at their share in the log (needs the trie).")
    ] = True

    width: Annotated[int, Field(ge=4, le=1024, description="D of all layers.")] = 64
    heads: Annotated[int, Field(ge=1, le=32, description="H; D is a multiple of it.")] = 4
    layers: Annotated[int, Field(ge=1, le=12, description="Of encoder and of decoder.")] = 2
    hidden: Annotated[int, Field(ge=4, le=4096, description="Width inside a layer.")] = 128

    steps: Annotated[int, Field(ge=1, description="Batches to learn from.")] = 4000
    batch: Annotated[int, Field(ge=1, le=4096, description="B, journeys to predict at once.")] = 16
    targets: Annotated[int, Field(ge=1, le=64, description="K, items of a journey to predict.")] = 8
    rate: Annotated[float, Field(gt=0, description="Greatest learning rate.")] = 2e-3
    alone: Annotated[
        float, Field(ge=0, le=10, description="Weight of the decoder's own loss beside the whole.")
    ] = 0.0
    decay: Annotated[float, Field(ge=0, description="Weight decay.")] = 0.005
    seed: Annotated[int, Field(ge=0, description="Of weights, samples and codes.")] = 0
    device: Annotated[Literal["cpu", "cuda"], Field(description="Where it is trained.")] = "cpu"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        if len(set(self.slots)) < len(self.slots):
            raise ValueError("slots names one twice")
        return self

    def with_(self, **changes: Any) -> Self:
        """A checked copy with some settings changed."""
        return type(self).model_validate(self.model_dump() | changes)


PRESETS: Mapping[Literal["cpu", "gpu"], Config] = MappingProxyType({
    "cpu": Config(),
    "gpu": Config(
        interactions=250, width=256, heads=8, layers=4, hidden=512, steps=20_000, batch=64,
        rate=1e-3, device="cuda",
    ),
})  # fmt: skip
