"""What a span says of a run, a node, a model call or a tool: `gen_ai.*` and OpenInference attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from merchgraph.runtime.recorded import Turn, Visit, odds, outcome, provider_and_model, reply, turns
from merchgraph.runtime.trace import CallLine, JsonObject, Run, ToolLine

Attributes = dict[str, Any]
"""Name -> text, number, truth value or a list of these; None and "" say nothing."""

JSON, TEXT = "application/json", "text/plain"


def of_root(run: Run, metrics: Mapping[str, float]) -> Attributes:
    """A run as a whole: what it was asked, what came out, how good that was."""
    begin, user = run.begin, run.begin.request.get("user")
    known = {"run": run.id, "case": begin.case, "system": begin.system, "graph": begin.graph}
    return {
        "openinference.span.kind": "CHAIN",
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.agent.name": begin.graph or begin.system,
        "session.id": begin.case,
        "user.id": user if isinstance(user, str) else "",
        "tag.tags": [begin.system] if begin.system else None,
        "metadata": _json(
            {name: told for name, told in known.items() if told} | {"metrics": metrics}
        ),
        **_put("input", begin.request or None),
        **_put("output", outcome(run) or None),
        **{f"merchgraph.metric.{name}": value for name, value in metrics.items()},
        "merchgraph.context": _json(begin.context) if begin.context else "",
    }


def of_visit(visit: Visit) -> Attributes:
    """One run of a node: an agent where a model was asked in it."""
    node = visit.node
    assert node is not None, "calls outside of all nodes have no span of their own"
    told: Attributes = {
        "openinference.span.kind": "AGENT" if visit.calls else "CHAIN",
        "merchgraph.node": node.node,
        "merchgraph.lane": node.lane,
    }
    if visit.calls:
        told |= {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": node.node}
        told |= _text("input", turns(visit.calls[0])[-1:]) | _put(
            "output", _answer(visit.calls[-1])
        )
    return told


def of_call(call: CallLine) -> Attributes:
    """One request to a model, with its prompt, its reply and what it took."""
    provider, model = provider_and_model(str(call.request.get("model", "")))
    options, asked, said = call.request.get("options", {}), turns(call), reply(call)
    answers = [] if call.fault else [Turn("assistant", said.text)]
    return {
        "openinference.span.kind": "LLM",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider or "unknown",
        "gen_ai.agent.name": call.agent,
        "gen_ai.request.model": model,
        "gen_ai.request.temperature": _number(options.get("temperature")),
        "gen_ai.request.max_tokens": options.get("max_tokens"),
        "gen_ai.request.stop_sequences": options.get("stop"),
        "gen_ai.output.type": "json" if "response_format" in options else "text",
        "gen_ai.response.finish_reasons": [said.finish_reason] if said.finish_reason else None,
        "gen_ai.input.messages": _messages(asked),
        "gen_ai.output.messages": _messages(answers, said.finish_reason) if answers else "",
        "llm.model_name": model,
        "llm.provider": provider,
        "llm.invocation_parameters": _json(options),
        **_numbered("llm.input_messages", asked),
        **_numbered("llm.output_messages", answers),
        **_text("input", asked[-1:]),
        **_put("output", _answer(call)),
        **_usage(call),
        **_site(call),
    }


def of_tool(tool: ToolLine) -> Attributes:
    """One answer of a tool: a retriever's where it is a list of items, or holds one."""
    found = _documents(tool.value)
    told: Attributes = {
        **_put("input", tool.args or None),
        **_put("output", tool.value),
        "merchgraph.node": tool.node,
        "merchgraph.lane": tool.lane,
        "merchgraph.same_as": tool.same_as,
    }
    if not found:
        told |= {
            "openinference.span.kind": "TOOL",
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": tool.name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.arguments": _json(tool.args),
            "gen_ai.tool.call.result": _json(tool.value),
            "tool.name": tool.name,
            "tool.parameters": _json(tool.args),
        }
        return told
    told |= {"openinference.span.kind": "RETRIEVER", "gen_ai.operation.name": "retrieval"}
    scored = [{"id": item["id"], "score": item["score"]} for item in found]
    told["gen_ai.retrieval.documents"] = _json(scored)
    for place, item in enumerate(found):
        for name, value in item.items():
            told[f"retrieval.documents.{place}.document.{name}"] = value
    return told


def _documents(value: Any) -> list[Attributes]:
    """The items that a tool found; empty where its answer is of another kind."""
    lists = [value, *value] if isinstance(value, list) else []
    lists += list(value.values()) if isinstance(value, dict) else []
    for rows in lists:
        if isinstance(rows, list) and rows and all(map(_is_item, rows)):
            return [
                {
                    "id": str(row["item"]),
                    "content": str(row.get("text") or row.get("title") or ""),
                    "score": _number(row.get("score")),
                }
                for row in rows
            ]
    return []


def _is_item(row: Any) -> bool:
    return isinstance(row, dict) and "item" in row


def _usage(call: CallLine) -> Attributes:
    used = call.call
    if used is None:
        return {}
    return {
        "gen_ai.usage.input_tokens": used.prompt_tokens,
        "gen_ai.usage.output_tokens": used.completion_tokens,
        "gen_ai.usage.cache_read.input_tokens": used.cached_tokens,
        "llm.token_count.prompt": used.prompt_tokens,
        "llm.token_count.completion": used.completion_tokens,
        "llm.token_count.total": used.prompt_tokens + used.completion_tokens,
        "llm.token_count.prompt_details.cache_read": used.cached_tokens,
        "llm.cost.total": _number(used.cost_usd),
        "merchgraph.tries": used.tries,
        "merchgraph.waited_s": used.waited_s,
        "merchgraph.repair": used.repair,
    }


def _site(call: CallLine) -> Attributes:
    chosen = odds(call)
    return {
        "merchgraph.node": call.node,
        "merchgraph.lane": call.lane,
        "merchgraph.same_as": call.same_as,
        "merchgraph.odds": _json({label: round(p, 4) for label, p in chosen.items()})
        if chosen
        else "",
    }


def _answer(call: CallLine) -> Any:
    """A reply as JSON where it is, with the odds of a choice; None for a call that failed."""
    if call.fault:
        return None
    text = reply(call).text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _put(side: str, value: Any) -> Attributes:
    """`input` or `output` of a span, of which every viewer shows a column."""
    if value is None:
        return {}
    if isinstance(value, str):
        return {f"{side}.value": value, f"{side}.mime_type": TEXT}
    return {f"{side}.value": _json(value), f"{side}.mime_type": JSON}


def _text(side: str, asked: Sequence[Turn]) -> Attributes:
    return _put(side, asked[-1].content) if asked else {}


def _messages(spoken: Sequence[Turn], finish_reason: str = "") -> str:
    """As `gen_ai.input.messages` and `gen_ai.output.messages` have it: roles with parts."""
    rows: list[JsonObject] = [
        {"role": turn.role, "parts": [{"type": "text", "content": turn.content}]} for turn in spoken
    ]
    if finish_reason:
        rows = [row | {"finish_reason": finish_reason} for row in rows]
    return _json(rows)


def _numbered(prefix: str, spoken: Sequence[Turn]) -> Attributes:
    """As OpenInference has a list of objects: flat, with numbers."""
    return {
        f"{prefix}.{place}.message.{name}": value
        for place, turn in enumerate(spoken)
        for name, value in turn._asdict().items()
    }


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
