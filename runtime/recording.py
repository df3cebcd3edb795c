"""Record the runs inside a block into a trace, or replay them from one.

with recorded("x.jsonl.zst"):
    arag.run(request, context)           # in the file when it has ended
with replayed("x.jsonl.zst"):
    arag.run(request, context)           # the same result, without a model, a server or the shop
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from pydantic import BaseModel

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.recorder import Recorder
from merchgraph.runtime.take import Take, taken
from merchgraph.runtime.tape import Mode
from merchgraph.runtime.trace import JsonObject

_recorder: ContextVar[Recorder | None] = ContextVar("merchgraph_recorder", default=None)


@contextmanager
def recorded(
    path: str | Path,
    mode: Mode = "record",
    *,
    params: JsonObject | None = None,
    share: bool = False,
) -> Iterator[Recorder]:
    """Record every graph that is run inside the block; see `Recorder` for the arguments.

    Raises:
        SetupError: as `Recorder`; or no graph was run, or none that could see the block.
    """
    recorder = Recorder(path, mode, params=params, share=share)
    token = _recorder.set(recorder)
    try:
        yield recorder
    except BaseException:
        recorder.stop()
        raise
    else:
        recorder.close()
        if not recorder.begun:
            raise SetupError(
                f"No graph ran inside the block of {str(path)!r}; one in a thread or an event loop "
                "that was there before cannot see it: begin it inside, in a copy of the context."
            )
    finally:
        _recorder.reset(token)


@contextmanager
def replayed(path: str | Path) -> Iterator[Recorder]:
    """Serve every graph that is run inside the block from a trace that holds just these runs.

    Raises:
        TapeError: a run, or a request in it, that was not recorded; or one that was, and did not come.
        SetupError: as `recorded`.
    """
    with recorded(path, "replay") as recorder:
        yield recorder
    recorder.check_all_played()


@contextmanager
def taking(
    graph: str, request: BaseModel, context: BaseModel, structure: JsonObject
) -> Iterator[Take | None]:
    """The take of a graph's run: the one that its caller opened, or a new one of the recorder."""
    take, recorder = taken(), _recorder.get()
    if take is not None:
        take.graph(graph, request, context, structure)
        yield take
    elif recorder is None:
        yield None
    else:
        with recorder.run(recorder.same_run(graph, request, context)) as take:
            take.graph(graph, request, context, structure)
            yield take
