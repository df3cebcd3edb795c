"""The tape of one run: what its models, tools, clock and seeds answered, and what replay serves.

An answer's place on the tape is the hash of the request, the lane (the branch of a fan-out) and the
occurrence (how often this lane has asked just that). So equal prompts side by side keep their own
answers, in whatever order they come; no address, id or time is part of it.

    record          everything is asked and recorded
    record_missing  what is on the tape is served, the rest is asked and recorded
    replay          everything is served; what is missing is an error that shows the nearest recorded
                    request, and so is an answer that nobody asked for

Without a tape a run is live. `recording.py` opens tapes, and `playing.py` is how code asks the one that
is running.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from langchain_core.outputs import ChatGenerationChunk, ChatResult

from merchgraph.runtime.errors import MerchgraphError, SetupError, TapeError
from merchgraph.runtime.faults import ABANDONED, UNREAD, as_fault, fail_again
from merchgraph.runtime.ledger import Call, here, record
from merchgraph.runtime.nearest import explain_miss
from merchgraph.runtime.trace import CallLine, Fault, JsonObject, NodeLine, ToolLine
from merchgraph.runtime.wire import (
    as_chunk,
    as_plain,
    as_result,
    hide,
    hide_split,
    key_of,
    message_json,
)

Mode = Literal["record", "record_missing", "replay"]
Answer = CallLine | ToolLine
Enter = Callable[[Call], None]
"""Puts a request on the ledger."""


class Place(NamedTuple):
    """Where an answer stands on a tape."""

    key: str
    lane: str
    occurrence: int


Shelf = dict[Place, Answer]
"""Answers that may be served."""


def shelf(lines: Iterable[Answer]) -> Shelf:
    """Answers by their place."""
    return {Place(line.key, line.lane, line.occurrence): line for line in lines}


@dataclass
class Tape:
    """The answers of one run, while it is recorded or replayed.

    Attributes:
        run: the run's id, for messages.
        mode: see the module's docstring.
        own: what the run itself was answered when it was recorded.
        shared: what other runs of the file were answered, where asking again gives the same.
        answers: what it was answered now, in the order of the answers.
        nodes: the nodes that ran.
        fresh: how many answers were asked for and not served.
        endpoints: model name -> what a replay needs to know of its server.
    """

    run: str
    mode: Mode
    own: Shelf = field(default_factory=dict)
    shared: Callable[[Place], Answer | None] = lambda place: None
    answers: list[Answer] = field(default_factory=list)
    nodes: list[NodeLine] = field(default_factory=list)
    fresh: int = 0
    endpoints: dict[str, JsonObject] = field(default_factory=dict)
    _asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    _began: float = field(default_factory=time.monotonic)
    _streams: list[_Taking] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return round(time.monotonic() - self._began, 4)

    async def call(
        self, asked: JsonObject, live: Callable[[Enter], Awaitable[ChatResult]]
    ) -> ChatResult:
        """A model's reply, whole; asked by `live` where it is not served."""
        place = self.place(asked)
        line = self._served(place, asked)
        if line is not None:
            _enter(line)
        else:
            taking = _Taking(self, place, asked)
            with taking.watched():
                result = await live(taking.enter)
                taking.chunks += [message_json(reply) for reply in result.generations[:1]]
            line = taking.kept
            assert line is not None, "what was watched is kept"
        if line.fault:
            await fail_again(line.fault)
        return as_result(line.chunks)

    async def stream(
        self, asked: JsonObject, live: Callable[[Enter], AsyncGenerator[ChatGenerationChunk, None]]
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        """A model's reply, chunk by chunk as it was recorded."""
        place = self.place(asked)
        line = self._served(place, asked)
        if line is not None:
            try:
                for chunk in line.chunks:
                    yield as_chunk(chunk)
            finally:
                _enter(line)
            if line.fault:
                await fail_again(line.fault)
            return
        taking = _Taking(self, place, asked)
        self._streams.append(taking)
        with taking.watched():
            async with aclosing(live(taking.enter)) as pieces:
                async for piece in pieces:
                    yield taking.heard(piece)

    async def tool(self, name: str, args: JsonObject, work: Callable[[], Any]) -> Any:
        """A tool's answer as JSON; worked out in a thread where it is not served."""
        asked = {"tool": name, "args": args}
        place = self.place(asked)
        line = self._served(place, asked)
        if line is None:
            began, value, fault = self.seconds, None, None
            stopped: asyncio.CancelledError | None = None
            try:
                value = hide(as_plain(await asyncio.to_thread(work)))
            except SetupError:
                raise
            except MerchgraphError as error:
                fault = as_fault(error)
            except asyncio.CancelledError as error:
                fault, stopped = as_fault(error), error
            line = ToolLine(**place._asdict(), node=here().node, name=name, args=args, value=value,
                            fault=fault, at_s=began, seconds=round(self.seconds - began, 4))  # fmt: skip
            self.keep(line)
            if stopped is not None:
                raise stopped
        assert isinstance(line, ToolLine), f"{place} is the place of a call"
        if line.fault:
            await fail_again(line.fault)
        return line.value

    def mark(self, name: str, make: Callable[[], JsonObject]) -> JsonObject:
        """A small answer that is there at once: the clock, a seed."""
        asked = {"tool": name, "args": {}}
        place = self.place(asked)
        line = self._served(place, asked)
        if line is None:
            line = ToolLine(**place._asdict(), node=here().node, name=name, value=make(),
                            at_s=self.seconds)  # fmt: skip
            self.keep(line)
        assert isinstance(line, ToolLine), f"{place} is the place of a call"
        value: JsonObject = line.value
        return value

    def settle(self) -> None:
        """The run is over: keep streams whose reader has stopped too, and whose end is still to come.

        LangChain leaves it to the event loop to close what a reader has broken off.
        """
        for taking in self._streams:
            taking.keep(UNREAD)

    def unused(self) -> list[Answer]:
        """What was answered when it was recorded, and nobody asked for."""
        asked = shelf(self.answers)
        left = [line for place, line in self.own.items() if place not in asked]
        return [line for line in left if line.fault != ABANDONED]

    def place(self, asked: JsonObject) -> Place:
        """Where the answer to a request stands, or will stand."""
        key, lane = key_of(asked), here().lane
        self._asked[key, lane] += 1
        return Place(key, lane, self._asked[key, lane] - 1)

    def _served(self, place: Place, asked: JsonObject) -> Any:
        """The recorded answer, None where it has to be asked.

        Raises:
            TapeError: a replay has none.
        """
        line = self.own.get(place)
        if self.mode == "replay":
            if line is None:
                raise TapeError(self._missing(asked))
        elif self.mode == "record" or (line is not None and line.fault):
            line = None
        if line is None:
            line = self.shared(place)
            if line is not None:
                site = {"node": here().node, "at_s": self.seconds}
                line = line.model_copy(update=site)
        if line is not None:
            self.answers.append(line)
        return line

    def _missing(self, asked: JsonObject) -> str:
        site = here()
        who = site.agent or str(asked.get("tool", ""))
        where = f"{who}@{site.lane}" if site.lane else who
        told = explain_miss(asked, where, list(self.own.values()))
        return f"The run {self.run!r} asks what is not on its tape, in {where!r}. {told}"

    def keep(self, line: Answer) -> None:
        """Put a fresh answer on the tape."""
        self.answers.append(line)
        self.fresh += 1


@dataclass
class _Taking:
    """One request that is being recorded."""

    tape: Tape
    place: Place
    asked: JsonObject
    chunks: list[JsonObject] = field(default_factory=list)
    said: list[Any] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    kept: CallLine | None = None

    def __post_init__(self) -> None:
        self._site, self._began = here(), self.tape.seconds

    def enter(self, call: Call) -> None:
        """Put the request on the ledger."""
        self.calls.append(call)
        record(call)

    def heard(self, piece: ChatGenerationChunk) -> ChatGenerationChunk:
        """Take down a chunk of a stream; its reader gets it as a replay will give it."""
        self.chunks.append(message_json(piece))
        self.said.append(piece.message.content)
        return as_chunk(self.chunks[-1])

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take down what the block is answered, or how it fails."""
        try:
            yield
        except SetupError:
            raise
        except (MerchgraphError, asyncio.CancelledError) as error:
            self.keep(as_fault(error))
            raise
        except GeneratorExit:  # its reader has read enough, and will in the replay
            self.keep(UNREAD)
            raise
        self.keep()

    def keep(self, fault: Fault | None = None) -> None:
        """Put the answer on the tape, once."""
        if self.kept is not None:
            return
        self.kept = CallLine(
            **self.place._asdict(), node=self._site.node, agent=self._site.agent, at_s=self._began,
            request=self.asked, chunks=[*hide_split(self.chunks, self.said)], fault=fault,
            call=self.calls[0] if self.calls else None,
        )  # fmt: skip
        self.tape.keep(self.kept)


def _enter(line: CallLine) -> None:
    """A served call costs what it cost when it was asked."""
    if line.call is not None:
        site = here()
        record(line.call.model_copy(update={"node": site.node, "lane": site.lane}))
