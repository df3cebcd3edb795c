"""The trace as OpenTelemetry spans: the published schema, the tree, and what viewers read."""

import base64
import json
import re
from typing import Any

import pytest

from merchgraph.runtime.export_otlp import otlp
from merchgraph.runtime.trace import NodeLine, ToolLine, Trace
from tests.runtime.made_traces import HOSTILE, made
from tests.runtime.spoken_traces import chosen, run, said, spoken

Span = dict[str, Any]


def spans_of(trace: Trace) -> list[list[Span]]:
    """The spans of every run; `attributes` as a plain dict."""
    found = []
    for line in otlp(trace):
        [resource] = json.loads(line)["resourceSpans"]
        [scope] = resource["scopeSpans"]
        found.append([span | {"attributes": plain(span["attributes"])} for span in scope["spans"]])
    return found


def plain(attributes: list[Any]) -> dict[str, Any]:
    return {pair["key"]: value(pair["value"]) for pair in attributes}


def value(told: dict[str, Any]) -> Any:
    [(kind, inner)] = told.items()
    if kind == "arrayValue":
        return [value(one) for one in inner["values"]]
    return int(inner) if kind == "intValue" else inner


def base64_id(found: re.Match[str]) -> str:
    return found[1] + base64.b64encode(bytes.fromhex(found[2])).decode() + '"'


def test_every_line_is_a_request_of_the_published_schema() -> None:
    mapping = pytest.importorskip("google.protobuf.json_format")
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    for line in otlp(made()):
        mapped = re.sub(r'("(?:traceId|spanId|parentSpanId)":")([0-9a-f]+)"', base64_id, line)
        request = mapping.Parse(mapped, service.ExportTraceServiceRequest())
        [scope] = request.resource_spans[0].scope_spans
        assert {len(span.trace_id) for span in scope.spans} == {16}
        assert {len(span.span_id) for span in scope.spans} == {8}
        assert scope.spans[0].start_time_unix_nano > 0


def test_a_second_export_is_the_same_bytes() -> None:
    assert list(otlp(made())) == list(otlp(made()))


def test_a_run_is_one_tree() -> None:
    for spans in spans_of(made()):
        ids = [span["spanId"] for span in spans]
        assert len(ids) == len(set(ids))
        assert len({span["traceId"] for span in spans}) == 1
        assert "parentSpanId" not in spans[0]
        assert {span["parentSpanId"] for span in spans[1:]} <= set(ids)
    traces = [spans[0]["traceId"] for spans in spans_of(made())]
    assert len(set(traces)) == 4


def test_calls_hang_below_the_visit_that_made_them() -> None:
    trace = spoken(run("r", said("nli", "A", "1", lane="tea", at_s=5.5), said("rank", "B", "2")))
    one = trace.runs["r"]
    one.nodes = [
        NodeLine(node="nli", lane="tea", started_s=0, finished_s=1),
        NodeLine(node="nli", lane="tea", started_s=5, finished_s=6),
    ]
    root, first, second, call, outside = spans_of(trace)[0]
    assert (first["name"], second["name"]) == ("nli tea", "invoke_agent nli tea")
    assert call["parentSpanId"] == second["spanId"]
    assert outside["parentSpanId"] == root["spanId"]
    assert (root["name"], call["name"]) == ("invoke_workflow arag", "chat small")


def test_a_call_says_all_that_viewers_read() -> None:
    line = said("rank", "Rank them.", '{"ranking": ["1"]}', node="rank")
    line.request["options"] = {"temperature": 0, "max_tokens": 96, "response_format": {}}
    line.chunks[0]["response_metadata"] = {"finish_reason": "stop"}
    told = spans_of(spoken(run("r", line)))[0][-1]["attributes"]
    expected = {
        "openinference.span.kind": "LLM",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "small",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.max_tokens": 96,
        "gen_ai.output.type": "json",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 2,
        "llm.model_name": "small",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "Rank them.",
        "llm.output_messages.0.message.role": "assistant",
        "llm.token_count.total": 12,
        "input.value": "Rank them.",
        "input.mime_type": "text/plain",
        "output.value": '{"ranking": ["1"]}',
        "output.mime_type": "application/json",
    }
    assert expected.items() <= told.items()
    assert json.loads(told["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": '{"ranking": ["1"]}'}],
            "finish_reason": "stop",
        }
    ]
    assert json.loads(told["llm.invocation_parameters"])["max_tokens"] == 96


def test_every_gen_ai_name_is_one_of_the_conventions() -> None:
    names = pytest.importorskip("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    known = {name for key, name in vars(names).items() if key.startswith("GEN_AI_")}
    used = {key for spans in spans_of(made()) for span in spans for key in span["attributes"]}
    mine = {key for key in used if key.startswith("gen_ai.")}
    assert len(mine) > 10
    assert mine <= known


def test_a_choice_tells_its_odds() -> None:
    told = spans_of(spoken(run("r", chosen("tea", "Yes", 0.9))))[0][-1]["attributes"]
    assert json.loads(told["merchgraph.odds"]) == {"Yes": 0.9, "Maybe": 0.1, "No": 0.0}


def test_what_failed_has_the_status_and_the_sentence() -> None:
    spans = {span["name"]: span for span in spans_of(made())[1]}
    node = spans["invoke_agent nli i0-3"]
    assert node["status"] == {
        "message": "The node 'nli' ran longer than 120 s and was stopped.",
        "code": 2,
    }
    call = next(
        span
        for span in spans_of(made())[1]
        if "error.type" in span["attributes"] and span["kind"] == 3
    )
    assert call["attributes"]["error.type"] == "EndpointError"
    assert call["events"][0]["name"] == "exception"
    assert "output.value" not in call["attributes"]
    assert spans["invoke_workflow ARAG"]["status"] == {"code": 1}


def test_a_run_without_an_answer_is_an_error() -> None:
    broken = run("c/ARAG")
    broken.end = broken.end.model_copy(update={"error": "No model answered."})
    assert spans_of(spoken(broken))[0][0]["status"] == {"message": "No model answered.", "code": 2}


def test_metrics_are_evaluation_events_and_attributes_of_the_root() -> None:
    root = spans_of(made())[1][0]
    events = [plain(event["attributes"]) for event in root["events"]]
    assert {"gen_ai.evaluation.name": "Hit@5", "gen_ai.evaluation.score.value": 1.0} in events
    assert root["attributes"]["merchgraph.metric.Hit@5"] == 1.0
    assert json.loads(root["attributes"]["metadata"])["case"] == "200"
    assert root["attributes"]["session.id"] == "200"


@pytest.mark.parametrize(
    "found",
    [
        [{"item": "tea", "title": "Green tea", "score": 0.5}],
        {"offers": [{"item": "tea", "text": "Green tea", "score": 0.5}], "shopper": {}},
        [{"user": "7"}, [{"item": "tea", "text": "Green tea", "score": 0.5}]],
    ],
)
def test_a_tool_that_finds_items_is_a_retriever(found: Any) -> None:
    one = run("r")
    one.tools = [ToolLine(key="t", name="retrieve", value=found, seconds=0.5)]
    span = spans_of(spoken(one))[0][-1]
    assert span["name"] == "retrieval retrieve"
    assert span["attributes"]["openinference.span.kind"] == "RETRIEVER"
    assert span["attributes"]["retrieval.documents.0.document.id"] == "tea"
    assert span["attributes"]["retrieval.documents.0.document.content"] == "Green tea"
    assert span["attributes"]["retrieval.documents.0.document.score"] == 0.5
    assert int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]) == 500_000_000


def test_any_other_tool_is_a_tool_and_the_clock_is_none() -> None:
    one = run("r")
    one.tools = [
        ToolLine(key="t", name="check", args={"max": 3}, value={"fine": True}),
        ToolLine(key="c", name="clock", value={"time": "now"}),
    ]
    _, tool = spans_of(spoken(one))[0]
    assert tool["name"] == "execute_tool check"
    assert tool["attributes"]["openinference.span.kind"] == "TOOL"
    assert tool["attributes"]["gen_ai.tool.call.arguments"] == '{"max": 3}'


def test_an_answer_from_another_run_took_no_time() -> None:
    line = said("rank", "A", "1", same_as="other")
    assert line.call is not None
    line = line.model_copy(update={"call": line.call.model_copy(update={"seconds": 3.0})})
    span = spans_of(spoken(run("r", line)))[0][-1]
    assert span["startTimeUnixNano"] == span["endTimeUnixNano"]
    assert span["attributes"]["merchgraph.same_as"] == "other"


def test_texts_of_shops_come_through_unharmed() -> None:
    texts = {str(told) for span in spans_of(made())[1] for told in span["attributes"].values()}
    for title in HOSTILE:
        assert any(title in text for text in texts)


def test_half_a_character_becomes_its_json_escape() -> None:
    [line] = otlp(spoken(run("r", said("rank", "half \ud83d", "1"))))
    written = line.encode("utf-8", "backslashreplace").decode()
    told = json.loads(written)["resourceSpans"][0]["scopeSpans"][0]["spans"][-1]["attributes"]
    assert plain(told)["input.value"] == "half \ud83d"
