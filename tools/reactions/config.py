"""What a detector is trained with, and what it has learnt."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

COMMAND = "merchgraph train reactions"
"""Makes a detector."""


class Config(BaseModel):
    """Settings of one training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    penalty: Annotated[
        float, Field(gt=0, le=100, description="Of the squared weights; more for few clips.")
    ] = 0.02
    guard: Annotated[
        float,
        Field(gt=0, le=1, description="|corr| with clip length or place that drops a summary."),
    ] = 0.30
    features: Annotated[
        tuple[str, ...],
        Field(description="Features of the face to use; empty is all of the clips."),
    ] = ()
