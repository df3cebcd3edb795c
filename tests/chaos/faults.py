"""What goes wrong: of the connection, of the server, of the model; each as a behaviour of the server.

A fault sees how often this very request was made before, so that what it does depends on no order of
arrival: "twice" refuses every request two times and then answers it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.model import (
    CHINESE,
    ENDLESS,
    FORBIDDEN,
    NOT_OFFERED,
    Body,
    Hand,
    Reply,
    broken_odds,
    reply,
    schema_of,
)
from tests.runtime.faulty_server import (
    JSON,
    Exchange,
    Fault,
    FaultyServer,
    body,
    drip,
    drop,
    drop_in_body,
    slow,
    stall,
    status,
)

HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
BUSY = b'{"error": {"message": "overloaded", "code": 529}}'
RETRIES = 2


@dataclass(frozen=True)
class Chaos:
    """One way to misbehave.

    Attributes:
        name: the table's row.
        hurt: (the good answer, how often the request was made before) -> what happens.
        dies: (requests until the server dies, seconds until it is back or None).
        limits: settings of the client that are other than usual.
        hopeless: no request ever gets an answer, so that no run can have a result of a model.
    """

    name: str
    hurt: Callable[[Fault, int], Fault] = lambda good, before: good
    say: Callable[[Body], Reply] = reply
    dies: tuple[int, float | None] | None = None
    limits: Mapping[str, object] = field(default_factory=dict)
    hopeless: bool = False


def always(fault: Fault) -> Callable[[Fault, int], Fault]:
    return lambda good, before: fault


def at_first(fault: Fault, times: int = RETRIES) -> Callable[[Fault, int], Fault]:
    return lambda good, before: fault if before < times else good


def by(hand: Hand) -> Callable[[Body], Reply]:
    return lambda asked: reply(asked, hand)


def instead(content: str | None, *, finish: str = "stop", top: str = "") -> Callable[[Body], Reply]:
    """The same text whatever is asked; `top` is what the log-probabilities say, none if empty."""

    def say(asked: Body) -> Reply:
        odds: Sequence[tuple[str, float]] = (
            broken_odds(top) if asked.get("logprobs") and top else ()
        )
        return Reply(content, finish, odds)

    return say


def half(asked: Body) -> Reply:
    """The beginning of a good reply, cut at the token limit; no log-probabilities."""
    content = reply(asked).content or ""
    return Reply(content[: len(content) // 2], "length")


def odd(kind: str) -> Callable[[Body], Reply]:
    """Good objects, and log-probabilities that are none."""

    def say(asked: Body) -> Reply:
        if asked.get("logprobs") and schema_of(asked) is None:
            return Reply("Yes", top=broken_odds(kind))
        return reply(asked)

    return say


def in_words(asked: Body) -> Reply:
    """A server that knows no `response_format` and ignores it, with a model that reads the schema."""
    if "response_format" in asked:
        return Reply("Hello!")
    return reply(asked)


FAULTS = [
    Chaos("none"),
    Chaos("answers 0.1 s late", lambda good, before: slow(0.1, good)),
    Chaos("silence, once", at_first(stall, 1)),
    Chaos("silence", always(stall), hopeless=True),
    Chaos("connections dropped, twice", at_first(drop)),
    Chaos("connections dropped", always(drop), hopeless=True),
    Chaos("dropped in the body, twice", at_first(drop_in_body)),
    Chaos("429, twice", at_first(status(429))),
    Chaos("429 with Retry-After 0.2 s, twice", at_first(status(429, retry_after="0.2"))),
    Chaos("429", always(status(429)), hopeless=True),
    Chaos("429 with Retry-After 1 h", always(status(429, retry_after="3600")), hopeless=True),
    Chaos("503, twice", at_first(status(503))),
    Chaos("500", always(status(500, "engine died")), hopeless=True),
    Chaos("400", always(status(400, "no such field")), hopeless=True),
    Chaos("a web page, twice", at_first(body(HTML, kind="text/html"))),
    Chaos("a web page", always(body(HTML, kind="text/html")), hopeless=True),
    Chaos("an error with HTTP 200, twice", at_first(body(BUSY))),
    Chaos("an endless body", always(drip), limits={"request_timeout_s": 1.0}, hopeless=True),
    Chaos("half a body", always(body(Reply("hello").raw[:60])), hopeless=True),
    Chaos("dies halfway, back after 0.4 s", dies=(3, 0.4)),
    Chaos("dies halfway", dies=(3, None)),
    Chaos("does not constrain", say=in_words),
    Chaos("another schema", say=instead('{"unexpected": [1]}', top="nan")),
    Chaos("cut at the token limit", say=half),
    Chaos("empty answers", say=instead("")),
    Chaos("null answers", say=instead(None)),
    Chaos("thoughts without end", say=instead("<think>Hmm. " * 300, finish="length")),
    Chaos("prose in Chinese", say=instead("好的 我很乐意为您推荐商品。", top="foreign")),
    Chaos("Chinese in the form", say=by(CHINESE)),
    Chaos("repeats itself to the limit", say=instead("very " * 2000, finish="length", top="nan")),
    Chaos("a megabyte in the form", say=by(ENDLESS)),
    Chaos("obeys: ids not offered, huge numbers", say=by(NOT_OFFERED)),
    Chaos("obeys: forbidden words in the form", say=by(FORBIDDEN)),
    Chaos("NaN log-probabilities", say=odd("nan")),
    Chaos("positive log-probabilities", say=odd("positive")),
]


class ChaosServer(FaultyServer):
    """A capable model with one fault."""

    def __init__(self, chaos: Chaos) -> None:
        super().__init__(always=self._answer)
        self.chaos = chaos
        self._before: dict[str, int] = {}

    async def _answer(self, exchange: Exchange) -> None:
        asked = json.dumps(exchange.body, sort_keys=True)
        before = self._before[asked] = self._before.get(asked, -1) + 1
        if self.chaos.dies and len(self.requests) == self.chaos.dies[0]:
            await self._die(exchange, self.chaos.dies[1])
            return
        good = body(self.chaos.say(exchange.body).raw, kind=JSON)
        await self.chaos.hurt(good, before)(exchange)

    async def _die(self, exchange: Exchange, for_s: float | None) -> None:
        """Every connection is reset and new ones are refused; perhaps it listens again later."""
        await self.refuse()
        for exchanging in self._exchanging - {asyncio.current_task()}:
            exchanging.cancel()
        exchange.drop()
        if for_s is not None:
            await asyncio.sleep(for_s)
            await self.listen(self.port)
