"""A small trace file: two runs of one case, the second of which refers to the answers of the first."""

from pathlib import Path

from merchgraph.runtime.ledger import Call, Usage
from merchgraph.runtime.trace import (
    CallLine,
    CaseLine,
    CloseLine,
    EndLine,
    Header,
    Line,
    NodeLine,
    RunLine,
    ToolLine,
)
from merchgraph.runtime.trace_file import Writer

REQUEST = {"user": "ann", "candidates": ["tea", "jam"]}
ASKED = {"model": "m/1", "messages": [{"type": "human", "content": "Tea?"}], "options": {}}
CALL = CallLine(
    key="k", lane="tea", node="nli", agent="nli", request=ASKED,
    chunks=[{"content": "Yes", "response_metadata": {"finish_reason": "stop"}}],
    call=Call(agent="nli", model="m/1", seconds=0.25, prompt_tokens=3),
)  # fmt: skip
TOOL = ToolLine(key="t", node="retrieve", name="retrieve", args={"n": 2}, value=[1, 2.5, "x"])


def lines(run: str, *, same_as: str = "") -> list[Line]:
    """A run of the case 7; the second one refers to the answers of the first."""
    calls: list[Line] = [CALL, TOOL]
    if same_as:
        calls = [
            CallLine(key="k", lane="tea", node="nli", agent="nli", at_s=1.5, same_as=same_as),
            ToolLine(key="t", node="retrieve", name="retrieve", same_as=same_as),
        ]
    usage = Usage(calls=1, seconds=0.25)
    return [
        RunLine(run=run, case="7", system=run[2:], graph="arag", context={"k": 2}),
        *calls,
        NodeLine(node="nli", lane="tea", finished_s=0.3),
        EndLine(output={"r": [run]}, metrics={"Hit@5": 1.0}, usage=usage, seconds=0.5),
    ]


GROUPS: list[list[Line]] = [
    [Header(made="2026-01-01", prompts={"arag/nli.md": "ab"}, params={"suite": "arag"})],
    [CaseLine(case={"id": "7", "request": REQUEST, "truth": {}})],
    lines("7/a"),
    lines("7/b", same_as="7/a"),
    [CloseLine(runs=2)],
]


def write(path: Path, groups: list[list[Line]]) -> Path:
    writer = Writer(path)
    for group in groups:
        writer.append(group)
    writer.close()
    return path
