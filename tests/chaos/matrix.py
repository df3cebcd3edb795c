"""Every graph under every fault, as a table.

    python -m tests.chaos.matrix > table.md

The settings are those of the tests: a silent server is given up after 0.3 s instead of 60, a request
after 6 s instead of 120, and the first wait before a retry is 0.05 s instead of 0.25.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple

import pytest

from merchgraph.runtime import limits
from merchgraph.runtime.errors import MerchgraphError
from merchgraph.runtime.settings import use_settings
from tests.chaos.cases import CASES, Case
from tests.chaos.faults import FAULTS, Chaos, ChaosServer

BOUND_S = 30.0
"""Longest run; the slowest cell takes a third of it on a busy machine."""
QUICK = {"stall_timeout_s": 0.3, "connect_timeout_s": 1.0, "request_timeout_s": 6.0, "attempts": 4}
_names = count()


class Cell(NamedTuple):
    """How a run ended.

    Attributes:
        end: result, degraded (a result with errors), or the kind of the typed error.
        told: how much of the result is the model's, or the error's sentence.
        calls: requests that reached the server.
    """

    end: str
    told: str
    seconds: float
    calls: int


def run(case: Case, chaos: Chaos) -> Cell:
    """One run of a graph against one fault, its result checked.

    Raises:
        AssertionError: the result is not valid.
        TimeoutError: no end in `BOUND_S`.
        Exception: what is no typed error.
    """
    random.seed(7)
    with (
        ChaosServer(chaos) as server,
        quick(server.url, **chaos.limits),
        pytest.MonkeyPatch.context() as patching,
    ):
        case.patch(patching)
        # an endpoint lives as long as its process: each cell needs one of its own
        context = case.graph.Context(model=f"vllm/chaos-{next(_names)}", **case.settings)

        async def bounded() -> Cell:
            async with asyncio.timeout(BOUND_S):
                result = await case.graph.arun(case.request, context)
            return Cell("degraded" if result.errors else "result", case.check(result), 0, 0)

        began = time.monotonic()
        try:
            cell = asyncio.run(bounded())
        except MerchgraphError as error:
            cell = Cell(type(error).__name__, str(error), 0, 0)
        seconds = time.monotonic() - began
        return cell._replace(seconds=seconds, calls=len(server.requests))


@contextmanager
def quick(url: str, **other: object) -> Iterator[None]:
    """Short limits, and a server."""
    with use_settings(**QUICK | other, vllm_base_url=url), pytest.MonkeyPatch.context() as patching:
        patching.setattr(limits, "FIRST_WAIT_S", 0.05)
        yield


def table(cells: Mapping[tuple[str, str], Cell]) -> Iterator[str]:
    """The rows of a Markdown table, fault x graph."""
    yield "| fault | " + " | ".join(CASES) + " |"
    yield "|---" * (len(CASES) + 1) + "|"
    for chaos in FAULTS:
        row = [cells[name, chaos.name] for name in CASES]
        yield f"| {chaos.name} | " + " | ".join(map(_shown, row)) + " |"


def _shown(cell: Cell) -> str:
    return f"{cell.end}, {cell.seconds:.1f} s, {cell.calls}"


def main() -> None:
    """Print the table."""
    logging.disable()
    cells = {}
    for chaos in FAULTS:
        for name, case in CASES.items():
            try:
                cell = run(case, chaos)
            except (AssertionError, TimeoutError) as error:
                cell = Cell("WRONG", repr(error), 0, 0)
            cells[name, chaos.name] = cell
            sys.stderr.write(f"{chaos.name} | {name} | {_shown(cell)} | {cell.told}\n")
    sys.stdout.write("\n".join(table(cells)) + "\n")


if __name__ == "__main__":
    main()
