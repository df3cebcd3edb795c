"""Settings of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Modality = Literal["text", "graph", "image"]
MODALITIES: tuple[Modality, ...] = ("text", "graph", "image")


class Config(BaseModel):
    """What a model is trained with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    llm: Annotated[
        str, Field(description="smollm2-135m, or a folder that transformers saved a causal LM in.")
    ] = "smollm2-135m"
    least: Annotated[int, Field(ge=1, description="Purchases that make an item a good.")] = 20
    weeks: Annotated[
        int, Field(ge=1, description="The log's last weeks: questions; what is before: the graph.")
    ] = 8
    history: Annotated[int, Field(ge=1, le=200, description="Items of the past in a prompt.")] = 6
    slate: Annotated[int, Field(ge=2, le=100, description="Candidates in a prompt.")] = 20
    positives: Annotated[
        int, Field(ge=1, description="Most right candidates of a question that is learned from.")
    ] = 4
    words: Annotated[int, Field(ge=1, description="Words of a title that are shown.")] = 3

    modalities: Annotated[
        tuple[Modality, ...], Field(description="What a vector is made of; none: text alone.")
    ] = MODALITIES
    fusion: Annotated[
        Literal["attention", "mean", "single"],
        Field(description="AMSA and CMA, the mean, or one graph vector of the item as in LLaRA."),
    ] = "attention"
    amsa: Annotated[
        Literal["history", "item", "none"],
        Field(description="Self-attention over all that happened, within an item, or not at all."),
    ] = "history"
    cma: Annotated[bool, Field(description="Whether modalities ask each other.")] = True
    wide: Annotated[
        bool, Field(description="Whether counts reach the fusion's score past its layers.")
    ] = True
    width: Annotated[int, Field(ge=1, le=1024, description="d of the fusion.")] = 64
    heads: Annotated[int, Field(ge=1, description="Of each attention; divides the width.")] = 4
    graph_width: Annotated[int, Field(ge=1, description="LightGCN's, per behaviour.")] = 32
    graph_layers: Annotated[int, Field(ge=1, le=4, description="LightGCN's.")] = 2
    graph_steps: Annotated[int, Field(ge=0, description="LightGCN's, per behaviour.")] = 80
    likeness: Annotated[
        float,
        Field(ge=-1, le=1, description="Least cosine of a product type and a picture's name."),
    ] = 0.7

    rank: Annotated[int, Field(ge=1, description="r of LoRA.")] = 8
    alpha: Annotated[int, Field(ge=1, description="alpha of LoRA.")] = 32
    dropout: Annotated[float, Field(ge=0, lt=1, description="Of LoRA.")] = 0.05
    fuse_steps: Annotated[
        int,
        Field(ge=0, description="Of the fusion by itself, no language model, 64 questions each."),
    ] = 1200
    warm_steps: Annotated[int, Field(ge=0, description="Text alone, LoRA.")] = 60
    align_steps: Annotated[int, Field(ge=0, description="Fusion and projector, LLM frozen.")] = 10
    joint_steps: Annotated[int, Field(ge=0, description="All, with vectors ever more often.")] = 90
    batch: Annotated[int, Field(ge=1, description="Questions of a step with the LLM.")] = 4
    rate: Annotated[float, Field(gt=0, description="Greatest learning rate of LoRA.")] = 5e-4
    fusion_rate: Annotated[float, Field(gt=0, description="Of fusion and projector.")] = 2e-3
    precision: Annotated[
        Literal["float32", "bfloat16"],
        Field(
            description="Of the LLM's products; bfloat16 takes half the time where a CPU has it."
        ),
    ] = "float32"
    seed: Annotated[int, Field(ge=0, description="Of first weights, questions and order.")] = 0
    device: Annotated[Literal["cpu", "cuda"], Field(description="Where it is trained.")] = "cpu"

    @property
    def seeing(self) -> bool:
        """Whether vectors stand in the prompts."""
        return bool(self.modalities)

    @property
    def steps(self) -> tuple[int, int, int]:
        """Of each stage with the language model; without vectors, all are of text."""
        if self.seeing:
            return self.warm_steps, self.align_steps, self.joint_steps
        return self.warm_steps, 0, self.joint_steps


PRESETS: Mapping[Literal["cpu", "gpu"], Config] = {
    "cpu": Config(),
    "gpu": Config(
        history=20, words=6, weeks=16, batch=32, warm_steps=400, align_steps=100, joint_steps=1500,
        fuse_steps=6000, graph_width=64, graph_layers=3, graph_steps=400, width=128, device="cuda",
        precision="bfloat16",
    ),
}  # fmt: skip
