"""One model server: where it is, what it can do, how much it may be asked at once.

All servers are OpenAI-compatible and sit behind `ChatOpenAI`; they differ in how they are told to
follow a schema, how many log-probabilities they give, and how their prompt cache is switched off.
Those differences are the `Endpoint` fields that `runtime/models.py` fills in, and nothing else in
the project knows which server answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import aiologic
from langchain_core.language_models import BaseChatModel
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from merchgraph.runtime.errors import MerchgraphError
from merchgraph.runtime.limits import Limiter
from merchgraph.runtime.settings import Price, settings
from merchgraph.runtime.tape import Enter
from merchgraph.runtime.trace import JsonObject

JsonSchema = dict[str, Any]
Constrain = Callable[[str, JsonSchema], dict[str, Any]]
"""(schema name, JSON schema) -> fields of the request body that make the server follow it."""
Sight = Literal["sees", "takes", "refuses"]
"""Of pictures a server tells them apart, takes them and does not, or answers them with an error."""

Session = AsyncGenerator[BaseChatModel, None]


@runtime_checkable  # pydantic asks for it, where a model has an endpoint for a field
class Answering(Protocol):
    """Answers requests (`wire.request_json`) in place of a server, see `runtime/library.py`."""

    async def whole(self, asked: JsonObject, enter: Enter) -> ChatResult:
        """The reply, whole; `enter` puts it on the ledger."""

    def pieces(self, asked: JsonObject, enter: Enter) -> AsyncGenerator[ChatGenerationChunk, None]:
        """The reply, chunk by chunk."""


@dataclass(eq=False)
class Endpoint:
    """A model behind a server.

    Attributes:
        name: "provider/model", the name that contexts carry.
        open: gives (address, client); may block and is called in a worker thread.
        constrain: how this server takes a JSON schema.
        top_logprobs: candidates of one token that it reports at most.
        uncached: request body fields that switch its prompt cache off.
        follows_schema: what the start-up probe found (`structured.py`); None before it ran.
        sight: whether it sees pictures, as the probe of `seeing.py` found; None before it ran.
        failed_probe: how the latest start-up probe failed; None where none has.
        probing: held by the one request that probes.
        library: answers in place of a server.
    """

    name: str
    open: Callable[[], tuple[str, BaseChatModel]]
    constrain: Constrain
    limiter: Limiter
    top_logprobs: int = 20
    uncached: Mapping[str, Any] = field(default_factory=dict)
    address: str = ""
    follows_schema: bool | None = None
    sight: Sight | None = None
    library: Answering | None = None
    failed_probe: MerchgraphError | None = None
    probing: aiologic.Lock = field(default_factory=aiologic.Lock, repr=False)
    _opening: aiologic.Lock = field(default_factory=aiologic.Lock, repr=False)
    _clients: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[BaseChatModel, Session]] = field(
        default_factory=WeakKeyDictionary, repr=False
    )

    async def client(self) -> BaseChatModel:
        """The live client of the running event loop: its connections cannot cross loops."""
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            async with self._opening:  # the first requests of a loop come all at once
                if loop not in self._clients:
                    session = self._session(loop)
                    self._clients[loop] = await anext(session), session
        return self._clients[loop][0]

    async def _session(self, loop: asyncio.AbstractEventLoop) -> Session:
        """Opens a client and closes it with its loop: asyncio ends open generators before that."""
        self.address, client = await asyncio.to_thread(self.open)
        try:
            yield client
        finally:
            self._clients.pop(loop, None)
            if hasattr(client, "aclose"):
                await client.aclose()

    def price(self) -> Price | None:
        """What this endpoint charges, if the settings say so."""
        return settings().prices.get(self.name)


def response_format(name: str, schema: JsonSchema) -> dict[str, Any]:
    """The OpenAI form of a schema, which vLLM takes too."""
    form = {"name": name, "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def hosted_format(name: str, schema: JsonSchema) -> dict[str, Any]:
    """The same without the keywords that hosted APIs refuse in strict mode with HTTP 400.

    Nothing is lost: `ask` checks the reply against the whole schema.
    """
    return response_format(name, _without(schema, {"minLength", "maxLength", "default"}))


def _without(schema: JsonSchema, keywords: set[str]) -> JsonSchema:
    kept = {key: value for key, value in schema.items() if key not in keywords}
    if "properties" in kept:  # names that fields have, not keywords
        fields = kept["properties"].items()
        kept["properties"] = {field: _without(inner, keywords) for field, inner in fields}
    if "items" in kept:
        kept["items"] = _without(kept["items"], keywords)
    if "anyOf" in kept:
        kept["anyOf"] = [_without(inner, keywords) for inner in kept["anyOf"]]
    return kept
