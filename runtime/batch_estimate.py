"""What a batch over many rows would take, from what a small one took: GPU-hours, money, cores, disk.

    estimate(measured(Path("out")), 100_000_000)

    GPU-hours  = rows x ((prompt - cached) / prefill + completion / decode) / used / 3600
    dollars    = GPU-hours x dollars per hour
    core-hours = rows x seconds of CPU per row / 3600      of the processes that run graphs
    terabytes  = rows x bytes per row / 10^12              of shards

Assumed: prompt and completion are computed at two constant rates on a GPU that is kept full; a cached
token costs nothing; the share of cached tokens is that of the small batch, which holds while the cache
has room for every shopper under way and the calls of one shopper reach the same replica.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from merchgraph.runtime.errors import DataError

CPU_S_A_CALL = 0.0035
"""Of one call with its share of the graph: 0.4 to 0.6 ms, and the OpenAI client's HTTP 2.8 to 3.2 ms.

Measured with 32 calls at once on one of two shared cores of a cloud machine (2026-11).
"""


@dataclass(frozen=True)
class Row:
    """The mean of one row.

    Attributes:
        prompt: tokens read, with the cached ones.
        cpu_s: seconds of CPU in the process that runs the graph.
        bytes: of its part of a shard.
    """

    calls: float
    prompt: float
    cached: float
    completion: float
    cpu_s: float
    bytes: float


@dataclass(frozen=True)
class Gpu:
    """A model on a GPU; by default an 8B model in FP8 on an H100.

    The rates solve 128/p + 2048/d = 2048/22,714 and 2048/p + 128/d = 128/3,450: NVIDIA's throughputs of
    Llama 3.1 8B in FP8 on one H100 for 128 tokens in and 2,048 out, and the other way round
    (TensorRT-LLM, docs/source/performance/perf-overview.md, v1.0).

    Attributes:
        prefill: prompt tokens per second.
        decode: completion tokens per second, over all requests.
        used: share of these rates that is reached; an assumption.
        dollars_h: rent per hour; an assumption.
    """

    prefill: float = 64_800
    decode: float = 23_200
    used: float = 0.6
    dollars_h: float = 2.5


@dataclass(frozen=True)
class Estimate:
    """What the rows take in all."""

    gpu_hours: float
    dollars: float
    core_hours: float
    terabytes: float

    @property
    def cores_a_gpu(self) -> float:
        """Cores that run graphs, for one GPU to be kept full; what runs short first above 1."""
        return self.core_hours / self.gpu_hours


def measured(folder: Path) -> Row:
    """The mean of the rows of a small batch that did not fail.

    Raises:
        DataError: there are none with a `usage`.
    """
    files = sorted(folder.glob("*.parquet"))
    table = pl.concat([pl.read_parquet(file, columns=["usage", "error"]) for file in files] or [
        pl.DataFrame(schema={"usage": pl.Struct({}), "error": pl.String})
    ])  # fmt: skip
    good = table.filter(pl.col("error").is_null())
    if good.is_empty():
        raise DataError(
            f"The folder {str(folder)!r} holds no row without an error; run a few first."
        )
    mean = good["usage"].struct.unnest().select(pl.selectors.numeric().mean()).row(0, named=True)
    size = sum(file.stat().st_size for file in files) / len(table)
    return Row(
        calls=mean["calls"], prompt=mean["prompt_tokens"], cached=mean["cached_tokens"],
        completion=mean["completion_tokens"], cpu_s=mean["calls"] * CPU_S_A_CALL, bytes=size,
    )  # fmt: skip


def estimate(row: Row, rows: int, gpu: Gpu | None = None) -> Estimate:
    """What many rows take.

    Args:
        row: the mean of one.
        rows: how many.
        gpu: the model's speed and price.
    """
    gpu = gpu or Gpu()
    seconds = (row.prompt - row.cached) / gpu.prefill + row.completion / gpu.decode
    hours = rows * seconds / gpu.used / 3600
    return Estimate(
        gpu_hours=hours, dollars=hours * gpu.dollars_h, core_hours=rows * row.cpu_s / 3600,
        terabytes=rows * row.bytes / 1e12,
    )  # fmt: skip
