"""What the page of a trace shows, as JSON in which everything repeated stands once.

The calls of a run share most of their prompt, and the systems of an evaluation most of their calls. So
texts, JSON values and exchanges (a request with its reply) are tables, and runs hold places in them. A
text that begins like the one before it in its place of the conversation is `[place, n, rest]`: the first
n UTF-16 units of the text there, then the rest.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

from merchgraph.runtime.layout import Edge, layout
from merchgraph.runtime.ledger import Call, Usage, usage_by
from merchgraph.runtime.recorded import called_s, reply, turns
from merchgraph.runtime.trace import CallLine, JsonObject, NodeLine, Run, ToolLine, Trace

WORTH_SHARING = 40
"""Characters; a shorter beginning costs more as a reference."""
MOST_ODDS = 8
LEAST_ODDS = 0.001
LARGEST_INTEGER = 2**53
"""A browser reads larger ones wrongly."""
PLACES = frozenset({"exchange", "args", "value"})
"""Fields that name a place in a table."""


def page_data(trace: Trace) -> JsonObject:
    """The tables, cases and runs of a page, ready for JSON."""
    tables = _Tables()
    runs = [tables.run(run) for run in by_case(trace)]
    return {
        "path": trace.path,
        "problems": trace.problems,
        "closed": trace.closed,
        "cases": {case: tables.value(values) for case, values in trace.cases.items()},
        "runs": runs,
        "texts": tables.texts,
        "values": tables.values,
        "exchanges": tables.exchanges,
        "graphs": tables.graphs,
    }


def by_case(trace: Trace) -> list[Run]:
    """The runs of each case side by side; else in the order of the file."""
    place = {case: number for number, case in enumerate(trace.cases)}
    return sorted(trace.runs.values(), key=lambda run: place.get(run.begin.case, -1))


def token_odds(line: CallLine) -> list[tuple[str, float]]:
    """Tokens that a one-token reply could have been, with their probabilities, likeliest first.

    They are the model's own, not shared out over the labels that were asked for: what is missing to 1
    went to other words. Empty where the server gave no log-probabilities, or several tokens.
    """
    told = [chunk.get("response_metadata") or {} for chunk in line.chunks]
    tokens = [token for each in told for token in _tokens(each)]
    if len(tokens) != 1:
        return []
    found = [
        (str(entry.get("token", "")), math.exp(entry["logprob"]))
        for entry in tokens[0].get("top_logprobs") or []
        if isinstance(entry.get("logprob"), int | float) and entry["logprob"] <= 1e-3
    ]
    return sorted(found, key=lambda pair: -pair[1])


def _tokens(metadata: JsonObject) -> list[JsonObject]:
    logprobs = metadata.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return [token for token in content or [] if isinstance(token, dict)]


def status(run: Run) -> str:
    """Whether a run ended "ok", "degraded" (something failed, and it went on without) or "failed"."""
    if run.end.error:
        return "failed"
    return "degraded" if any(node.error for node in run.nodes) else "ok"


@dataclass
class _Tables:
    """The tables while they grow; each method returns a place in one of them."""

    texts: list[Any] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    exchanges: list[JsonObject] = field(default_factory=list)
    graphs: list[JsonObject] = field(default_factory=list)
    _places: dict[tuple[str, str], int] = field(default_factory=dict)
    _before: dict[tuple[str, int], int] = field(default_factory=dict)
    _whole: list[str] = field(default_factory=list)

    def text(self, text: str, speaker: tuple[str, int]) -> int:
        """Place of a text; `speaker` is the agent, and the text's number in the conversation."""
        place = self._places.get(("text", text))
        if place is None:
            place = self._places["text", text] = len(self.texts)
            self.texts.append(self._shortened(text, self._before.get(speaker)))
            self._whole.append(text)
        self._before[speaker] = place
        return place

    def _shortened(self, text: str, before: int | None) -> Any:
        if before is None:
            return text
        same = _alike(text, self._whole[before])
        if same < WORTH_SHARING:
            return text
        units = len(text[:same].encode("utf-16-le", "surrogatepass")) // 2
        return [before, units, text[same:]]

    def value(self, value: Any) -> int:
        """Place of a JSON value."""
        safe = _safe(value)
        key = "value", json.dumps(safe)
        if key not in self._places:
            self._places[key] = len(self.values)
            self.values.append(safe)
        return self._places[key]

    def graph(self, structure: JsonObject) -> int:
        """Place of a graph's drawing, -1 for no graph."""
        if not structure.get("nodes"):
            return -1
        key = "graph", json.dumps(structure)
        if key not in self._places:
            edges = [Edge(*edge[:3]) for edge in structure.get("edges", [])]
            self._places[key] = len(self.graphs)
            self.graphs.append(asdict(layout(structure["nodes"], edges)))
        return self._places[key]

    def exchange(self, line: CallLine) -> int:
        """Place of a request with its reply."""
        agent, said = line.agent, reply(line)
        tool_calls = [call for chunk in line.chunks for call in chunk.get("tool_calls") or []]
        made: JsonObject = {
            "model": line.request.get("model", ""),
            "messages": [
                [turn.role, self.text(turn.content, (agent, number))]
                for number, turn in enumerate(turns(line))
            ],
            "options": self.value(line.request.get("options") or {}),
            "reply": self.text(said.text, (agent, -1)),
            "finish": said.finish_reason,
            "odds": [(t, round(p, 4)) for t, p in token_odds(line)[:MOST_ODDS] if p >= LEAST_ODDS],
        }
        if tool_calls:
            made["tool_calls"] = self.value(tool_calls)
        if line.fault:
            made["fault"] = line.fault.model_dump()
        key = "exchange", json.dumps(made)
        if key not in self._places:
            self._places[key] = len(self.exchanges)
            self.exchanges.append(made)
        return self._places[key]

    def run(self, run: Run) -> JsonObject:
        """One run, as the page shows it."""
        begin, end = run.begin, run.end
        calls = [line.call for line in run.calls if line.call]
        return {
            "id": begin.run, "case": begin.case, "system": begin.system, "graph": begin.graph,
            "started": begin.started, "seconds": end.seconds, "status": status(run),
            "request": self.value(begin.request), "context": self.value(begin.context),
            "output": self.value(end.output), "answer": self.value(end.answer), "error": end.error,
            "metrics": _safe(end.metrics),
            "header": self.value(run.header.model_dump(exclude={"kind"})),
            "drawing": self.graph(end.structure),
            "usage": _used(end.usage),
            "agents": {name: _used(used) for name, used in usage_by(calls, "agent").items()},
            "nodes": [_node(line) for line in run.nodes],
            "calls": [self.call(line) for line in run.calls],
            "tools": [self.tool(line) for line in run.tools],
        }  # fmt: skip

    def call(self, line: CallLine) -> JsonObject:
        """One call of a run."""
        ledger = line.call or Call(agent=line.agent, model="")
        return _without_empty(
            {
                "exchange": self.exchange(line), "node": line.node, "lane": line.lane,
                "agent": line.agent, "at": round(line.at_s, 4), "same_as": line.same_as,
                "occurrence": line.occurrence, "took": round(called_s(line), 4),
                "failed": ledger.failed or line.fault is not None,
            }
            | ledger.model_dump(include=_LEDGER)
        )  # fmt: skip

    def tool(self, line: ToolLine) -> JsonObject:
        """One answer of a tool."""
        return _without_empty(
            {
                "name": line.name, "node": line.node, "lane": line.lane, "at": round(line.at_s, 4),
                "seconds": round(line.seconds, 4), "args": self.value(line.args),
                "value": self.value(line.value), "same_as": line.same_as,
                "fault": line.fault.model_dump() if line.fault else None,
            }
        )  # fmt: skip


_LEDGER = {
    "seconds", "waited_s", "prompt_tokens", "cached_tokens", "completion_tokens", "tries", "repair",
}  # fmt: skip


def _node(line: NodeLine) -> JsonObject:
    return _without_empty(line.model_dump(exclude={"kind"}))


def _used(usage: Usage) -> JsonObject:
    return _without_empty(usage.model_dump())


def _without_empty(fields: JsonObject) -> JsonObject:
    """Fields that say something: not "", 0, False or None, but for places in a table."""
    return {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in fields.items()
        if value or name in PLACES
    }


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _safe(value: Any) -> Any:
    """JSON that every browser reads as it was written."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        return str(value)
    if isinstance(value, dict):
        return {str(name): _safe(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_safe(inner) for inner in value]
    return value
