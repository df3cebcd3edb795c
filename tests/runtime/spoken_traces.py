"""Traces of a few words: `spoken(run("a", said("nli", "Fits?", "Yes")))`."""

from __future__ import annotations

import math
from typing import Any

from merchgraph.runtime.ledger import Call
from merchgraph.runtime.trace import CallLine, EndLine, Header, NodeLine, Run, RunLine, Trace

LABELS = ("Yes", "Maybe", "No")


def said(agent: str, asked: str, answer: str, **fields: Any) -> CallLine:
    """One call; `fields` are the line's own."""
    request = {"model": "vllm/small", "messages": [{"type": "human", "content": asked}]}
    line = CallLine(
        key=asked, agent=agent, node=agent, request=request, chunks=[{"content": answer}],
        call=Call(agent=agent, model="vllm/small", prompt_tokens=10, completion_tokens=2),
    )  # fmt: skip
    return line.model_copy(update=fields)


def chosen(item: str, label: str, p: float = 0.9) -> CallLine:
    """One judgement about an item, in its lane."""
    line = said("nli", f"Does {item} fit?", label, lane=item)
    top = [{"token": label, "logprob": math.log(p)}, {"token": "Maybe", "logprob": math.log(1 - p)}]
    reply = {
        "content": label,
        "response_metadata": {"logprobs": {"content": [{"top_logprobs": top}]}},
    }
    request = line.request | {"options": {"labels": list(LABELS), "max_tokens": 1}}
    return line.model_copy(update={"request": request, "chunks": [reply]})


def again(asked: CallLine, complaint: str, answer: str) -> CallLine:
    """The second try of a call whose reply was of no use."""
    before = asked.request["messages"]
    talk = [*before, {"type": "ai", "content": "?"}, {"type": "human", "content": complaint}]
    assert asked.call is not None
    return asked.model_copy(
        update={
            "request": asked.request | {"messages": talk},
            "chunks": [{"content": answer}],
            "call": asked.call.model_copy(update={"repair": True}),
            "at_s": asked.at_s + 0.1,
        }
    )


def run(id: str, *calls: CallLine, ranking: tuple[str, ...] = (), **metrics: float | None) -> Run:
    """A run of a case "c" by the system that its id names, or of no case where it has no slash."""
    case, slash, system = id.rpartition("/")
    end = EndLine(answer={"ranking": list(ranking)} if ranking else {}, metrics=metrics)
    nodes = [NodeLine(node=call.node, lane=call.lane) for call in calls]
    begin = RunLine(run=id, case=case, system=system if slash else "", graph="arag")
    return Run(begin=begin, calls=list(calls), nodes=nodes, end=end)


def spoken(*runs: Run, relevant: tuple[str, ...] = ()) -> Trace:
    """A trace of runs; the truth of all cases names the same items."""
    cases = {one.begin.case: {"truth": {"relevant": list(relevant)}} for one in runs}
    return Trace(
        path="x.jsonl.zst",
        headers=[Header(made="2026-03-01T09:30:00+00:00")],
        cases=cases,
        runs={one.id: one for one in runs},
    )
