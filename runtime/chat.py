"""The chat model that agents hold: a client plus what every call needs, once.

The endpoint's cap, retries, errors for people and the ledger sit here, so that no caller can forget
one. The tape of a recorded run belongs into `_agenerate` and `_astream`, before the limiter: a replayed
call must not queue.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field

from merchgraph.runtime.endpoint import Endpoint
from merchgraph.runtime.errors import EndpointError
from merchgraph.runtime.ledger import Call, here, record
from merchgraph.runtime.limits import Attempted, UnreadableReply, attempt, said
from merchgraph.runtime.loop import run_sync

T = TypeVar("T")


class ChatModel(BaseChatModel):
    """A chat model under its endpoint's limits, on the ledger.

    Attributes:
        temperature: 0 by default: agents judge, they do not improvise.
        max_tokens: longest reply in tokens, unless a call says otherwise.
        deterministic: the same request gives the same bits, at the cost of prompt caching.
    """

    endpoint: Endpoint = Field(exclude=True)
    temperature: float = 0.0
    max_tokens: int = 512
    deterministic: bool = False

    @property
    def _llm_type(self) -> str:
        return "merchgraph"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.endpoint.name, "temperature": self.temperature}

    def _request(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The client's keyword arguments for one call.

        A schema travels in `extra_body`: given as `response_format`, the OpenAI client would parse
        the reply itself and raise where a truncated reply has to be looked at.
        """
        request = {"temperature": self.temperature, "max_tokens": self.max_tokens} | kwargs
        request.pop("stream", None)
        body = dict(request.pop("extra_body", None) or {})
        if wanted := request.pop("response_format", None):
            form = wanted["json_schema"]
            body |= self.endpoint.constrain(form["name"], form["schema"])
        if self.deterministic:
            body |= self.endpoint.uncached
        return request | ({"extra_body": body} if body else {})

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        request = self._request(kwargs)
        client = await self.endpoint.client()

        async def send() -> ChatResult:
            # not `ainvoke`: this model has told the callbacks already
            return await client._agenerate(messages, stop, None, **request)

        done = await self._attempt(send)
        self._enter(done, done.value.generations[0].message)
        return done.value

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        request = self._request(kwargs)
        client = await self.endpoint.client()
        relay = _Relay(self.endpoint.name, lambda: client._astream(messages, stop, None, **request))
        # the whole stream runs inside one attempt, so that it holds its slot to the end
        pumping = asyncio.create_task(relay.pump(self._attempt))
        try:
            while (chunk := await relay.chunks.get()) is not None:
                yield chunk
            done = await pumping
            if relay.whole:
                self._enter(done, sum(relay.whole[1:], start=relay.whole[0]))
        finally:
            pumping.cancel()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return run_sync(self._agenerate(messages, stop, None, **kwargs))

    async def _attempt(self, send: Callable[[], Awaitable[T]]) -> Attempted[T]:
        site, tries, started = here(), 0, time.monotonic()

        async def counted() -> T:
            nonlocal tries
            tries += 1
            return await send()

        try:
            return await attempt(self.endpoint.limiter, self.endpoint.address, counted)
        except BaseException:  # cancelled ones too: what was sent belongs on the ledger
            if tries:
                record(Call(agent=site.agent, node=site.node, lane=site.lane, repair=site.repair,
                            model=self.endpoint.name, tries=tries, failed=True,
                            seconds=time.monotonic() - started))  # fmt: skip
            raise

    def _enter(self, done: Attempted[Any], message: BaseMessage) -> None:
        """Put a finished call on the ledger and on the endpoint's budget."""
        site = here()
        used = message.usage_metadata if isinstance(message, AIMessage) else None
        prompt = used["input_tokens"] if used else 0
        completion = used["output_tokens"] if used else 0
        cached = (used.get("input_token_details", {}).get("cache_read") or 0) if used else 0
        self.endpoint.limiter.spend(prompt + completion)
        call = Call(
            agent=site.agent,
            node=site.node,
            lane=site.lane,
            repair=site.repair,
            model=self.endpoint.name,
            prompt_tokens=prompt,
            cached_tokens=cached,
            completion_tokens=completion,
            seconds=done.seconds,
            waited_s=done.waited_s,
            tries=done.tries,
            cost_usd=_cost(self.endpoint, prompt, cached, completion),
        )
        record(call)


def _cost(endpoint: Endpoint, prompt: int, cached: int, completion: int) -> float | None:
    price = endpoint.price()
    if price is None:
        return 0.0 if endpoint.name.startswith("embedded/") else None
    cached_price = price.prompt if price.cached is None else price.cached
    paid = (prompt - cached) * price.prompt + cached * cached_price + completion * price.completion
    return paid / 1e6


def _ai_chunk(chunk: ChatGenerationChunk) -> AIMessageChunk:
    message = chunk.message
    assert isinstance(message, AIMessageChunk), type(message)
    return message


def _finishes(chunk: ChatGenerationChunk) -> bool:
    told = {**chunk.message.response_metadata, **(chunk.generation_info or {})}
    return bool(told.get("finish_reason"))


@dataclass
class _Relay:
    """Hands a stream on chunk by chunk; None on `chunks` ends it."""

    name: str
    open: Callable[[], AsyncIterator[ChatGenerationChunk]]
    chunks: asyncio.Queue[ChatGenerationChunk | None] = field(default_factory=asyncio.Queue)
    whole: list[AIMessageChunk] = field(default_factory=list)

    async def pump(
        self, attempt: Callable[[Callable[[], Awaitable[None]]], Awaitable[Attempted[None]]]
    ) -> Attempted[None]:
        try:
            return await attempt(self.send)
        finally:
            self.chunks.put_nowait(None)

    async def send(self) -> None:
        finished = False
        try:
            async for chunk in self.open():
                self.whole.append(_ai_chunk(chunk))
                self.chunks.put_nowait(chunk)
                finished = finished or _finishes(chunk)
            if not finished:  # an orderly end of the connection is no end of the reply
                raise UnreadableReply("it ended without a finish reason")
        except Exception as error:
            if not self.whole:
                raise  # nothing was passed on, so the request may be tried again
            raise EndpointError(
                f"The reply of {self.name} broke off after {len(self.whole)} chunks ({said(error)}); "
                "run it again."
            ) from error
