"""Traces made by hand: ARAG and a baseline on cases, with shared calls, faults and hostile titles."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from merchgraph.runtime.ledger import Call, Usage
from merchgraph.runtime.trace import (
    CallLine,
    CaseLine,
    CloseLine,
    EndLine,
    Fault,
    Header,
    JsonObject,
    NodeLine,
    Run,
    RunLine,
    ToolLine,
    Trace,
)
from merchgraph.runtime.trace_file import Writer

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "Salt \u202eegassem \x1b[2J\x07",
    "<!-- {{ 7*7 }} &lt;b&gt; ]]> ${7*7}",
)
STRUCTURE: JsonObject = {
    "nodes": ["__start__", "retrieve", "understand", "nli", "summarize", "rank", "__end__"],
    "edges": [
        ["__start__", "retrieve", False], ["retrieve", "understand", True],
        ["retrieve", "nli", True], ["understand", "summarize", False],
        ["nli", "summarize", False], ["summarize", "rank", False], ["rank", "__end__", False],
    ],
}  # fmt: skip
MODEL = "embedded/smollm2-135m"
SYSTEM_PROMPT = "You work in a team that recommends products to one shopper of a shop. " * 4
JSON_FORM = {
    "type": "json_schema",
    "json_schema": {"name": "Rationale", "schema": {"type": "object"}},
}


def made(cases: int = 2, items: int = 5, systems: Iterable[str] = ("popularity", "ARAG")) -> Trace:
    """Every system on every case: popularity asks no model, broken fails, the others share calls."""
    trace = Trace(path="x.jsonl.zst", closed=True)
    trace.headers.append(
        Header(
            made="2026-03-01T09:30:00+00:00",
            software={"merchgraph": "0.1.0", "langgraph": "1.2.22"},
            prompts={"arag/nli.md": "a1b2c3d4"},
            params={"suite": "arag", "shop": "complete_journey", "seed": 0},
        )
    )
    for number in range(cases):
        case = f"{200 + number}"
        slate = [f"i{number}-{n}" for n in range(items)]
        trace.cases[case] = {
            "id": case,
            "segment": "new",
            "request": {"user": case, "candidates": slate},
            "truth": {"relevant": slate[1:2], "new": True},
        }
        for system in systems:
            make = {"popularity": _popularity, "broken": _broken}.get(system)
            run = make(case, slate) if make else _arag(case, slate, system)
            run.header = trace.headers[0]
            trace.runs[run.id] = run
    return trace


def _popularity(case: str, slate: list[str]) -> Run:
    scores = {item: float(len(slate) - n) for n, item in enumerate(slate)}
    return Run(
        begin=RunLine(run=f"{case}/popularity", case=case, system="popularity"),
        end=EndLine(
            answer={"ranking": slate, "counts": scores},
            metrics={"nDCG@5": 0.63, "Hit@5": 1.0, "AUC": None},
            seconds=0.002,
        ),
    )


def _broken(case: str, slate: list[str]) -> Run:
    late = "The node 'retrieve' ran longer than 900 s and was stopped."
    return Run(
        begin=RunLine(run=f"{case}/broken", case=case, system="broken", graph="arag"),
        nodes=[NodeLine(node="retrieve", finished_s=900.0, error=late)],
        end=EndLine(error=late, metrics={"nDCG@5": 0.0}, seconds=900.0, structure=STRUCTURE),
    )


def _arag(case: str, slate: list[str], system: str) -> Run:
    run = Run(
        begin=RunLine(
            run=f"{case}/{system}", case=case, system=system, graph="arag",
            request={"user": case, "candidates": slate}, context={"model": MODEL, "k": 2},
            started="2026-03-01T09:30:01+00:00",
        )
    )  # fmt: skip
    shopper = _shopper(case)
    run.tools.append(
        ToolLine(key="t", node="retrieve", name="retrieve", seconds=0.03, args={"user": case},
                 value=[{"item": item, "title": title(n)} for n, item in enumerate(slate)])
    )  # fmt: skip
    run.nodes.append(NodeLine(node="retrieve", finished_s=0.04))
    shared = "" if system == "ARAG" else f"{case}/ARAG"
    for n, item in enumerate(slate):
        at = 0.05 + 0.2 * n
        run.calls += _judged(shopper, n, item, at, shared)
        wrong = "The node 'nli' ran longer than 120 s and was stopped." if n == 3 else ""
        run.nodes.append(
            NodeLine(node="nli", lane=item, started_s=0.04, finished_s=at + 0.2, error=wrong)
        )
    late = 0.1 + 0.2 * len(slate)
    run.calls += _summed_up(shopper, late)
    for node, start, end in (
        ("understand", 0.04, 0.9), ("summarize", late, late + 1), ("rank", late + 1, late + 1.6),
    ):  # fmt: skip
        run.nodes.append(NodeLine(node=node, started_s=start, finished_s=end))
    run.end = EndLine(
        output=_result(case, slate),
        answer={"ranking": slate, "nli": {item: 0.5 for item in slate}},
        metrics={"nDCG@5": 0.43, "Hit@5": 1.0, "AUC": 0.55},
        usage=Usage.of(line.call for line in run.calls if line.call),
        seconds=late + 1.6,
        structure=STRUCTURE,
    )
    return run


def title(number: int) -> str:
    """Title of a slate's item; some are hostile."""
    return HOSTILE[number % 4] if number % 5 else f"Plum jam, jar {number}"


def _shopper(case: str) -> str:
    bought = "\n".join(
        f"- Product {n} that shopper {case} bought. Grocery, shelf" for n in range(20)
    )
    return f"<shopper>\nBought before:\n{bought}\n</shopper>\n\n"


def _judged(shopper: str, number: int, item: str, at: float, shared: str) -> list[CallLine]:
    """The judgement of one item and, of two items in three, its reason."""
    fit = (number * 37 % 100) / 100 + 0.001
    task = f"{shopper}Does it fit? One word.\n<product>{title(number)}</product>"
    odds = {"Yes": fit, "No": 0.998 - fit, " yes": 0.001}
    score = _call(
        ("nli", "nli", item), [task], "Yes" if fit > 0.5 else "No", at,
        options={"max_tokens": 1, "logprobs": True, "top_logprobs": 20}, odds=odds, same_as=shared,
    )  # fmt: skip
    why = _call(
        ("nli", "nli", item), [task, "Yes", "Why, in one clause?"], '{"reason": "goes with tea"}',
        at + 0.05, options={"max_tokens": 96, "response_format": JSON_FORM}, same_as=shared,
    )  # fmt: skip
    return [score, why] if number % 3 else [score]


def _summed_up(shopper: str, at: float) -> list[CallLine]:
    """A broken reply, its repair, and a call that failed."""
    options = {"max_tokens": 512, "response_format": JSON_FORM}
    ask = f"{shopper}Sum the products up."
    broken = _call(("summarize", "summarize", ""), [ask], '{"themes": [{"tex', at, options=options)
    repair = _call(
        ("summarize", "summarize", ""), [ask, '{"themes": [{"tex', "That reply cannot be used."],
        '{"summary": "Sweet spreads."}', at + 0.4, options=options, repair=True,
    )  # fmt: skip
    fault = Fault(type="EndpointError", message="The server stayed unreachable after 3 tries.")
    rank = _call(("rank", "rank", ""), [f"{shopper}Rank them."], "", at + 1, options=options)
    return [broken, repair, rank.model_copy(update={"chunks": [], "fault": fault})]


def _call(
    site: tuple[str, str, str],
    turns: list[str],
    reply: str,
    at_s: float,
    *,
    options: JsonObject,
    odds: dict[str, float] | None = None,
    repair: bool = False,
    same_as: str = "",
) -> CallLine:
    agent, node, lane = site
    kinds = ["human", "ai"] * len(turns)
    messages: list[Any] = [{"type": "system", "content": SYSTEM_PROMPT}]
    messages += [{"type": kind, "content": turn} for kind, turn in zip(kinds, turns, strict=False)]
    metadata: JsonObject = {"finish_reason": "stop"}
    if odds:
        top = [{"token": token, "logprob": math.log(p)} for token, p in odds.items() if p > 0]
        metadata["logprobs"] = {"content": [{"token": reply, "top_logprobs": top}]}
    return CallLine(
        key=f"{agent}{lane}{len(turns)}", lane=lane, node=node, agent=agent, at_s=at_s,
        request={"model": MODEL, "messages": messages, "options": options},
        chunks=[{"type": "ai", "content": reply, "response_metadata": metadata}],
        call=Call(agent=agent, node=node, lane=lane, model=MODEL, prompt_tokens=700 + len(lane),
                  cached_tokens=640, completion_tokens=len(reply) // 4 + 1, seconds=0.15,
                  waited_s=0.03, repair=repair, cost_usd=0.0),
        same_as=same_as,
    )  # fmt: skip


def _result(case: str, slate: list[str]) -> JsonObject:
    ranking = [
        {"rank": n + 1, "item": item, "title": title(n), "score": n * 37 % 100 / 100,
         "label": "entail", "accepted": n % 2 == 0, "why": "goes with tea", "sources": ["slate"]}
        for n, item in enumerate(slate)
    ]  # fmt: skip
    ranking[-1]["score"] = None
    board = [{"seq": 0, "role": "retrieve", "payload": {"items": slate}}]
    board += [
        {"seq": n, "role": "nli", "payload": {"item": row["item"], "score": row["score"]}}
        for n, row in enumerate(ranking, start=1)
    ]
    return {
        "user": case,
        "recommendations": ranking[:2],
        "ranking": ranking,
        "understanding": {
            "long_term": ["breakfast"],
            "session_goal": "sweets",
            "summary": "Sweet.",
        },
        "context": None,
        "fallback": False,
        "board": board,
        "errors": [
            {"node": "nli", "lane": slate[-1], "kind": "NodeFailure", "message": "too slow"}
        ],
        "usage": {"calls": 3},
        "usage_by_agent": {"nli": {"calls": 3}},
    }


def written(trace: Trace, path: Path) -> Path:
    """The trace as a file."""
    writer = Writer(path)
    writer.append(trace.headers)
    writer.append(CaseLine(case=case) for case in trace.cases.values())
    for run in trace.runs.values():
        writer.append([run.begin, *run.calls, *run.tools, *run.nodes, run.end])
    writer.append([CloseLine(runs=len(trace.runs))])
    writer.close()
    return path
