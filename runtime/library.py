"""A model that answers from a trace: `tape/FILE`, or `tape/FILE@MODEL` where the file has several.

    arag.run(request, Context(model="tape/traces/arag.jsonl.zst"))

For notebooks and Studio: the runs need not be those of the file, as long as they ask what was asked
there. `replayed(...)` is stricter: it plays whole runs, their tools included, and misses nothing.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from langchain_core.language_models import BaseChatModel

from merchgraph.runtime.endpoint import Endpoint, response_format
from merchgraph.runtime.errors import SetupError, TapeError
from merchgraph.runtime.limits import Limiter
from merchgraph.runtime.tape import Place, Tape
from merchgraph.runtime.trace import JsonObject
from merchgraph.runtime.trace_file import read


class Library(Tape):
    """All answers of a model in a file, served any number of times."""

    def place(self, asked: JsonObject) -> Place:
        """The request's place in its own lane, else in any; how often it was asked does not matter."""
        place = super().place(asked)._replace(occurrence=0)
        if place in self.own:
            return place
        return next((other for other in self.own if other.key == place.key), place)


@cache
def library_endpoint(name: str, path: str, model: str) -> Endpoint:
    """The endpoint of `tape/PATH@MODEL`; `model` may be empty where the file has one.

    Raises:
        SetupError: there is no such trace, or the model is not in it.
    """
    runs = list(read(Path(path).expanduser()).runs.values())
    calls = [call for run in runs for call in run.calls if not call.fault]
    models = list(dict.fromkeys(str(call.request["model"]) for call in calls))
    if model not in models and (model or len(models) != 1):
        raise SetupError(
            f"The model {name!r} is not clear: the trace {path!r} has answers of "
            f"{', '.join(models) or 'no model'}; write tape/{path}@MODEL with one of them."
        )
    model = model or models[0]
    library = Library(run=path, mode="replay")
    for call in reversed(calls):  # of several answers the first one stays
        if call.request["model"] == model:
            library.own[Place(call.key, call.lane, 0)] = call
    facts = [run.end.endpoints.get(model, {}) for run in runs]
    follows = all(fact.get("follows_schema", True) for fact in facts)
    return Endpoint(
        name=model, open=_no_server, constrain=response_format, limiter=Limiter(name, 1),
        follows_schema=follows, tape=library,
    )  # fmt: skip


def _no_server() -> tuple[str, BaseChatModel]:
    raise TapeError("A model of a trace has no server to ask.")
