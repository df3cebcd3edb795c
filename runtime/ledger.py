"""What a run used: one `Call` per model request, summed into `Usage` by agent or node.

Nodes collect the calls made inside them and put them into the state (`runtime/node.py`), so the
ledger is whole under every front: Python, Studio, batches. `Site` is who is asking right now; it is
also what the tape will take its lanes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import fsum
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Site(NamedTuple):
    """Where a call comes from: the graph's node, its lane in a fan-out, the agent, the attempt."""

    node: str = ""
    lane: str = ""
    agent: str = ""
    repair: bool = False


class Call(BaseModel):
    """One request to a model, retries included."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    agent: str
    node: str = ""
    lane: str = Field(default="", description="branch of a fan-out, for example the item's id")
    model: str
    prompt_tokens: int = 0
    cached_tokens: int = Field(default=0, description="prompt tokens that the server had cached")
    completion_tokens: int = 0
    seconds: float = Field(
        default=0.0, description="from the request to its reply, retries included"
    )
    waited_s: float = Field(default=0.0, description="in the queue of the endpoint before that")
    tries: int = 1
    repair: bool = Field(default=False, description="asked again because a reply was unusable")
    failed: bool = False
    cost_usd: float | None = Field(default=None, description="None where no price is known")


class Usage(BaseModel):
    """Sums over calls; seconds are model time, which overlaps in a fan-out."""

    model_config = ConfigDict(frozen=True)

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    waited_s: float = 0.0
    retries: int = 0
    repairs: int = 0
    failures: int = 0
    cost_usd: float | None = None

    @classmethod
    def of(cls, calls: Iterable[Call]) -> Usage:
        """Sum calls; the cost is None as soon as one call has no price."""
        rows = list(calls)
        costs = [row.cost_usd for row in rows if row.cost_usd is not None]
        return cls(
            calls=len(rows),
            prompt_tokens=sum(row.prompt_tokens for row in rows),
            cached_tokens=sum(row.cached_tokens for row in rows),
            completion_tokens=sum(row.completion_tokens for row in rows),
            # the same bits in whatever order the calls ended
            seconds=fsum(row.seconds for row in rows),
            waited_s=fsum(row.waited_s for row in rows),
            retries=sum(row.tries - 1 for row in rows),
            repairs=sum(row.repair for row in rows),
            failures=sum(row.failed for row in rows),
            cost_usd=fsum(costs) if rows and len(costs) == len(rows) else None,
        )


def usage_by(calls: Iterable[Call], field: Literal["agent", "node", "model"]) -> dict[str, Usage]:
    """Sum calls per agent, node or model, in the order of first appearance."""
    groups: dict[str, list[Call]] = {}
    for call in calls:
        groups.setdefault(getattr(call, field), []).append(call)
    return {name: Usage.of(rows) for name, rows in groups.items()}


_NOWHERE = Site()
_site: ContextVar[Site] = ContextVar("merchgraph_site", default=_NOWHERE)
_calls: ContextVar[list[Call] | None] = ContextVar("merchgraph_calls", default=None)


def here() -> Site:
    """The site of the code that is running now."""
    return _site.get()


@contextmanager
def at(
    *,
    node: str | None = None,
    lane: str | None = None,
    agent: str | None = None,
    repair: bool | None = None,
) -> Iterator[Site]:
    """Name the site of the calls made inside the block; what is not given stays."""
    old = _site.get()
    site = Site(
        old.node if node is None else node,
        old.lane if lane is None else lane,
        old.agent if agent is None else agent,
        old.repair if repair is None else repair,
    )
    token = _site.set(site)
    try:
        yield site
    finally:
        _site.reset(token)


@contextmanager
def collect() -> Iterator[list[Call]]:
    """Gather every call that is made inside the block, by tasks started there too."""
    calls: list[Call] = []
    token = _calls.set(calls)
    try:
        yield calls
    finally:
        _calls.reset(token)


def record(call: Call) -> None:
    """Add a call to the innermost `collect` block, if there is one."""
    calls = _calls.get()
    if calls is not None:
        calls.append(call)
