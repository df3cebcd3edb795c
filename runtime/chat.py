"""The chat model that agents hold: a client plus what every call needs, once.

The tape, the endpoint's cap, retries, errors for people and the ledger sit here, so that no caller can
forget one. The tape comes first, then the trace that a `tape/FILE` model answers from: a served call
does not queue.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
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
from merchgraph.runtime.playing import playing
from merchgraph.runtime.tape import Enter
from merchgraph.runtime.trace import JsonObject
from merchgraph.runtime.wire import request_json

T = TypeVar("T")

LIKELIEST = 5
"""Tokens kept of a choice beside its labels: what the model would rather have said."""


class ChatModel(BaseChatModel):
    """A chat model under its endpoint's limits, on the ledger.

    Attributes:
        temperature: 0 by default: agents judge, they do not improvise.
        max_tokens: longest reply in tokens, unless a call says otherwise.
        seed: of the sampling; the same request with the same seed is the same sample.
        deterministic: the same request gives the same bits, at the cost of prompt caching.
    """

    endpoint: Endpoint = Field(exclude=True)
    temperature: float = 0.0
    max_tokens: int = 512
    seed: int | None = None
    deterministic: bool = False

    @property
    def _llm_type(self) -> str:
        return "merchgraph"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.endpoint.name, "temperature": self.temperature}

    def _options(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """What a caller wants of one reply, the same for every server.

        `labels` are the one-token labels whose probabilities a caller wants, see `structured.choose`.
        """
        options = {"temperature": self.temperature, "max_tokens": self.max_tokens} | kwargs
        options.pop("stream", None)
        if self.seed is not None:
            options["seed"] = self.seed
        return options | ({"deterministic": True} if self.deterministic else {})

    def _request(self, options: dict[str, Any]) -> dict[str, Any]:
        """The client's keyword arguments for one call, as this server takes them.

        A schema travels in `extra_body`: given as `response_format`, the OpenAI client would parse
        the reply itself and raise where a truncated reply has to be looked at.
        """
        request = dict(options)
        body = dict(request.pop("extra_body", None) or {})
        if wanted := request.pop("response_format", None):
            form = wanted["json_schema"]
            body |= self.endpoint.constrain(form["name"], form["schema"])
        if request.pop("labels", None):
            request |= {"logprobs": True, "top_logprobs": self.endpoint.top_logprobs}
        if request.pop("deterministic", False):
            body |= self.endpoint.uncached
        return request | ({"extra_body": body} if body else {})

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        options, tape, library = self._options(kwargs), playing(), self.endpoint.library
        asked = self._asked(messages, stop, options)

        def live(enter: Enter) -> Awaitable[ChatResult]:
            if library is not None:
                return library.whole(asked(), enter)
            return self._whole(messages, stop, options, enter)

        return await (live(record) if tape is None else tape.call(asked(), live))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        options, tape, library = self._options(kwargs), playing(), self.endpoint.library
        asked = self._asked(messages, stop, options)

        def live(enter: Enter) -> AsyncGenerator[ChatGenerationChunk, None]:
            if library is not None:
                return library.pieces(asked(), enter)
            return self._pieces(messages, stop, options, enter)

        pieces = live(record) if tape is None else tape.stream(asked(), live)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    def _asked(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> Callable[[], JsonObject]:
        """The request as tapes know it; where there is none, nobody has to work it out."""
        whole = options | ({"stop": stop} if stop else {})
        return partial(request_json, self.endpoint.name, messages, whole)

    async def _whole(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        options: dict[str, Any],
        enter: Enter,
    ) -> ChatResult:
        """The server's reply."""
        request = self._request(options)
        client = await self.endpoint.client()

        async def send() -> ChatResult:
            # not `ainvoke`: this model has told the callbacks already
            return await client._agenerate(messages, stop, None, **request)

        done = await self._attempt(send, enter)
        reply = done.value.generations[0]
        if labels := options.get("labels"):
            # LangChain reports them twice
            for told in (reply.message.response_metadata, reply.generation_info or {}):
                _keep_labels(told, labels)
        self._enter(done, reply.message, enter)
        return done.value

    async def _pieces(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        options: dict[str, Any],
        enter: Enter,
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        """The server's reply, chunk by chunk."""
        request = self._request(options)
        client = await self.endpoint.client()
        relay = _Relay(self.endpoint.name, lambda: client._astream(messages, stop, None, **request))
        # the whole stream runs inside one attempt, so that it holds its slot to the end
        pumping = asyncio.create_task(relay.pump(lambda send: self._attempt(send, enter)))
        try:
            while (chunk := await relay.chunks.get()) is not None:
                yield chunk
            await pumping
        finally:
            pumping.cancel()
            # also where the reader has broken off: what was sent belongs on the ledger
            [done] = await asyncio.gather(pumping, return_exceptions=True)
            if relay.whole and not isinstance(done, BaseException):
                self._enter(done, sum(relay.whole[1:], start=relay.whole[0]), enter)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return run_sync(self._agenerate(messages, stop, None, **kwargs))

    async def _attempt(self, send: Callable[[], Awaitable[T]], enter: Enter) -> Attempted[T]:
        site, tries, started = here(), 0, time.monotonic()

        async def counted() -> T:
            nonlocal tries
            tries += 1
            return await send()

        try:
            return await attempt(self.endpoint.limiter, self.endpoint.address, counted)
        except BaseException:  # cancelled ones too: what was sent belongs on the ledger
            if tries:
                enter(Call(agent=site.agent, node=site.node, lane=site.lane, repair=site.repair,
                           model=self.endpoint.name, tries=tries, failed=True,
                           seconds=time.monotonic() - started))  # fmt: skip
            raise

    def _enter(self, done: Attempted[Any], message: BaseMessage, enter: Enter) -> None:
        """Put a finished call on the ledger and on the endpoint's budget."""
        site = here()
        used = message.usage_metadata if isinstance(message, AIMessage) else None
        prompt = _count(used["input_tokens"]) if used else 0
        completion = _count(used["output_tokens"]) if used else 0
        cached = _count(used.get("input_token_details", {}).get("cache_read")) if used else 0
        self.endpoint.limiter.spend(prompt + completion)
        call = Call(agent=site.agent, node=site.node, lane=site.lane, repair=site.repair,
                    model=self.endpoint.name, prompt_tokens=prompt, cached_tokens=cached,
                    completion_tokens=completion, seconds=done.seconds, waited_s=done.waited_s,
                    tries=done.tries,
                    cost_usd=_cost(self.endpoint, prompt, cached, completion))  # fmt: skip
        enter(call)


def _keep_labels(told: dict[str, Any], labels: Sequence[str]) -> None:
    """Drop the log-probabilities of all tokens but the labels and the likeliest few.

    A server reports up to a thousand of them: twenty times the rest of the reply, on every tape.
    """
    try:
        for token in told["logprobs"]["content"]:
            token["top_logprobs"] = [
                {"token": entry["token"], "logprob": entry["logprob"]}
                for place, entry in enumerate(token["top_logprobs"])
                if place < LIKELIEST or str(entry["token"]).strip() in labels
            ]
    except (KeyError, TypeError):  # none, or of no known shape: `choose` sees to it
        return


def _count(told: object) -> int:
    """Tokens, as a server tells them; 0 for what is no such number."""
    return told if isinstance(told, int) and 0 <= told < 2**40 else 0


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
