"""A model that answers from a trace: `tape/FILE`, or `tape/FILE@MODEL` where the file has several.

    arag.run(request, Context(model="tape/traces/arag.jsonl.zst"))

For notebooks and Studio: the runs need not be those of the file, as long as they ask what was asked
there. `replayed(...)` is stricter: it plays whole runs, their tools included, and misses nothing. What
is recorded with such a model replays without FILE.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from langchain_core.language_models import BaseChatModel
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from merchgraph.runtime.endpoint import Endpoint, response_format
from merchgraph.runtime.errors import SetupError, TapeError
from merchgraph.runtime.ledger import here
from merchgraph.runtime.limits import Limiter
from merchgraph.runtime.nearest import explain_miss
from merchgraph.runtime.tape import Enter
from merchgraph.runtime.trace import CallLine, JsonObject
from merchgraph.runtime.trace_file import read
from merchgraph.runtime.wire import as_chunk, as_result, key_of


@dataclass(frozen=True)
class Library:
    """All answers of a model in a file, served any number of times.

    Attributes:
        path: the file, for messages.
        model: the model's name in the file.
        name: its name now, for the ledger.
        answers: request key -> lane -> the first answer.
    """

    path: str
    model: str
    name: str
    answers: dict[str, dict[str, CallLine]] = field(default_factory=dict)

    def take_in(self, calls: Iterable[CallLine]) -> None:
        """Have these answers too; of several to one request in one lane the first stays."""
        for call in calls:
            self.answers.setdefault(call.key, {}).setdefault(call.lane, call)

    async def whole(self, asked: JsonObject, enter: Enter) -> ChatResult:
        """The reply to a request (`wire.request_json`), whole.

        Raises:
            TapeError: the file has none.
        """
        line = self._line(asked)
        self._charge(line, enter)
        return as_result(line.chunks)

    async def pieces(
        self, asked: JsonObject, enter: Enter
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        """The reply chunk by chunk, as it was recorded.

        Raises:
            TapeError: the file has none.
        """
        line = self._line(asked)
        try:
            for chunk in line.chunks:
                yield as_chunk(chunk)
        finally:
            self._charge(line, enter)

    def _line(self, asked: JsonObject) -> CallLine:
        """The answer in the request's own lane, else in any; how often it was asked does not matter."""
        then, lane = asked | {"model": self.model}, here().lane
        lanes = self.answers.get(key_of(then))
        if lanes is None:
            raise TapeError(self._missing(then))
        return lanes.get(lane) or next(iter(lanes.values()))

    def _charge(self, line: CallLine, enter: Enter) -> None:
        """Answers cost what they cost when the model itself was asked."""
        if line.call is not None:
            enter(line.call.model_copy(update={**here()._asdict(), "model": self.name}))

    def _missing(self, then: JsonObject) -> str:
        site = here()
        where = f"{site.agent}@{site.lane}".rstrip("@")
        recorded = [line for lanes in self.answers.values() for line in lanes.values()]
        return (
            f"The trace {self.path!r} has no answer of {self.model!r} to what is asked in {where!r}. "
            f"{explain_miss(then, where, recorded)}"
        )


@cache
def library_endpoint(name: str, path: str, model: str) -> Endpoint:
    """The endpoint of `tape/PATH@MODEL`; `model` may be empty where the file has one.

    Raises:
        SetupError: there is no such trace, or the model is not in it.
    """
    runs = list(read(Path(path).expanduser()).runs.values())
    calls = [call for run in runs for call in run.calls if not call.fault and call.request]
    models = list(dict.fromkeys(_model(call) for call in calls))
    if model not in models and (model or len(models) != 1):
        raise SetupError(
            f"The model {name!r} is not clear: the trace {path!r} has answers of "
            f"{', '.join(models) or 'no model'}; write tape/{path}@MODEL with one of them."
        )
    library = Library(path, model or models[0], name)
    library.take_in(call for call in calls if _model(call) == library.model)
    facts = [run.end.endpoints.get(library.model, {}) for run in runs]
    follows = all(fact.get("follows_schema", True) for fact in facts)
    return Endpoint(
        name=name, open=_no_server, constrain=response_format, limiter=Limiter(name, 1),
        follows_schema=follows, sight="sees", library=library,
    )  # fmt: skip


def _model(call: CallLine) -> str:
    return str(call.request.get("model", ""))


def _no_server() -> tuple[str, BaseChatModel]:
    raise TapeError("A model of a trace has no server to ask.")
