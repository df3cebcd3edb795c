"""A trace: runs on disk, complete enough to replay each without a model, a server or the data.

The file is zstd JSON lines (`zstdcat x.jsonl.zst | jq` reads it), one compressed frame per finished
run (`frames.py`), and every line says its `kind`:

    header  what recorded: versions, prompt hashes, settings and seed of the suite; one per sitting
    case    an evaluation's case, as the suite made it
    run     one run begins: its graph, request, context, case and system
    call    one answer of a model, with its whole request
    tool    one answer of a tool, of the clock, or a seed
    node    one node of the graph ran, from when to when
    end     the run's output, metrics and usage
    close   the sitting ended in order, after so many runs

A call that another run of the file had asked before (same request, lane and occurrence) stands there in
full once, and elsewhere as `same_as`. `Trace.read` puts all of it together into `Run` objects.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from merchgraph.runtime.ledger import Call, Usage

FORMAT = 1
JsonObject = dict[str, Any]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
"""Of a run; a billion are thirty years."""


class Line(BaseModel):
    """One line; lines of a later version may bring fields that this one does not know."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: str


class Header(Line):
    """One sitting of recording.

    Attributes:
        made: UTC time, ISO 8601.
        software: package -> version.
        prompts: prompt file (below `prompts/`) -> hash of its text.
        params: what was recorded with which settings, for example a suite's, its seed, its data's
            fingerprint.
    """

    kind: Literal["header"] = "header"
    format: int = FORMAT
    made: str = ""
    software: dict[str, str] = {}
    prompts: dict[str, str] = {}
    params: JsonObject = {}


class CaseLine(Line):
    """An evaluation's case."""

    kind: Literal["case"] = "case"
    case: JsonObject

    @model_validator(mode="after")
    def _asks_an_object(self) -> CaseLine:
        if not isinstance(self.case.get("request", {}), dict):
            raise ValueError("its request is none")
        return self


class RunLine(Line):
    """A run begins.

    Attributes:
        run: its id in the file.
        case: id of its case, "" outside an evaluation.
        system: the system of the evaluation that ran.
        graph: the graph's name, "" for a system without one.
        request: in the file only where it is not the case's.
        started: UTC time, ISO 8601.
    """

    kind: Literal["run"] = "run"
    run: str
    case: str = ""
    system: str = ""
    graph: str = ""
    request: JsonObject = {}
    context: JsonObject = {}
    started: str = ""


class Fault(BaseModel):
    """A failure that a request ended with: the class in the error tree, and its sentence.

    A request that its node's time limit stopped has the type "cancelled", one that was given up for
    another reason "abandoned"; a stream whose reader stopped before its end has the type "unread".
    """

    model_config = ConfigDict(frozen=True)

    type: str
    message: str = ""
    retryable: bool = False


def _is_message(fields: JsonObject) -> bool:
    content = fields.get("content", "")
    told = content if isinstance(content, list) else []
    parts = isinstance(content, str | list) and all(isinstance(part, str | dict) for part in told)
    return parts and all(isinstance(fields.get(name) or {}, dict) for name in _TOLD)


_TOLD = ("response_metadata", "additional_kwargs", "usage_metadata", "generation_info")


class CallLine(Line):
    """One answer of a model.

    Attributes:
        key: hash of `request`.
        lane: branch of a fan-out; part of the key.
        occurrence: how often the run had asked this before in this lane; part of the key.
        node, agent: who asked.
        at_s: seconds since the run began.
        request: model, messages as {type, content, ...}, options (schema, sampling, stop).
        chunks: the reply's messages as they came: one, or the chunks of a stream.
        fault: how it failed, instead of chunks.
        call: its line on the ledger.
        same_as: run id of the line that holds request, chunks and call.
    """

    kind: Literal["call"] = "call"
    key: str
    lane: str = ""
    occurrence: int = 0
    node: str = ""
    agent: str = ""
    at_s: Seconds = 0.0
    request: JsonObject = {}
    chunks: list[JsonObject] = []
    fault: Fault | None = None
    call: Call | None = None
    same_as: str = ""

    @model_validator(mode="after")
    def _holds_messages(self) -> CallLine:
        asked, options = self.request.get("messages", []), self.request.get("options", {})
        if not isinstance(asked, list) or not isinstance(options, dict):
            raise ValueError("its request is none")
        if not isinstance(options.get("labels") or [], list):
            raise ValueError("its labels are none")
        for message in [*asked, *self.chunks]:
            if not isinstance(message, dict) or not _is_message(message):
                raise ValueError("it holds a message that is none")
        return self


class ToolLine(Line):
    """One answer of a tool, of the clock (`clock`) or of the seeds (`seed`).

    Attributes:
        key: hash of name and args.
        value: what it answered, as JSON.
        fault: how it failed, instead of a value.
        seconds: how long it took.
    """

    kind: Literal["tool"] = "tool"
    key: str
    lane: str = ""
    occurrence: int = 0
    node: str = ""
    name: str
    at_s: Seconds = 0.0
    seconds: Seconds = 0.0
    args: JsonObject = {}
    value: Any = None
    fault: Fault | None = None
    same_as: str = ""


class NodeLine(Line):
    """One node ran, in one lane; `error` is the sentence with which it failed or degraded."""

    kind: Literal["node"] = "node"
    node: str
    lane: str = ""
    started_s: Seconds = 0.0
    finished_s: Seconds = 0.0
    error: str = ""


class EndLine(Line):
    """A run ended.

    Attributes:
        output: the graph's Result as JSON; None for a system without a graph.
        answer: what the suite took from it, for example a ranking; {} outside an evaluation.
        metrics: what the suite measured on the answer.
        error: why there is no output.
        endpoints: model name -> what the tape needs to know of its server.
        structure: the graph's structure, {"nodes": [...], "edges": [[from, to, conditional]]}.
        prompts: files of the prompts that it filled; one filled for an earlier run may be left out.
    """

    kind: Literal["end"] = "end"
    output: Any = None
    answer: JsonObject = {}
    error: str = ""
    metrics: dict[str, float | None] = {}
    usage: Usage = Usage()
    seconds: Seconds = 0.0
    endpoints: dict[str, JsonObject] = {}
    structure: JsonObject = {}
    prompts: list[str] = []


class CloseLine(Line):
    """The sitting ended in order."""

    kind: Literal["close"] = "close"
    runs: int = 0


class Run(BaseModel):
    """One recorded run, put together.

    Attributes:
        begin, end: its first and its last line.
        calls, tools: the tape, in the order in which the answers came; `same_as` is resolved.
        nodes: the path taken, in the order in which the nodes finished.
        header: of the sitting that recorded it.
    """

    begin: RunLine
    calls: list[CallLine] = Field(default_factory=list)
    tools: list[ToolLine] = Field(default_factory=list)
    nodes: list[NodeLine] = Field(default_factory=list)
    end: EndLine = EndLine()
    header: Header = Header()

    @property
    def id(self) -> str:
        """Its id in the file."""
        return self.begin.run


class Trace(BaseModel):
    """What a trace file holds.

    Attributes:
        headers: one per sitting, oldest first.
        cases: case id -> case.
        runs: run id -> run, in the order of the file.
        problems: what of the file could not be read, in sentences.
        closed: whether the last sitting ended in order.
    """

    path: str = ""
    headers: list[Header] = Field(default_factory=list)
    cases: dict[str, JsonObject] = Field(default_factory=dict)
    runs: dict[str, Run] = Field(default_factory=dict)
    problems: list[str] = Field(default_factory=list)
    closed: bool = False

    @property
    def prompts(self) -> set[str]:
        """Files of the prompts that its runs filled; empty where they do not say."""
        return {file for run in self.runs.values() for file in run.end.prompts}
