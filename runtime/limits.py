"""Limits of one endpoint: how many requests at once, how many tokens, how often and when to retry.

One `Limiter` per endpoint and process: LangGraph's `max_concurrency` holds for one run only, so many
runs at once would flood a server. The cap holds over event loops and threads too (aiologic), since a
notebook, a server and a batch each bring a loop of their own.

    429, 5xx, dropped, stalled, half a body -> tried again, with jitter, honouring Retry-After
    400, 401, 403, 404, 422                 -> never: the same request would fail the same way
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import aiologic
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from merchgraph.runtime.clock import queueing
from merchgraph.runtime.errors import BudgetError, EndpointError, MerchgraphError, SetupError
from merchgraph.runtime.log import logger, redact
from merchgraph.runtime.settings import settings

if TYPE_CHECKING:
    from openai import APIStatusError

T = TypeVar("T")
log = logger("limits")

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 8.0


class UnreadableReply(ValueError):
    """An answer with HTTP 200 that is no chat completion: a web page, an error object, nothing."""


class Attempted(NamedTuple, Generic[T]):
    """The value of a request and what it took: tries, seconds in the queue, seconds in the server."""

    value: T
    tries: int
    waited_s: float
    seconds: float


@dataclass
class Limiter:
    """The cap and the token budget of one endpoint.

    Attributes:
        cap: requests in flight at most.
        budget: tokens that may be spent, None for no limit.
        peak: most requests that were ever in flight.
    """

    name: str
    cap: int
    budget: int | None = None
    spent: int = 0
    peak: int = 0
    in_flight: int = 0
    _slots: aiologic.Semaphore = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._slots = aiologic.Semaphore(self.cap)
        self._counting = threading.Lock()  # several event loops may share an endpoint

    async def __aenter__(self) -> Limiter:
        with queueing():
            await self._slots.async_acquire()
        with self._counting:
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
        return self

    async def __aexit__(self, *_: object) -> None:
        with self._counting:
            self.in_flight -= 1
        self._slots.async_release()

    def spend(self, tokens: int) -> None:
        """Count tokens against the budget."""
        with self._counting:
            self.spent += tokens

    def check_budget(self) -> None:
        """Refuse a request once the budget is used up; what is in flight may still overdraw it.

        Raises:
            BudgetError: nothing was sent.
        """
        if self.budget is not None and self.spent >= self.budget:
            raise BudgetError(
                f"The token budget of {self.name} is used up ({self.spent:,} of {self.budget:,}); "
                "raise MERCHGRAPH_TOKEN_BUDGET or run fewer cases."
            )


def retry_after_s(error: BaseException | None) -> float | None:
    """Seconds that the server asked us to wait, if it said so in a Retry-After header."""
    response = getattr(error, "response", None)
    value = response.headers.get("retry-after", "") if response is not None else ""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass  # the other form of the header is a date
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):  # no date, or one that no clock has
        return None


def transient(error: BaseException) -> bool:
    """Whether the same request may succeed when it is sent again."""
    import httpx2
    import openai

    if isinstance(error, openai.RateLimitError):
        return error.code != "insufficient_quota"  # that one no waiting will mend
    if isinstance(error, openai.APIStatusError):
        return error.status_code >= 500 or error.status_code in (408, 409, 425)
    return isinstance(
        error,
        openai.APIError  # timeouts, dropped connections, an error event in a stream
        | UnreadableReply
        | httpx2.TransportError  # streams raise these unwrapped
        | json.JSONDecodeError  # half a body
        | TimeoutError
        | ConnectionError,
    )


def _wait(state: RetryCallState) -> float:
    asked = retry_after_s(state.outcome.exception() if state.outcome else None)
    backoff = float(wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)(state))
    return backoff if asked is None else asked + backoff / 10  # a little jitter on top


async def attempt(limiter: Limiter, address: str, send: Callable[[], Awaitable[T]]) -> Attempted[T]:
    """Send a request under the endpoint's cap, again where that may help.

    A slot is given back while a retry waits, so that one slow answer does not hold up the others.
    Each try may last `request_timeout_s`, and no further try starts after that time; the queue in
    front of a full endpoint does not count.

    Raises:
        EndpointError: still failing after all tries; the message says what the person can do.
        SetupError: refused for a reason that a person has to mend (key, model name).
        BudgetError: the endpoint's budget is used up.
    """
    limit = settings().request_timeout_s
    most = stop_after_attempt(settings().attempts)
    started, waited, tries = time.monotonic(), 0.0, 0

    def served() -> float:
        return time.monotonic() - started - waited

    retrying = AsyncRetrying(
        retry=retry_if_exception(transient),
        wait=_wait,
        stop=lambda state: most(state) or served() + state.upcoming_sleep > limit,
        before_sleep=lambda state: _log_retry(limiter.name, state),
        reraise=True,
    )
    try:
        async for trial in retrying:
            with trial:
                tries += 1
                queued = time.monotonic()
                async with limiter:
                    waited += time.monotonic() - queued
                    limiter.check_budget()  # only now: the queue ahead has spent its share
                    async with asyncio.timeout(limit):
                        value = await send()
    except MerchgraphError:
        raise
    except Exception as error:
        told = explain(error, limiter.name, address, tries)
        if told is error:
            raise
        raise told from error
    return Attempted(value, tries, waited, served())


def _log_retry(name: str, state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("endpoint.retry", endpoint=name, attempt=state.attempt_number,
                wait_s=round(state.upcoming_sleep, 2), error=repr(error))  # fmt: skip


def explain(error: Exception, name: str, address: str, tries: int) -> Exception:
    """Turn a client's exception into one of our tree, in a sentence for a person.

    An exception that no endpoint causes (a bug) comes back as it is.
    """
    import openai

    provider = name.split("/")[0].upper()
    at = f"The model server at {redact(address)}"
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return SetupError(
            f"{at} refused the key (HTTP {error.status_code}); "
            f"set MERCHGRAPH_{provider}_API_KEY to a valid one."
        )
    if isinstance(error, openai.NotFoundError):
        return SetupError(
            f"{at} does not serve the model {name.split('/', 1)[-1]!r} (HTTP 404); "
            "`merchgraph doctor` lists what it serves."
        )
    if isinstance(error, openai.RateLimitError) and error.code == "insufficient_quota":
        return SetupError(
            f"{at} says that the quota of the key is used up (HTTP 429); raise it there, "
            f"or set MERCHGRAPH_{provider}_API_KEY to another."
        )
    if isinstance(error, openai.APIStatusError):
        return EndpointError(_status_sentence(error, at, tries))
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return EndpointError(f"{at} {_timeout_sentence(error, tries)}")
    if isinstance(error, UnreadableReply | json.JSONDecodeError):
        return EndpointError(
            f"{at} sent a reply that is no chat completion ({said(error)}, {tries} tries); "
            f"look at its log, and at {_address_of(provider)}."
        )
    if transient(error):
        return EndpointError(
            f"{at} did not answer ({said(error)}, {tries} tries); "
            f"start it, or change {_address_of(provider)}."
        )
    return error


def _address_of(provider: str) -> str:
    return (
        "the model" if provider in ("EMBEDDED", "SCRIPTED") else f"MERCHGRAPH_{provider}_BASE_URL"
    )


def _status_sentence(error: APIStatusError, at: str, tries: int) -> str:
    status = error.status_code
    if status == 429:
        wait = retry_after_s(error)
        later = "" if wait is None else f", and asks to wait {wait:.0f} s"
        return f"{at} is overloaded (HTTP 429, {tries} tries{later}); lower MERCHGRAPH_CONCURRENCY."
    if status >= 500:
        return f"{at} failed (HTTP {status}, {tries} tries): {said(error)}; look at its log."
    return f"{at} refused the request (HTTP {status}): {said(error)}."


def _timeout_sentence(error: Exception, tries: int) -> str:
    import httpx2

    now = settings()
    if isinstance(error.__cause__, httpx2.ConnectTimeout):
        what, knob = f"took no connection in {now.connect_timeout_s:g} s", "CONNECT"
    elif type(error) is TimeoutError:  # our own clock; the client's are subclasses
        what, knob = f"was not done after {now.request_timeout_s:g} s", "REQUEST"
    else:
        what, knob = f"stayed silent for {now.stall_timeout_s:g} s", "STALL"
    return f"{what} ({tries} tries); look at its load, or raise MERCHGRAPH_{knob}_TIMEOUT_S."


def said(error: BaseException) -> str:
    """What an exception says at its root, in at most 200 characters, without secrets."""
    if isinstance(error, TimeoutError):
        return f"silent for {settings().stall_timeout_s:g} s"
    while error.__cause__ is not None:
        error = error.__cause__
    return str(redact(str(error) or type(error).__name__))[:200]
