"""A trace as OpenTelemetry spans, for any viewer: OTLP-JSON, one export request (one run) a line.

    run                 one trace; its root span is the graph, with the metrics as evaluation events
    +- node [lane]      one span a visit; what failed has the status ERROR with the sentence
       +- chat          one a model call, with prompt, reply, settings, tokens
       +- tool          one a tool call

Every span carries two vocabularies: `gen_ai.*` (semantic-conventions-genai 0.1.0, opentelemetry.io) and
OpenInference 0.1.42, which Phoenix draws from. Ids are hashes, so a second export is the same bytes.

An OpenTelemetry collector, Jaeger and others take a line as it is:

    while read -r line; do
      curl -sS -H 'Content-Type: application/json' --data-binary @- HOST:4318/v1/traces <<< "$line"
    done < trace.otlp.jsonl

Phoenix takes protobuf only, whose JSON mapping has ids in base64 where OTLP-JSON has them in hex; and it
shows metrics beside a run when they are posted as annotations. `python load.py trace.otlp.jsonl`, with
opentelemetry-proto and requests installed:

    import base64, json, requests, sys
    from google.protobuf.json_format import ParseDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    PHOENIX, PROTOBUF = "http://127.0.0.1:6006/v1", {"Content-Type": "application/x-protobuf"}
    for line in open(sys.argv[1], encoding="utf-8"):
        request = json.loads(line)
        spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
        scores = []
        for event in spans[0]["events"]:
            if event["name"] == "gen_ai.evaluation.result":
                name, score = (pair["value"] for pair in event["attributes"])
                scores.append({"span_id": spans[0]["spanId"], "name": name["stringValue"],
                               "annotator_kind": "CODE", "result": {"score": score["doubleValue"]}})
        for span in spans:
            for name in span.keys() & {"traceId", "spanId", "parentSpanId"}:
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
        body = ParseDict(request, ExportTraceServiceRequest()).SerializeToString()
        requests.post(f"{PHOENIX}/traces", body, headers=PROTOBUF).raise_for_status()
        if scores:
            requests.post(f"{PHOENIX}/span_annotations", json={"data": scores}).raise_for_status()
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from merchgraph.runtime.otlp_attributes import Attributes, of_call, of_root, of_tool, of_visit
from merchgraph.runtime.recorded import Visit, called_s, metrics_of, system_of, unix_ns, visits
from merchgraph.runtime.trace import CallLine, Fault, JsonObject, Run, ToolLine, Trace

INTERNAL, CLIENT = 1, 3
OK, ERROR = 1, 2


def otlp(trace: Trace) -> Iterator[str]:
    """The trace as OTLP-JSON lines, one ExportTraceServiceRequest a run, in the order of the file."""
    project = Path(trace.path).name.split(".")[0] or "merchgraph"
    for run in trace.runs.values():
        yield _json(_request(run, project))


def _request(run: Run, project: str) -> JsonObject:
    software = run.header.software
    resource = {
        "service.name": "merchgraph",
        "service.version": software.get("merchgraph", ""),
        "openinference.project.name": project,
    }
    scope = {"name": "merchgraph", "version": software.get("merchgraph", "")}
    spans = [span.json() for span in _spans(run)]
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _key_values(resource)},
                "scopeSpans": [{"scope": scope, "spans": spans}],
            }
        ]
    }


@dataclass(frozen=True)
class _Span:
    """One span; `path` names it within its run, and its parent's path is the one before."""

    run: Run
    path: tuple[str, ...]
    name: str
    began_s: float
    ended_s: float
    attributes: Attributes
    fault: Fault | None = None
    kind: int = INTERNAL
    events: list[JsonObject] = field(default_factory=list)

    def json(self) -> JsonObject:
        began, ended = unix_ns(self.run, self.began_s), unix_ns(self.run, self.ended_s)
        attributes, events = dict(self.attributes), list(self.events)
        status: JsonObject = {"code": OK}
        if self.fault:
            kind = self.fault.type or "_OTHER"
            attributes["error.type"] = kind
            status = {"message": self.fault.message or kind, "code": ERROR}
            told = {"exception.type": kind, "exception.message": self.fault.message or kind}
            events.append(_event("exception", ended, told))
        parent = {"parentSpanId": self._id(self.path[:-1])} if len(self.path) > 1 else {}
        return {
            "traceId": _hash(_identity(self.run), 32),
            "spanId": self._id(self.path),
            **parent,
            "name": self.name,
            "kind": self.kind,
            "startTimeUnixNano": str(began),
            "endTimeUnixNano": str(max(began, ended)),
            "attributes": _key_values(attributes),
            "events": events,
            "status": status,
        }

    def _id(self, path: tuple[str, ...]) -> str:
        return _hash("\n".join((_identity(self.run), *path)), 16)


def _identity(run: Run) -> str:
    return "\n".join((run.header.made, run.begin.started, run.id))


def _spans(run: Run) -> Iterator[_Span]:
    yield _root(run)
    for place, visit in enumerate(visits(run)):
        path: tuple[str, ...] = ("root",)
        if visit.node is not None:
            path = (*path, f"node {place}")
            yield _of_visit(run, path, visit)
        for number, call in enumerate(visit.calls):
            yield _of_call(run, (*path, f"call {number}"), call)
        for number, tool in enumerate(visit.tools):
            yield _of_tool(run, (*path, f"tool {number}"), tool)


def _root(run: Run) -> _Span:
    metrics = metrics_of(run)
    end_ns = unix_ns(run, run.end.seconds)
    told = [
        {"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": float(value)}
        for name, value in metrics.items()
    ]
    return _Span(
        run=run,
        path=("root",),
        name=f"invoke_workflow {system_of(run)}",
        began_s=0.0,
        ended_s=run.end.seconds,
        attributes=of_root(run, metrics),
        fault=Fault(type="_OTHER", message=run.end.error) if run.end.error else None,
        events=[_event("gen_ai.evaluation.result", end_ns, score) for score in told],
    )


def _of_visit(run: Run, path: tuple[str, ...], visit: Visit) -> _Span:
    node = visit.node
    assert node is not None, "calls outside of all nodes have no span of their own"
    verb = "invoke_agent " if visit.calls else ""
    return _Span(
        run=run,
        path=path,
        name=f"{verb}{node.node} {node.lane}".rstrip(),
        began_s=node.started_s,
        ended_s=node.finished_s,
        attributes=of_visit(visit),
        fault=Fault(type="_OTHER", message=node.error) if node.error else None,
    )


def _of_call(run: Run, path: tuple[str, ...], call: CallLine) -> _Span:
    attributes = of_call(call)
    return _Span(
        run=run,
        path=path,
        name=f"chat {attributes['gen_ai.request.model']}",
        began_s=call.at_s,
        ended_s=call.at_s + called_s(call),
        attributes=attributes,
        fault=call.fault,
        kind=CLIENT,
    )


def _of_tool(run: Run, path: tuple[str, ...], tool: ToolLine) -> _Span:
    attributes = of_tool(tool)
    return _Span(
        run=run,
        path=path,
        name=f"{attributes['gen_ai.operation.name']} {tool.name}",
        began_s=tool.at_s,
        ended_s=tool.at_s + (0.0 if tool.same_as else tool.seconds),
        attributes=attributes,
        fault=tool.fault,
    )


def _event(name: str, at_ns: int, attributes: Attributes) -> JsonObject:
    return {"timeUnixNano": str(at_ns), "name": name, "attributes": _key_values(attributes)}


def _key_values(attributes: Attributes) -> list[JsonObject]:
    """Attributes as OTLP has them; empty texts and None say nothing and are left out."""
    kept = ((key, value) for key, value in attributes.items() if value is not None and value != "")
    return [{"key": key, "value": _any_value(value)} for key, value in kept]


def _any_value(value: Any) -> JsonObject:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if math.isfinite(value) else str(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_any_value(inner) for inner in value]}}
    return {"stringValue": str(value)}


def _json(value: JsonObject) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
