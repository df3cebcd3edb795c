"""The Ray engine of a batch: Ray Data hands shards to workers, which run them as one process does.

Workers make what answers from `module:factory`, and read and write by themselves: on more than one
machine, input and output lie on a disk that all of them see, and their environment sets the endpoint. A
worker that dies is started anew by Ray, and goes on from the journal of its shard.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from merchgraph.runtime.batch import Job, Tally, Tell, Worker, silent
from merchgraph.runtime.batch_garbage import seldom_collected
from merchgraph.runtime.errors import MerchgraphError, SetupError

AHEAD = 2
"""Shards that a worker has under way, so that none waits for the last row of the one before."""


class _ShardWorker:
    """A Ray actor's work: batches of one shard number in, their tally out, or why the batch stops."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.worker: Worker | None = None
        seldom_collected().__enter__()  # as long as the process lives

    async def __call__(self, batch: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        for number in batch["shard"].tolist():
            tally, broken = Tally(), ""
            try:
                self.worker = self.worker or Worker(self.job)
                await (await self.worker.shard(number, tally.add))
            except MerchgraphError as error:  # as data: Ray would lose its kind
                broken = str(error)
            yield {name: [value] for name, value in vars(tally).items()} | {"broken": [broken]}


def run_ray(job: Job, tell: Tell = silent, *, resume: bool = False) -> Tally:
    """Run a batch on the Ray cluster that `RAY_ADDRESS` names, or on one of this machine.

    Args:
        job: what is run over what; its concurrency is that of one worker.
        tell: called after every shard with the tally so far.
        resume: as for `merchgraph.runtime.batch.run`.

    Raises:
        SetupError: Ray is not installed; or as `merchgraph.runtime.batch.run`.
        DataError: as `merchgraph.runtime.batch.run`.
    """
    if find_spec("ray") is None:
        raise SetupError(
            "The engine ray needs the package ray, which is not installed; run "
            "`pip install 'merchgraph[ray]'`, or leave --engine out."
        )
    whole = Tally()
    with job.folder.opened(job.manifest, resume=resume):
        for tally in _shards(job):
            whole.add(tally)
            tell(whole)
    return whole


def _shards(job: Job) -> Iterator[Tally]:
    """The tallies of the shards, as they are finished."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    ray, data = import_module("ray"), import_module("ray.data")
    data.DataContext.get_current().enable_progress_bars = False  # ours counts rows
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    started = not ray.is_initialized()
    try:
        if started:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        pieces = range(job.table.pieces)
        numbers = data.from_items(
            [{"shard": number} for number in pieces], override_num_blocks=len(pieces)
        )
        done = numbers.map_batches(
            _ShardWorker, fn_constructor_args=(job,), batch_size=1,
            compute=data.ActorPoolStrategy(
                size=min(workers, len(pieces)), max_concurrent_calls_per_actor=AHEAD
            ),
        )  # fmt: skip
        for row in done.iter_rows():
            if broken := row.pop("broken"):
                raise SetupError(broken)
            yield Tally(**row)
    except (ray.exceptions.RayError, ConnectionError) as error:
        why = str(error).strip().splitlines()
        raise SetupError(
            f"Ray stopped: {why[-1] if why else type(error).__name__:.200}."
        ) from error
    finally:
        if started:
            ray.shutdown()
