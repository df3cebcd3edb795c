"""What else this machine can run beside the default, and what it would take."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Literal, NamedTuple

ASKED_S = 10.0
"""Seconds that the driver of a GPU has to answer."""


class Finding(NamedTuple):
    """One line: "off" is not there and not needed by default, "broken" is."""

    state: Literal["ok", "off", "broken"]
    name: str
    detail: str


class Job(NamedTuple):
    """Something to be run.

    Attributes:
        name: as people call it.
        modules: that it imports.
        extra: which brings them.
        gpu: whether it wants one.
    """

    name: str
    modules: tuple[str, ...]
    extra: str
    gpu: bool = False


TENSORS = ("torch", "torch_geometric", "numba", "safetensors")
JOBS = (
    Job("evaluations, reports", ("ir_measures", "altair", "gensim", "sklearn"), "bench"),
    Job("train, preset cpu", TENSORS, "torch"),
    Job("train, preset gpu", TENSORS, "torch", gpu=True),
    Job("serve", ("vllm",), "vllm", gpu=True),
    Job("batch --engine ray", ("ray",), "ray"),
    Job("threads on SQLite", ("langgraph.checkpoint.sqlite",), "durable"),
    Job("threads on Postgres", ("langgraph.checkpoint.postgres", "psycopg"), "postgres"),
    Job("faces from videos", ("mediapipe",), "video"),
    Job("Inspect logs", ("inspect_ai",), "view"),
)


def machine() -> Finding:
    """Its cores and memory."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Finding("ok", "machine", f"{os.cpu_count()} cores, {pages * size / 2**30:.0f} GiB")


def gpus() -> list[str]:
    """Name and memory of each, as its driver tells them."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, timeout=ASKED_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in told.stdout.splitlines() if line.strip()]


def jobs(found: list[str]) -> Iterator[Finding]:
    """A line for the GPUs that were found, and one for each job."""
    state: Literal["ok", "off"] = "ok" if found else "off"
    yield Finding(state, "GPU", "; ".join(found) or "none that nvidia-smi knows")
    for job in JOBS:
        lacks = [f"`pip install 'merchgraph[{job.extra}]'`"] if _missing(job.modules) else []
        lacks += ["a GPU"] if job.gpu and not found else []
        takes = " and ".join(lacks)
        yield Finding("off" if takes else "ok", job.name, f"takes {takes}" if takes else "ready")


def _missing(modules: tuple[str, ...]) -> bool:
    return any(not _there(module) for module in modules)


def _there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a module whose parent is not there either
        return False
