"""Names become models here, and nowhere else.

    embedded/smollm2-135m        a llama.cpp server inside this process: the default, needs no network
    embedded/smollm2-135m+PATH   the same with an adapter, such as a folder of `merchgraph train tmf`
    vllm/NAME                    MERCHGRAPH_VLLM_BASE_URL (and _API_KEY)
    openai/NAME                  MERCHGRAPH_OPENAI_BASE_URL and MERCHGRAPH_OPENAI_API_KEY
    tape/FILE                    the answers of a recorded trace (`runtime/library.py`)
    scripted/NAME                a test double that `runtime/scripted.py` registered

Everything above receives a `ChatModel` (`runtime/chat.py`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from merchgraph.runtime.chat import ChatModel
from merchgraph.runtime.embedded import engine, packaged_weights
from merchgraph.runtime.embedded_adapter import check, named
from merchgraph.runtime.endpoint import Endpoint, JsonSchema, hosted_format, response_format
from merchgraph.runtime.errors import SetupError, TapeError
from merchgraph.runtime.limits import Limiter, UnreadableReply
from merchgraph.runtime.playing import playing
from merchgraph.runtime.settings import settings

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

DEFAULT_MODEL = "embedded/smollm2-135m"
EMBEDDED_TOP_LOGPROBS = 1000
"""llama.cpp reports as many as asked; hosted servers stop at 20."""
STRANGE = (AttributeError, KeyError, TypeError, ValueError, RecursionError)
"""What LangChain raises over a reply of another form."""
NOT_OURS = "its message is not the assistant's"


def chat_model(
    name: str,
    *,
    temperature: float = 0.0,
    max_tokens: int = 512,
    seed: int | None = None,
    deterministic: bool = False,
) -> ChatModel:
    """The model of a name; its endpoint and client are shared by everyone who names it.

    Args:
        name: "provider/model", see the module's docstring.
        temperature: sampling temperature.
        max_tokens: longest reply in tokens, unless a call says otherwise.
        seed: of the sampling, for servers that take one; each draft of several needs its own.
        deterministic: switch the server's prompt cache off, so that equal requests give equal bits.

    Raises:
        SetupError: an unknown provider or model, or a key or an adapter that is missing.
    """
    return _chat_model(endpoint(name), temperature, max_tokens, seed, deterministic)


@lru_cache(
    maxsize=256
)  # LangChain describes a model to its tracers once per object: half a millisecond
def _chat_model(
    server: Endpoint, temperature: float, max_tokens: int, seed: int | None, deterministic: bool
) -> ChatModel:
    return ChatModel(
        endpoint=server,
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        deterministic=deterministic,
    )


def endpoint(name: str) -> Endpoint:
    """The endpoint of a name, one per process and address.

    Raises:
        SetupError: as `chat_model`.
    """
    tape = playing()
    if tape is not None and tape.mode == "replay":  # its server may be gone, its package too
        return _recorded(name, bool(tape.endpoints.get(name, {}).get("follows_schema", True)))
    provider, _, model = name.partition("/")
    if provider not in PROVIDERS or not model:
        raise SetupError(
            f"The model name {name!r} is not known; expected PROVIDER/MODEL with one of the "
            f"providers {', '.join(PROVIDERS)}, for example {DEFAULT_MODEL!r}."
        )
    return PROVIDERS[provider](name, model)


@cache
def _recorded(name: str, follows_schema: bool) -> Endpoint:
    """An endpoint without a server: its models are served by the tape."""

    def no_server() -> tuple[str, BaseChatModel]:
        raise TapeError(f"A replay may not reach {name!r}; this call went past its tape.")

    return Endpoint(
        name=name, open=no_server, constrain=response_format, limiter=Limiter(name, 1),
        follows_schema=follows_schema,
    )  # fmt: skip


def _embedded(name: str, model: str) -> Endpoint:
    packaged_weights(named(model).base)  # what is wrong or missing is said before any work is done
    return _embedded_endpoint(name, model, settings().token_budget)


@cache
def _embedded_endpoint(name: str, model: str, budget: int | None) -> Endpoint:
    check(named(model))

    def open_client() -> tuple[str, BaseChatModel]:
        url = engine(model).url
        return url, _client(model, url, "none", 2)

    # the engine has one slot: a second request is parsed while the first one computes
    return Endpoint(
        name=name, open=open_client, constrain=_grammar, limiter=Limiter(name, 2, budget),
        top_logprobs=EMBEDDED_TOP_LOGPROBS, uncached={"cache_prompt": False},
        sight="refuses",  # its weights are of a model that reads text
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
        constrain=hosted_format if name.startswith("openai/") else response_format,
        limiter=Limiter(name, cap, budget),
        address=url,
    )


def _client(model: str, url: str, key: str, connections: int) -> BaseChatModel:
    """A ChatOpenAI with our timeouts and none of its own retries, which know no cap."""
    import httpx2
    import openai
    from pydantic import SecretStr

    now = settings()
    timeout = httpx2.Timeout(now.stall_timeout_s, connect=now.connect_timeout_s, pool=None)
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    near = httpx2.URL(url).host in ("127.0.0.1", "localhost", "::1")  # behind no proxy
    http = openai.DefaultAsyncHttpxClient(timeout=timeout, limits=limits, trust_env=not near)
    return _client_class()(
        model=model, base_url=url, api_key=SecretStr(key), max_retries=0, timeout=timeout,
        http_async_client=http, stream_usage=True, stream_chunk_timeout=now.stall_timeout_s,
    )  # fmt: skip


@contextmanager
def _readable(*kinds: type[Exception]) -> Iterator[None]:
    """What the client stumbles over, as what it is: a fault of the reply."""
    try:
        yield
    except kinds as error:
        raise UnreadableReply(str(error)) from error


@cache
def _client_class() -> type[ChatOpenAI]:
    """ChatOpenAI, imported at the first request only: its import takes a second."""
    from langchain_openai import ChatOpenAI

    class Client(ChatOpenAI):
        async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
            with _readable(ValueError, RecursionError):  # bytes that are no JSON, or a nest of it
                return await super()._agenerate(*args, **kwargs)

        def _create_chat_result(self, *args: Any, **kwargs: Any) -> ChatResult:
            with _readable(*STRANGE):  # an error object, or no object at all
                result = super()._create_chat_result(*args, **kwargs)
            if not result.generations:
                raise UnreadableReply("it has no choices")
            if not isinstance(result.generations[0].message, AIMessage):
                raise UnreadableReply(NOT_OURS)
            return result

        async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
            pieces: Any = super()._astream(*args, **kwargs)
            with _readable(*STRANGE):
                async with aclosing(pieces):
                    async for piece in pieces:
                        if not isinstance(piece.message, AIMessageChunk):
                            raise UnreadableReply(NOT_OURS)
                        yield piece

        async def aclose(self) -> None:
            await self.root_async_client.close()

    return Client


def _scripted(name: str, model: str) -> Endpoint:
    from merchgraph.runtime.scripted import scripted_endpoint

    return scripted_endpoint(name, model)


def _tape(name: str, model: str) -> Endpoint:
    from merchgraph.runtime.library import library_endpoint

    path, _, recorded = model.partition("@")
    return library_endpoint(name, path, recorded)


PROVIDERS: dict[str, Callable[[str, str], Endpoint]] = {
    "embedded": _embedded,
    "vllm": _vllm,
    "openai": _openai,
    "tape": _tape,
    "scripted": _scripted,
}
