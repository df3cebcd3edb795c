"""Names become models here, and nowhere else.

    embedded/smollm2-135m   a llama.cpp server inside this process: the default, needs no network
    vllm/NAME               MERCHGRAPH_VLLM_BASE_URL (and _API_KEY)
    openai/NAME             MERCHGRAPH_OPENAI_BASE_URL and MERCHGRAPH_OPENAI_API_KEY
    scripted/NAME           a test double that `runtime/scripted.py` registered

Everything above receives a `ChatModel`: a LangChain chat model that adds to the client what every
call needs, once: the endpoint's cap, retries, errors for people, and the ledger. The tape of a
recorded run belongs into `_agenerate` and `_astream`, before the limiter: a replayed call must not queue.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from typing import Any, TypeVar

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import Field

from merchgraph.runtime.embedded import engine, packaged_weights
from merchgraph.runtime.endpoint import Endpoint, JsonSchema, response_format
from merchgraph.runtime.errors import EndpointError, MerchgraphError, SetupError
from merchgraph.runtime.ledger import Call, here, record
from merchgraph.runtime.limits import Attempted, Limiter, attempt
from merchgraph.runtime.loop import run_sync
from merchgraph.runtime.settings import settings

T = TypeVar("T")

DEFAULT_MODEL = "embedded/smollm2-135m"
EMBEDDED_TOP_LOGPROBS = 1000
"""llama.cpp reports as many as asked; hosted servers stop at 20."""


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
        chunks: asyncio.Queue[ChatGenerationChunk | None] = asyncio.Queue()
        whole: list[AIMessageChunk] = []

        async def send() -> None:
            try:
                async for chunk in client._astream(messages, stop, None, **request):
                    whole.append(_ai_chunk(chunk))
                    chunks.put_nowait(chunk)
            except Exception as error:
                if not whole:
                    raise  # nothing was passed on, so the request may be tried again
                raise EndpointError(
                    f"The reply of {self.endpoint.name} broke off after {len(whole)} chunks "
                    f"({error}); run it again."
                ) from error

        async def pump() -> Attempted[None]:
            try:
                return await self._attempt(send)
            finally:
                chunks.put_nowait(None)

        # the whole stream runs inside one attempt, so that it holds its slot to the end
        pumping = asyncio.create_task(pump())
        try:
            while (chunk := await chunks.get()) is not None:
                yield chunk
            done = await pumping
            if whole:
                self._enter(done, sum(whole[1:], start=whole[0]))
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
        site = here()
        try:
            return await attempt(self.endpoint.limiter, self.endpoint.address, send)
        except MerchgraphError:
            record(Call(agent=site.agent, node=site.node, lane=site.lane, repair=site.repair,
                        model=self.endpoint.name, failed=True))  # fmt: skip
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


def chat_model(
    name: str, *, temperature: float = 0.0, max_tokens: int = 512, deterministic: bool = False
) -> ChatModel:
    """The model of a name; its endpoint and client are shared by everyone who names it.

    Args:
        name: "provider/model", see the module's docstring.
        temperature: sampling temperature.
        max_tokens: longest reply in tokens, unless a call says otherwise.
        deterministic: switch the server's prompt cache off, so that equal requests give equal bits.

    Raises:
        SetupError: an unknown provider or model, or a key that is missing.
    """
    return ChatModel(
        endpoint=endpoint(name),
        temperature=temperature,
        max_tokens=max_tokens,
        deterministic=deterministic,
    )


def endpoint(name: str) -> Endpoint:
    """The endpoint of a name, one per process and address.

    Raises:
        SetupError: as `chat_model`.
    """
    provider, _, model = name.partition("/")
    if provider not in PROVIDERS or not model:
        raise SetupError(
            f"The model name {name!r} is not known; expected PROVIDER/MODEL with one of the "
            f"providers {', '.join(PROVIDERS)}, for example {DEFAULT_MODEL!r}."
        )
    return PROVIDERS[provider](name, model)


def _embedded(name: str, model: str) -> Endpoint:
    packaged_weights(model)  # a wrong name or a missing package is said before any work is done
    return _embedded_endpoint(name, model, settings().token_budget)


@cache
def _embedded_endpoint(name: str, model: str, budget: int | None) -> Endpoint:
    def open_client() -> tuple[str, BaseChatModel]:
        url = engine(model).url
        return url, _client(model, url, "none", 2)

    # the engine has one slot: a second request is parsed while the first one computes
    return Endpoint(
        name=name, open=open_client, constrain=_grammar, limiter=Limiter(name, 2, budget),
        top_logprobs=EMBEDDED_TOP_LOGPROBS, uncached={"cache_prompt": False},
    )  # fmt: skip


def _grammar(name: str, schema: JsonSchema) -> dict[str, Any]:
    """A schema as an llguidance grammar: only this form can forbid the whitespace between tokens,
    which a small model would otherwise spend half of its reply on. The DRY sampler stops it from
    saying the same words until the field is full."""
    compact = schema | {"x-guidance": {"whitespace_flexible": False}}
    grammar = f"%llguidance {{}}\nstart: %json {json.dumps(compact)}"
    return {"grammar": grammar, "dry_multiplier": 0.8, "dry_allowed_length": 3}


def _vllm(name: str, model: str) -> Endpoint:
    now = settings()
    key = now.vllm_api_key.get_secret_value() if now.vllm_api_key else "none"
    return _remote(name, model, now.vllm_base_url, key, now.concurrency, now.token_budget)


def _openai(name: str, model: str) -> Endpoint:
    now = settings()
    if now.openai_api_key is None:
        raise SetupError(
            f"The model {name!r} needs a key for {now.openai_base_url}; set MERCHGRAPH_OPENAI_API_KEY "
            "(any text, where the server asks for none)."
        )
    key = now.openai_api_key.get_secret_value()
    return _remote(name, model, now.openai_base_url, key, now.concurrency, now.token_budget)


@cache
def _remote(name: str, model: str, url: str, key: str, cap: int, budget: int | None) -> Endpoint:
    return Endpoint(
        name=name,
        open=lambda: (url, _client(model, url, key, cap)),
        constrain=response_format,
        limiter=Limiter(name, cap, budget),
        address=url,
    )


def _client(model: str, url: str, key: str, connections: int) -> BaseChatModel:
    """A ChatOpenAI with our timeouts and none of its own retries, which know no cap."""
    import httpx2
    import openai
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    now = settings()
    timeout = httpx2.Timeout(now.stall_timeout_s, connect=now.connect_timeout_s, pool=None)
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    http = openai.DefaultAsyncHttpxClient(timeout=timeout, limits=limits)
    return ChatOpenAI(
        model=model, base_url=url, api_key=SecretStr(key), max_retries=0, timeout=timeout,
        http_async_client=http, stream_usage=True, stream_chunk_timeout=now.stall_timeout_s,
    )  # fmt: skip


def _scripted(name: str, model: str) -> Endpoint:
    from merchgraph.runtime.scripted import scripted_endpoint

    return scripted_endpoint(name, model)


PROVIDERS: dict[str, Callable[[str, str], Endpoint]] = {
    "embedded": _embedded,
    "vllm": _vllm,
    "openai": _openai,
    "scripted": _scripted,
}
