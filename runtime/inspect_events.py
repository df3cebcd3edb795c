"""The transcript of a run, as events of Inspect: a span a node, model and tool calls within.

    nli i1                 one visit: the node, and its lane in a fan-out
      model, model         its calls and tools, by time
      error                why it failed or degraded
    nli i2

Branches of a fan-out ran side by side, and stand one after the other: so a person can read them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from merchgraph.runtime.ledger import Usage
from merchgraph.runtime.recorded import Visit, called_s, moment, odds, reply, turns, visits
from merchgraph.runtime.trace import CallLine, JsonObject, Run, ToolLine

STOPS = {"stop": "stop", "length": "max_tokens", "tool_calls": "tool_calls"}
SETTINGS = ("temperature", "max_tokens", "top_p", "seed", "logprobs", "top_logprobs")
"""Options of a request that Inspect knows by the same name."""


def events(run: Run) -> Iterator[JsonObject]:
    """What happened, node by node in the order in which they began."""
    for number, visit in enumerate(visits(run)):
        if visit.node is None:
            yield from _asked(run, visit, None)
            continue
        span, name = f"{number}", f"{visit.node.node} {visit.node.lane}".rstrip()
        named = {"id": span, "parent_id": None, "name": name, "type": "agent"}
        yield _at(run, visit.node.started_s, span) | {"event": "span_begin"} | named
        yield from _asked(run, visit, span)
        if visit.node.error:
            told = {"message": visit.node.error, "traceback": "", "traceback_ansi": ""}
            yield _at(run, visit.node.finished_s, span) | {"event": "error", "error": told}
        yield _at(run, visit.node.finished_s, span) | {"event": "span_end", "id": span}


def usage_by_model(used: Mapping[str, Usage]) -> JsonObject:
    """Model -> what it used, as Inspect's `ModelUsage`."""
    return {model: _usage(usage) for model, usage in used.items()}


def _asked(run: Run, visit: Visit, span: str | None) -> Iterator[JsonObject]:
    lines: Sequence[CallLine | ToolLine] = [*visit.calls, *visit.tools]
    for line in sorted(lines, key=lambda line: line.at_s):
        yield _call(run, line, span) if isinstance(line, CallLine) else _tool(run, line, span)


def _call(run: Run, call: CallLine, span: str | None) -> JsonObject:
    options, name = call.request.get("options", {}), str(call.request.get("model", ""))
    told: JsonObject = {
        "event": "model",
        "model": name,
        "role": call.agent or None,
        "input": [turn._asdict() for turn in turns(call)],
        "tools": [],
        "tool_choice": "none",
        "config": {key: options[key] for key in SETTINGS if key in options},
        "output": _output(call, name),
        "completed": moment(run, call.at_s + called_s(call)).isoformat(),
        "working_time": called_s(call),
        "cache": "read" if call.same_as else None,
        "metadata": _about(call),
    }
    if call.fault:
        told["error"] = f"{call.fault.type}: {call.fault.message}".rstrip(": ")
    return _at(run, call.at_s, span) | told


def _output(call: CallLine, name: str) -> JsonObject:
    if call.fault:
        return {"model": name, "choices": [], "error": call.fault.message}
    said = reply(call)
    choice = {
        "message": {"role": "assistant", "content": said.text, "model": name},
        "stop_reason": STOPS.get(said.finish_reason, "unknown"),
    }
    used = _usage(Usage.of([call.call])) if call.call else None
    return {"model": name, "choices": [choice], "usage": used, "time": called_s(call)}


def _about(call: CallLine) -> JsonObject:
    """What Inspect has no field for."""
    told: JsonObject = {"agent": call.agent, "lane": call.lane, "same_as": call.same_as}
    if chosen := odds(call):
        told["odds"] = {label: round(p, 4) for label, p in chosen.items()}
    if call.call and call.call.repair:
        told["repair"] = True
    if form := call.request.get("options", {}).get("response_format"):
        told["response_format"] = form
    return {name: value for name, value in told.items() if value}


def _tool(run: Run, tool: ToolLine, span: str | None) -> JsonObject:
    told: JsonObject = {
        "event": "tool",
        "id": f"{tool.key}-{tool.lane}-{tool.occurrence}",
        "function": tool.name,
        "arguments": tool.args,
        "result": _text(tool.value),
        "completed": moment(run, tool.at_s + tool.seconds).isoformat(),
        "working_time": tool.seconds,
    }
    if tool.fault:
        told["error"] = {"type": "unknown", "message": tool.fault.message or tool.fault.type}
        told["failed"] = True
    return _at(run, tool.at_s, span) | told


def _usage(usage: Usage) -> JsonObject:
    return {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "input_tokens_cache_read": usage.cached_tokens,
        "total_cost": usage.cost_usd,
    }


def _at(run: Run, at_s: float, span: str | None) -> JsonObject:
    return {
        "timestamp": moment(run, at_s).isoformat(),
        "working_start": at_s,
        "span_id": span,
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
