"""What vLLM's prefix cache saves ARAG: the share of cached prompt tokens, and time against no order.

    python -m tests.live.prefix --users 100 > table.md

needs MERCHGRAPH_LIVE_VLLM, MERCHGRAPH_LIVE_MODEL (`make test-live` has both) and the shop. ARAG runs
over shoppers of The Complete Journey, 20 candidates each. Then its prompts are sent twice more, one token
to be written each, to servers that have just been started: in their order, and in none. On 2 cores that
takes an hour, 100 shoppers and all prompts; `--some 1200` sends fewer again.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from langchain_core.messages import BaseMessage

from merchgraph.graphs import arag
from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.models import chat_model
from merchgraph.runtime.settings import use_settings
from merchgraph.runtime.vllm import started
from merchgraph.tools.data.shops import shop
from tests.live.conftest import NAME, adapter_into, free_port, served

AT_ONCE = 8
"""Shoppers at once."""
CANDIDATES = 20
Prompt = Sequence[BaseMessage]


class Measured(NamedTuple):
    """One pass over the prompts, by the server's own counters.

    Attributes:
        read: prompt tokens that were asked for.
        cached: of these, found in the cache.
    """

    seconds: float
    calls: int
    read: float
    cached: float

    def row(self, name: str) -> str:
        """A row of the table."""
        return (
            f"| {name} | {self.calls:,} | {self.read:,.0f} | {self.cached / self.read:.1%} | "
            f"{self.seconds:.0f} | {self.read / self.seconds:,.0f} |"
        )


def metric(url: str, name: str) -> float:
    """Sum of a counter or gauge of a server over its labels.

    Args:
        url: of the API, which ends in /v1.
        name: without its "vllm:".
    """
    with urllib.request.urlopen(url.removesuffix("/v1") + "/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.findall(rf"^vllm:{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    return sum(float(value) for value in found)


def measured(folder: Path, work: Callable[[], Awaitable[int]]) -> Measured:
    """Work on a fresh server; `work` gives the number of its calls."""
    serve = served(adapter_into(folder), free_port())
    with started(serve, lambda line: None), use_settings(vllm_base_url=serve.base_url):
        began = time.perf_counter()
        calls = asyncio.run(_whole(work))
        seconds = time.perf_counter() - began
        read, cached = (
            metric(serve.base_url, f"prefix_cache_{name}_total") for name in ("queries", "hits")
        )
    return Measured(seconds, calls, read, cached)


async def _whole(work: Callable[[], Awaitable[int]]) -> int:
    return await work()


@contextmanager
def listening() -> Iterator[list[Prompt]]:
    """All prompts that are sent meanwhile, in their order."""
    heard: list[Prompt] = []
    whole = ChatModel._whole

    async def told(self: ChatModel, messages: Any, *rest: Any) -> Any:
        heard.append(messages)
        return await whole(self, messages, *rest)

    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(ChatModel, "_whole", told)
        yield heard


async def over(users: Sequence[str]) -> int:
    """ARAG for each shopper; how many calls it took."""
    slots = asyncio.Semaphore(AT_ONCE)
    context = arag.Context(model=f"vllm/{NAME}", candidates=CANDIDATES)

    async def one(user: str) -> int:
        async with slots:
            return (await arag.arun(arag.Request(user=user), context)).usage.calls

    return sum(await asyncio.gather(*map(one, users)))


async def again(prompts: Sequence[Prompt]) -> int:
    """Send prompts in this order; how many."""
    chat = chat_model(f"vllm/{NAME}", max_tokens=1)
    await asyncio.gather(*(chat.ainvoke(list(prompt)) for prompt in prompts))
    return len(prompts)


def shoppers(count: int) -> list[str]:
    """Some of the log, drawn by a seed."""
    known = shop("complete_journey").events.frame["user"].unique().sort().to_list()
    return [str(user) for user in np.random.default_rng(0).choice(known, count, replace=False)]


def table(count: int, some: int | None) -> Iterator[str]:
    """Lines of a Markdown table, for shoppers and for prompts that are sent again; None is all."""
    users = shoppers(count)
    yield "| prompts | calls | prompt tokens | of them cached | s | tokens/s |"
    yield "|---|---:|---:|---:|---:|---:|"
    with tempfile.TemporaryDirectory() as name, listening() as heard:
        folder = Path(name)
        yield measured(folder, lambda: over(users)).row("ARAG, as it runs")
        kept = list(heard)
        yield measured(folder, lambda: again(kept[:some])).row("again, one token each")
        mixed = [kept[place] for place in np.random.default_rng(0).permutation(len(kept))]
        yield measured(folder, lambda: again(mixed[:some])).row("shuffled")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--some", type=int, help="prompts that are sent again; all without it")
    given = parser.parse_args()
    for line in table(given.users, given.some):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
