"""A recorded run as exporters and comparisons read it: chat turns, replies, visits to nodes.

Trace lines are written for replay (`trace.py`); here they become what a person would call a
conversation, in the words of chat formats: roles `system`, `user`, `assistant`, `tool`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, NamedTuple

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.trace import CallLine, JsonObject, NodeLine, Run, ToolLine, Trace

ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}
CHANCE = ("clock", "seed")
"""Names of tool lines that only a replay needs: no tool of the graph answered there."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Turn(NamedTuple):
    """One message of a conversation."""

    role: str
    content: str


class Reply(NamedTuple):
    """What a model said: its text, and why it stopped ("" where unknown)."""

    text: str
    finish_reason: str


@dataclass
class Visit:
    """One node that ran once in one lane, with what it asked; `node` is None outside all nodes."""

    node: NodeLine | None
    calls: list[CallLine] = field(default_factory=list)
    tools: list[ToolLine] = field(default_factory=list)


def turns(call: CallLine) -> list[Turn]:
    """The messages of a request."""
    return [
        Turn(ROLES.get(kind := str(message.get("type", "")), kind), text_of(message))
        for message in call.request.get("messages", [])
    ]


def reply(call: CallLine) -> Reply:
    """The reply of a call, chunks put together; empty for a call that failed."""
    reasons = [str(reason) for chunk in call.chunks if (reason := _finish_reason(chunk))]
    return Reply("".join(map(text_of, call.chunks)), reasons[-1] if reasons else "")


def text_of(message: JsonObject) -> str:
    """The text of a message, whose content is a text or a list of blocks."""
    content = message.get("content", "")
    if isinstance(content, str):
        return content
    return "".join(map(_said, content))


def _said(block: Any) -> str:
    """A block of a message; of a picture its hash, by which two of them can be told apart."""
    if isinstance(block, str):
        return block
    if block.get("type") != "image_url":
        return str(block.get("text", ""))
    told = block.get("image_url")
    address = str(told.get("url", "") if isinstance(told, dict) else told)
    digest = address.partition("sha256:")[2]
    return f"\n[picture {digest[:12] or address[:80]}]\n"


def labels(call: CallLine) -> list[str]:
    """The one-token labels that a `choose` asked between; empty for any other call."""
    return [str(label) for label in call.request.get("options", {}).get("labels") or []]


def is_choice(call: CallLine) -> bool:
    """Whether the call is a `choose`, for which one token is the answer."""
    options = call.request.get("options", {})
    return bool(options.get("labels") or options.get("logprobs"))


def odds(call: CallLine) -> dict[str, float]:
    """What a `choose` was told: label -> probability, summing to 1; empty where the reply has none."""
    mass = dict.fromkeys(labels(call), 0.0)
    for chunk in call.chunks:
        told = (chunk.get("response_metadata") or {}).get("logprobs") or {}
        for token in told.get("content") or []:
            for entry in token.get("top_logprobs") or []:
                if (label := str(entry["token"]).strip()) in mass:
                    mass[label] += math.exp(float(entry["logprob"]))
    whole = sum(mass.values())
    return {label: value / whole for label, value in mass.items()} if whole else {}


def provider_and_model(name: str) -> tuple[str, str]:
    """The two parts of a model's name, for example ("vllm", "Qwen/Qwen3-8B")."""
    provider, slash, model = name.partition("/")
    return (provider, model) if slash else ("", name)


def visits(run: Run) -> list[Visit]:
    """The nodes in the order in which they began, each with its calls and tools; what was asked
    outside of all nodes stands in a last visit without node."""
    found = [Visit(node) for node in sorted(run.nodes, key=lambda node: node.started_s)]
    outside = Visit(None)
    for call in run.calls:
        _visited(found, call, outside).calls.append(call)
    for tool in run.tools:
        if tool.name not in CHANCE:
            _visited(found, tool, outside).tools.append(tool)
    return [*found, outside] if outside.calls or outside.tools else found


def _visited(found: list[Visit], line: CallLine | ToolLine, outside: Visit) -> Visit:
    """The last visit that had begun; a node that ran again has several."""
    same = [v for v in found if v.node and (v.node.node, v.node.lane) == (line.node, line.lane)]
    begun = [v for v in same if v.node and v.node.started_s <= line.at_s]
    return (begun or same[:1] or [outside])[-1]


def called_s(call: CallLine) -> float:
    """How long the run waited for the answer; one taken from another run of the file took no time."""
    if call.call is None or call.same_as:
        return 0.0
    return call.call.seconds + call.call.waited_s


def moment(run: Run, at_s: float = 0.0) -> datetime:
    """The UTC time so many seconds after the run began; 1970 where the trace has no times."""
    return _started(run) + timedelta(seconds=at_s)


def unix_ns(run: Run, at_s: float = 0.0) -> int:
    """The same in nanoseconds since 1970; exact to the microsecond."""
    return (moment(run, at_s) - EPOCH) // timedelta(microseconds=1) * 1000


def _started(run: Run) -> datetime:
    text = run.begin.started or run.header.made
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return EPOCH
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def metrics_of(run: Run) -> dict[str, float]:
    """What the suite measured, without what is undefined for the case."""
    told = run.end.metrics.items()
    return {name: value for name, value in told if value is not None and math.isfinite(value)}


def outcome(run: Run) -> Any:
    """What came out, as JSON: the graph's Result, or else what the suite took from the system."""
    return run.end.answer if run.end.output is None else run.end.output


def ranking(run: Run) -> list[str]:
    """The item ids that the run ranked, best first; empty where it ranked none."""
    for told in (run.end.answer, run.end.output):
        rows = told.get("ranking") if isinstance(told, dict) else None
        if isinstance(rows, list) and rows:
            return [str(row.get("item", "") if isinstance(row, dict) else row) for row in rows]
    return []


def strings(value: Any) -> Iterator[str]:
    """Every text inside a JSON value: the ids that a case's truth names."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def of_case(name: str, *traces: Trace) -> list[Trace]:
    """The traces with the runs of one case alone; outside of evaluations, with the run of that id.

    Raises:
        SetupError: none of them has it.
    """
    kept = [
        {id: run for id, run in trace.runs.items() if name in (run.begin.case, id)}
        for trace in traces
    ]
    if not any(kept):
        runs = (run for trace in traces for run in trace.runs.values())
        known = list(dict.fromkeys(run.begin.case or run.id for run in runs))
        near = ", ".join(get_close_matches(name, known, n=3, cutoff=0.0))
        there = (
            f"the nearest of the {len(known)} that are there: {near}" if near else "there is none"
        )
        raise SetupError(f"There is no case or run {name!r}; {there}.")
    pairs = zip(traces, kept, strict=True)
    return [trace.model_copy(update={"runs": runs}) for trace, runs in pairs]


def system_of(run: Run) -> str:
    """What ran, in one name: the evaluation's system, or else the graph."""
    return run.begin.system or run.begin.graph or "run"


def _finish_reason(chunk: JsonObject) -> str:
    for part in ("response_metadata", "generation_info"):
        if reason := (chunk.get(part) or {}).get("finish_reason"):
            return str(reason)
    return ""
