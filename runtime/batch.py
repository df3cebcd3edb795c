"""Runs over millions of rows: one row out per row in, whatever is killed in between.

    job = Job("merchgraph.graphs.rows:rows", {"graph": "arag", "context": {...}}, table, folder, 64)
    tally = asyncio.run(run(job))

What answers a row is named as `module:factory` and made where it works, since a compiled graph cannot be
sent to another process. A row that fails becomes its error and the others go on; only where many in a row
fail alike (no server, no quota) does the batch stop, so that `resume` can go on once that is mended.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Protocol

from pydantic import BaseModel

from merchgraph.runtime.batch_columns import columns_of
from merchgraph.runtime.batch_garbage import seldom_collected
from merchgraph.runtime.batch_input import Input, Row, row_id
from merchgraph.runtime.batch_output import Folder, Shard
from merchgraph.runtime.errors import (
    BudgetError,
    DataError,
    EndpointError,
    MerchgraphError,
    SetupError,
)
from merchgraph.runtime.ledger import Usage
from merchgraph.runtime.log import logger

LEAST_ALIKE = 20
Done = tuple[bytes, Usage]
"""The fields of a result as JSON, and what it took."""
log = logger("batch")


class Answering(Protocol):
    """Makes a result of a row; its errors of our tree carry the calls that were made (`error.calls`)."""

    @property
    def kind(self) -> type[BaseModel]:
        """Of the results; their fields are the columns."""

    def __call__(self, row: Row, /) -> Awaitable[BaseModel]:
        """The result of one row."""


@dataclass(frozen=True)
class Job:
    """A batch, as plain data that goes to other processes.

    Attributes:
        factory: `module:name` of a function that makes an `Answering`.
        given: its arguments.
        concurrency: rows under way at once, in one process.
    """

    factory: str
    given: Mapping[str, Any]
    table: Input
    folder: Folder
    concurrency: int

    def answering(self) -> Answering:
        """What answers rows, made here."""
        module, _, name = self.factory.partition(":")
        made: Answering = getattr(import_module(module), name)(**self.given)
        return made

    @property
    def manifest(self) -> dict[str, Any]:
        """What must be the same for a batch to go on."""
        table = self.table
        about = {
            "file": table.path.name,
            "sha256": table.sha256,
            "rows": table.count,
            "id": table.id,
        }
        return {"factory": self.factory, "given": dict(self.given), "input": about}


@dataclass
class Tally:
    """How far a batch is.

    Attributes:
        rows: finished, with those of earlier sittings.
        old: of these, from earlier sittings.
        failed: rows of this sitting whose error is their result.
        prompt, cached, completion: tokens of this sitting.
    """

    rows: int = 0
    old: int = 0
    failed: int = 0
    calls: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def add(self, other: Tally) -> None:
        """Count another tally in."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    @classmethod
    def of(cls, used: Usage, failed: bool) -> Tally:
        """Of one finished row."""
        return cls(
            rows=1, failed=failed, calls=used.calls, prompt=used.prompt_tokens,
            cached=used.cached_tokens, completion=used.completion_tokens,
        )  # fmt: skip


Tell = Callable[[Tally], None]


def silent(tally: Tally) -> None:
    """Tells nobody."""


@dataclass
class Worker:
    """Runs the rows of shards, `concurrency` at once over all of them; one per process."""

    job: Job
    _alike: list[str] = field(default_factory=list)
    _broken: MerchgraphError | None = None

    def __post_init__(self) -> None:
        self.answer = self.job.answering()
        self.columns = columns_of(self.answer.kind)
        self.slots = asyncio.Semaphore(self.job.concurrency)

    async def shard(self, number: int, tell: Tell) -> asyncio.Task[None]:
        """Begin all rows of a shard that are not done; returns when the last one has a slot.

        Args:
            number: of the shard.
            tell: called with what each finished row adds.

        Returns:
            the task that ends when the shard's file is in place.

        Raises:
            SetupError: many rows in a row failed alike, or the disk takes no more.
        """
        shard = await asyncio.to_thread(self.job.folder.shard(number, self.columns).load)
        if found := len(shard.rows) if not shard.whole else shard.count:
            tell(Tally(rows=found, old=found))
        running: list[asyncio.Task[None]] = []
        if not shard.whole:
            rows = await asyncio.to_thread(self.job.table.piece, number)
            if len(rows) != shard.count:
                raise DataError(
                    f"The input {str(self.job.table.path)!r} changed while it was read."
                )
            try:
                for place, row in enumerate(rows, start=shard.first):
                    if place not in shard.rows:
                        await self.slots.acquire()
                        running.append(asyncio.create_task(self._one(shard, place, row, tell)))
                        if self._broken is not None:
                            raise self._broken
            except BaseException:
                await _stopped(running)
                shard.close()
                raise
        return asyncio.create_task(_finished(shard, running))

    async def _one(self, shard: Shard, number: int, row: Row, tell: Tell) -> None:
        try:
            name = row_id(self.job.table, number, row.get(self.job.table.id))
            asked = asyncio.ensure_future(self._answered(row))
            try:
                await asyncio.wait([asked])
            except asyncio.CancelledError:
                await _stopped([asked])
                raise
            error = asked.exception()
            self._watch(error)
            whole, used = self._failed(error) if error is not None else asked.result()
            told = None if error is None else f"{type(error).__name__}: {error}"
            ours = json.dumps({"row": number, "id": name, "error": told}).encode()
            shard.note(number, ours[:-1] + b", " + whole[1:])
            tell(Tally.of(used, error is not None))
        except MerchgraphError as error:
            self._broken = self._broken or error
            raise
        finally:
            self.slots.release()

    async def _answered(self, row: Row) -> Done:
        """A row's result."""
        result = await self.answer(row)
        try:
            text = result.model_dump_json()
        except ValueError:  # a lone surrogate
            text = json.dumps(result.model_dump(mode="json"))
        return text.encode(), getattr(result, "usage", Usage())

    def _failed(self, error: BaseException) -> Done:
        """What stands in a row's columns in place of a result."""
        used = Usage.of(error.calls if isinstance(error, MerchgraphError) else ())
        fields: dict[str, Any] = dict.fromkeys(self.answer.kind.model_fields)
        if "usage" in fields:
            fields["usage"] = used.model_dump(mode="json")
        return json.dumps(fields).encode(), used

    def _watch(self, error: BaseException | None) -> None:
        """Stop where many rows one after the other fail of one cause, which is not theirs.

        Raises:
            SetupError: that is so.
        """
        if error is None:
            self._alike.clear()
            return
        if isinstance(error, DataError):
            return  # the row's own
        if not isinstance(error, MerchgraphError):
            log.error("batch.bug", error=repr(error), exc_info=error)
        server = isinstance(error, EndpointError | BudgetError)
        cause = type(error).__name__ if server else str(error)
        if self._alike and self._alike[-1] != cause:
            self._alike.clear()
        self._alike.append(cause)
        most = max(LEAST_ALIKE, 2 * self.job.concurrency)
        if len(self._alike) >= most:
            raise SetupError(f"{most} rows one after the other failed alike: {error} Mend it, and "
                             "go on with --resume.") from error  # fmt: skip


async def _finished(shard: Shard, running: list[asyncio.Task[None]]) -> None:
    try:
        await asyncio.gather(*running)
        if not shard.whole:
            await asyncio.to_thread(shard.finish)
    finally:
        await _stopped(running)
        shard.close()


async def _stopped(tasks: list[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def run(job: Job, tell: Tell = silent, *, resume: bool = False) -> Tally:
    """Run a batch in this process.

    Args:
        job: what is run over what.
        tell: called after every row with the tally so far.
        resume: go on with a batch that was stopped; rows that failed in it are run again.

    Raises:
        SetupError: the folder cannot be used, or many rows in a row failed alike.
        DataError: the input or a shard changed on disk.
    """
    whole = Tally()

    def count(tally: Tally) -> None:
        whole.add(tally)
        tell(whole)

    with job.folder.opened(job.manifest, resume=resume), seldom_collected():
        worker, open_ = Worker(job), list[asyncio.Task[None]]()
        try:
            for number in range(job.table.pieces):
                open_.append(await worker.shard(number, count))
                for ended in [task for task in open_ if task.done()]:
                    open_.remove(ended)
                    ended.result()
            await asyncio.gather(*open_)
        finally:
            await _stopped(open_)
    return replace(whole)
