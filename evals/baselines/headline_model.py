"""A language model that picks the headline with more clicks; what it was asked may be kept in a trace.

    name = "embedded/smollm2-135m"
    with kept(Path("clicks.jsonl.zst"), name) as recorder:
        judge = of_model(chat_model(name), recorder=recorder)
        judge([("You will not believe this", "A report on soil")])        # [0.52]

What a trace holds is not asked again, so that an evaluation which was stopped goes on where it was.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from langchain_core.language_models import BaseChatModel

from merchgraph.agents.headline_judge import PairJudge
from merchgraph.evals.baselines.headlines import Judge, Pairs
from merchgraph.evals.suite import Answer, Case, Progress, Recorder, Unrecorded
from merchgraph.evals.taped import Taped
from merchgraph.runtime.ledger import Usage, collect
from merchgraph.runtime.loop import run_sync
from merchgraph.runtime.recorder import Recorder as File

SYSTEM = "pairwise"


@contextmanager
def kept(path: Path | None, model: str) -> Iterator[Recorder]:
    """A trace in which a model's answers are kept; without a path none are.

    Args:
        path: the file, made if it is not there; it will hold the headlines, too.
        model: its name; another one may not go on in the file.

    Raises:
        SetupError: the file holds something else, or cannot be written.
    """
    if path is None:
        yield Unrecorded()
        return
    file = File(path, "record_missing", params={"suite": "headlines", "model": model})
    try:
        yield Taped(file)
    except BaseException:
        file.stop()
        raise
    file.close()


def of_model(
    model: BaseChatModel, progress: Progress | None = None, *, recorder: Recorder | None = None
) -> Judge:
    """The judge that asks a model, once for each pair in the order given.

    Args:
        model: as `PairJudge` takes it.
        progress: told after each pair.
        recorder: keeps the answers, and knows those of before; see `kept`.

    Raises:
        ModelReplyError, EndpointError, BudgetError, SetupError: from the judge, as `choose`.
    """
    agent = PairJudge(model)
    return lambda pairs: run_sync(_asked(agent, pairs, recorder or Unrecorded(), progress))


async def _asked(
    agent: PairJudge, pairs: Pairs, recorder: Recorder, progress: Progress | None
) -> list[float]:
    found: dict[tuple[str, str], float] = {}
    distinct = list(dict.fromkeys(pairs))

    async def one(pair: tuple[str, str]) -> None:
        found[pair] = await _preferred(agent, pair, recorder)
        if progress is not None:
            progress(len(found), len(distinct))

    try:
        async with asyncio.TaskGroup() as group:
            for pair in distinct:
                group.create_task(one(pair))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [found[pair] for pair in pairs]


async def _preferred(agent: PairJudge, pair: tuple[str, str], recorder: Recorder) -> float:
    first, second = pair
    key = hashlib.sha256(f"{first}\n{second}".encode()).hexdigest()[:16]
    case = Case(id=key, request={"first": first, "second": second}, truth={})
    answer = recorder.done(case, SYSTEM)
    if answer is None:
        with recorder.run(case, SYSTEM) as run, collect() as calls:
            p = await agent.first(first, second)
            answer = Answer(value={"p": p}, usage=Usage.of(calls))
            run.end(answer, {})
    return float(answer.value["p"])
