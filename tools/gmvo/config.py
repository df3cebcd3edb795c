"""Settings of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from merchgraph.tools.gmvo.edges import RELATIONS, Cleaning, Relation

Device = Literal["cpu", "cuda"]


class Config(BaseModel):
    """What a model of similar items is trained with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least: Annotated[int, Field(ge=1, description="Purchases that make an item a candidate.")] = 20
    horizon_days: Annotated[
        float, Field(gt=0, description="Length of a window of targets, in days.")
    ] = 28.0
    windows: Annotated[int, Field(ge=1, le=52, description="Windows to learn from.")] = 3
    text: Annotated[bool, Field(description="Whether texts are read, by the embedder.")] = True

    similar: Annotated[int, Field(ge=1, description="Least count of a similar edge.")] = 5
    move: Annotated[int, Field(ge=1, description="Least count of a directed edge.")] = 3
    complement: Annotated[
        float, Field(ge=0, description="Greatest bought together / (count + 1) of a similar edge.")
    ] = 0.3
    smoothing: Annotated[
        float, Field(ge=0, description="k of the pointwise mutual information.")
    ] = 10.0
    cap: Annotated[int, Field(ge=1, description="Neighbours per item and relation.")] = 30
    relations: Annotated[
        tuple[Relation, ...], Field(min_length=1, description="Relations that the encoder reads.")
    ] = RELATIONS

    parts: Annotated[
        Literal["both", "signals", "graph"], Field(description="What a score is made of.")
    ] = "both"
    width: Annotated[int, Field(ge=1, le=1024, description="D of the encoder.")] = 32
    layers: Annotated[int, Field(ge=1, le=4, description="Layers of the encoder.")] = 2
    dropout: Annotated[float, Field(ge=0, lt=1, description="Of a layer's update.")] = 0.2

    objective: Annotated[
        Literal["listwise", "pointwise", "expected"],
        Field(description="Cross-entropy over lists, over pairs, or the expected value of a list."),
    ] = "listwise"
    value: Annotated[
        float, Field(ge=0, le=1, description="Lambda: 0 trains for relevance, 1 for value.")
    ] = 0.5
    gamma: Annotated[float, Field(ge=0, le=4, description="Power of the relative price.")] = 1.0
    temperature: Annotated[float, Field(gt=0, description="T of the expected value.")] = 1.0
    negatives: Annotated[
        float, Field(gt=0, description="Per positive, of the pointwise objective.")
    ] = 8.0

    epochs: Annotated[int, Field(ge=1, le=10_000, description="Rounds over the windows.")] = 12
    rate: Annotated[float, Field(gt=0, description="Greatest learning rate of the encoder.")] = 3e-3
    signal_rate: Annotated[
        float, Field(gt=0, description="Greatest learning rate of the signals' weights.")
    ] = 2e-2
    decay: Annotated[float, Field(ge=0, description="Weight decay of the encoder.")] = 0.1
    seed: Annotated[int, Field(ge=0, description="Of first weights, dropout and order.")] = 0
    device: Annotated[Device, Field(description="Where it is trained.")] = "cpu"

    @property
    def cleaning(self) -> Cleaning:
        """What makes an edge."""
        return Cleaning(self.similar, self.move, self.complement, self.smoothing, self.cap)


PRESETS: Mapping[Literal["cpu", "gpu"], Config] = {
    "cpu": Config(),
    "gpu": Config(width=128, epochs=100, device="cuda"),
}
