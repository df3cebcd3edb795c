"""A chat-completions server on loopback that misbehaves by script.

    with FaultyServer(status(429, retry_after="1"), say("hello")) as server:
        ...                       # two requests: the first is refused, the second answered
    assert len(server.requests) == 2

A fault is an async function of the exchange: it writes what a broken server would write, byte by byte.
Once the script is used up every request gets HTTP 418, which no client tries again. The server runs
in a thread with a loop of its own, so clients of any loop, thread or process can ask it.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

JSON = "application/json"
SSE = "text/event-stream"
TURNS = 5
"""Turns of the loop from a connection's arrival to its first request: asyncio takes three."""


@dataclass
class Exchange:
    """One request and the way back to who sent it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    writer: asyncio.StreamWriter

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def head(self, code: int, kind: str, *more: str) -> None:
        lines = [f"HTTP/1.1 {code} X", f"Content-Type: {kind}", *more, "", ""]
        await self.send("\r\n".join(lines).encode())

    async def reply(self, code: int, kind: str, raw: bytes, *more: str) -> None:
        await self.head(code, kind, f"Content-Length: {len(raw)}", *more)
        await self.send(raw)

    def drop(self) -> None:
        self.writer.transport.abort()


Fault = Callable[[Exchange], Awaitable[None]]


def completion(content: str | None, *, finish: str = "stop", logprobs: Any = None) -> bytes:
    """The body of a whole reply that used 10 prompt tokens, 4 of them cached, and 3 others."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content},
        "finish_reason": finish,
        "logprobs": logprobs,
    }
    return json.dumps(_envelope("chat.completion", choice) | {"usage": USAGE}).encode()


USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 3,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 4},
}


def _envelope(kind: str, *choices: dict[str, Any]) -> dict[str, Any]:
    return {"id": "c1", "object": kind, "created": 1, "model": "x", "choices": list(choices)}


def say(content: str | None, *, finish: str = "stop", logprobs: Any = None) -> Fault:
    """A whole reply: no fault at all."""
    return body(completion(content, finish=finish, logprobs=logprobs))


def odds(*top: tuple[str, float]) -> Fault:
    """One token with the log-probabilities of its candidates."""
    entries = [{"token": token, "logprob": value, "bytes": None} for token, value in top]
    return say(top[0][0], logprobs={"content": [entries[0] | {"top_logprobs": entries}]})


def body(raw: bytes, *, code: int = 200, kind: str = JSON) -> Fault:
    """Any bytes, with the right Content-Length."""

    async def run(exchange: Exchange) -> None:
        await exchange.reply(code, kind, raw)

    return run


def status(
    code: int, message: str = "no", *, error_code: str | None = None, retry_after: str = ""
) -> Fault:
    """An HTTP error in OpenAI's form."""
    error = {"error": {"message": message, "type": "x", "code": error_code}}
    more = [f"Retry-After: {retry_after}"] if retry_after else []

    async def run(exchange: Exchange) -> None:
        await exchange.reply(code, JSON, json.dumps(error).encode(), *more)

    return run


async def drop(exchange: Exchange) -> None:
    """The connection is reset before any header."""
    exchange.drop()


async def drop_in_body(exchange: Exchange) -> None:
    """The connection is reset in the middle of the body."""
    raw = completion("hello")
    await exchange.head(200, JSON, f"Content-Length: {len(raw)}")
    await exchange.send(raw[: len(raw) // 2])
    exchange.drop()


async def stall(exchange: Exchange) -> None:
    """No byte ever comes."""
    await asyncio.sleep(3600)


async def drip(exchange: Exchange) -> None:
    """A byte at a time for ever: never silent, never done."""
    await exchange.head(200, JSON, "Content-Length: 100000")
    while True:
        await exchange.send(b" ")
        await asyncio.sleep(0.02)


def slow(seconds: float, then: Fault) -> Fault:
    """A reply after a while."""

    async def run(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await then(exchange)

    return run


def stream(*words: str, end: str = "done", finish: str | None = "stop") -> Fault:
    """Server-sent events: one chunk a word, then the finish reason, the usage and the end.

    Args:
        words: the content of each chunk.
        end: "done"; "drop", a reset after the words; "eof", an orderly close after the words, where
            nothing but the missing finish reason shows the loss; "stall", silence after the words;
            "error", an error event.
        finish: the finish reason.
    """

    async def run(exchange: Exchange) -> None:
        await exchange.head(200, SSE, "Connection: close")
        for word in words:
            delta = {"index": 0, "delta": {"role": "assistant", "content": word}}
            await exchange.send(_event(_envelope("chat.completion.chunk", delta)))
        if end == "done":
            last = {"index": 0, "delta": {}, "finish_reason": finish}
            await exchange.send(_event(_envelope("chat.completion.chunk", last)))
            await exchange.send(_event(_envelope("chat.completion.chunk") | {"usage": USAGE}))
            await exchange.send(b"data: [DONE]\n\n")
        elif end == "error":
            await exchange.send(_event({"error": {"message": "engine died", "code": 500}}))
        elif end == "stall":
            await asyncio.sleep(3600)
        elif end == "drop":
            await asyncio.sleep(0.05)  # so that the words arrive before the reset
            exchange.drop()
        exchange.writer.close()

    return run


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


class FaultyServer:
    """A running server; a context manager.

    Attributes:
        requests: what came in, in order of arrival.
        most_open: requests that were ever under way at once.
        url: its address, as MERCHGRAPH_VLLM_BASE_URL takes it.
    """

    def __init__(self, *script: Fault, always: Fault | None = None) -> None:
        self.script = script
        self.always = always or status(418, "the script is used up")
        self.requests: list[Exchange] = []
        self.most_open = self._open = 0
        self.url = ""
        self._exchanging: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)))
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():  # a test may have stopped it
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [request.body for request in self.requests]

    async def listen(self, port: int = 0) -> None:
        """Take connections at a port, any free one by default; in the server's own loop."""
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", port, backlog=1000)
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    async def refuse(self) -> None:
        """Take no more connections; in the server's own loop."""
        for listening in self.server.sockets:  # accept no more,
            self._loop.remove_reader(listening.fileno())
        for _ in range(TURNS):  # and let begin what was accepted, or nobody would close it
            await asyncio.sleep(0)
        self.server.close()

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await self.listen()
        started.set()
        await self._stop.wait()
        await self.refuse()
        for exchanging in self._exchanging:
            exchanging.cancel()
        await asyncio.gather(*self._exchanging, return_exceptions=True)
        self.server.close()  # a fault may have listened again in the meantime
        await asyncio.sleep(0)  # a transport closes in the loop's next turn

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._exchanging.add(task)
        try:
            while not writer.is_closing():
                exchange = await _read(reader, writer)
                number = len(self.requests)
                self.requests.append(exchange)
                fault = self.script[number] if number < len(self.script) else self.always
                self._open += 1
                self.most_open = max(self.most_open, self._open)
                try:
                    await fault(exchange)
                finally:
                    self._open -= 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            self._exchanging.discard(task)
            if self._stop.is_set():
                writer.transport.abort()  # what nobody reads would keep it open
            writer.close()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
    raw = await reader.readexactly(int(headers.get("content-length", 0)))
    return Exchange(first.split()[1], headers, json.loads(raw or b"{}"), writer)
