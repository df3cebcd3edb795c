"""The store of durable runs for a server that runs every graph, as Studio's does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from merchgraph.graphs.registry import GRAPHS, module
from merchgraph.runtime import durable_store
from merchgraph.runtime.durable import allowed
from merchgraph.runtime.durable_store import Saver


@asynccontextmanager
async def checkpointer() -> AsyncIterator[Saver]:
    """The store of the settings, for the states of all graphs; langgraph.json's `checkpointer.path`.

    Raises:
        SetupError: as `merchgraph.runtime.durable_store.checkpointer`.
    """
    types = {one for name in GRAPHS for one in allowed(module(name).graph)}
    async with durable_store.checkpointer() as saver:
        yield saver.with_allowlist(types)
