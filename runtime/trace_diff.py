"""What changed between two recordings: what ran, what was asked, what came out.

Runs are paired by case and system, outside of evaluations by their id; requests within a run by agent,
node and lane, in the order in which they were asked. Times, token counts and what a server had cached
are told, and are no difference: no two recordings agree in them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from merchgraph.runtime.ledger import Usage
from merchgraph.runtime.recorded import (
    CHANCE,
    metrics_of,
    odds,
    outcome,
    ranking,
    reply,
    system_of,
)
from merchgraph.runtime.trace import CallLine, Header, Run, ToolLine, Trace

L = TypeVar("L", CallLine, ToolLine)
TOLD_ELSEWHERE = ("ranking", "recommendations", "usage", "usage_by_agent")
"""Keys of an output that repeat others, or that hold times."""


class Change(NamedTuple):
    """One value that is not the same; None where one side has none."""

    where: str
    a: Any
    b: Any


class Move(NamedTuple):
    """An item's place in the two rankings, from 1; None where it is not ranked."""

    item: str
    a: int | None
    b: int | None


@dataclass(frozen=True)
class CallChange:
    """A request that is not asked or answered as before; None where it is asked on one side only."""

    agent: str
    node: str
    lane: str
    a: CallLine | None
    b: CallLine | None

    @property
    def request(self) -> bool:
        """Whether something else is asked."""
        return self.a is None or self.b is None or self.a.request != self.b.request

    @property
    def answer(self) -> bool:
        """Whether something else is answered."""
        return self.a is None or self.b is None or _said(self.a) != _said(self.b)


@dataclass(frozen=True)
class RunDiff:
    """Two runs of the same thing.

    Attributes:
        settings: graph, request and context.
        path: nodes that ran, or failed, on one side only.
        tools, calls, output, metrics: what changed there.
        moves: items whose place in the ranking changed, best of B first.
    """

    id: str
    a: Run
    b: Run
    settings: list[Change] = field(default_factory=list)
    path: list[Change] = field(default_factory=list)
    tools: list[Change] = field(default_factory=list)
    calls: list[CallChange] = field(default_factory=list)
    output: list[Change] = field(default_factory=list)
    metrics: list[Change] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether nothing changed."""
        parts = (self.settings, self.path, self.tools, self.calls, self.output, self.metrics)
        return not any(parts) and not self.moves

    def overlap(self, k: int) -> float:
        """Share of the first k items that both rankings name there, in [0, 1]."""
        a, b = set(ranking(self.a)[:k]), set(ranking(self.b)[:k])
        return len(a & b) / max(len(a), len(b), 1)


@dataclass(frozen=True)
class TraceDiff:
    """Two recordings.

    Attributes:
        head: versions, prompt files and settings.
        only_a, only_b: ids of runs without a partner.
        runs: every pair, in the order of A.
    """

    head: list[Change]
    only_a: list[str]
    only_b: list[str]
    runs: list[RunDiff]

    @property
    def changed(self) -> list[RunDiff]:
        """The pairs that differ."""
        return [run for run in self.runs if not run.equal]

    @property
    def equal(self) -> bool:
        """Whether nothing changed."""
        return not (self.head or self.only_a or self.only_b or self.changed)

    def systems(self) -> dict[str, list[RunDiff]]:
        """System -> its pairs."""
        groups: dict[str, list[RunDiff]] = {}
        for run in self.runs:
            groups.setdefault(system_of(run.b), []).append(run)
        return groups


def diff(a: Trace, b: Trace) -> TraceDiff:
    """Compare two traces."""
    before, after = _by_identity(a), _by_identity(b)
    return TraceDiff(
        head=list(_head(a.headers, b.headers)),
        only_a=[run.id for key, run in before.items() if key not in after],
        only_b=[run.id for key, run in after.items() if key not in before],
        runs=[_runs(run, after[key]) for key, run in before.items() if key in after],
    )


def usage(runs: Iterable[Run]) -> Usage:
    """What runs used together; the cost is None as soon as one has no price."""
    told = [run.end.usage for run in runs]
    costs = [one.cost_usd for one in told if one.calls]
    sums = {
        name: sum(getattr(one, name) for one in told)
        for name in Usage.model_fields
        if name != "cost_usd"
    }
    known = [cost for cost in costs if cost is not None]
    return Usage(**sums, cost_usd=sum(known) if costs and len(known) == len(costs) else None)


def _by_identity(trace: Trace) -> dict[tuple[str, str], Run]:
    found = {}
    for run in trace.runs.values():
        known = run.begin.case or run.begin.system
        found[(run.begin.case, run.begin.system) if known else ("", run.id)] = run
    return found


def _head(a: Sequence[Header], b: Sequence[Header]) -> Iterator[Change]:
    """By the last sitting of each: the recorder lets no sitting go on with other settings."""
    last_a, last_b = (headers[-1] if headers else Header() for headers in (a, b))
    for part in ("software", "prompts", "params"):
        yield from changes(getattr(last_a, part), getattr(last_b, part), part)


def _runs(a: Run, b: Run) -> RunDiff:
    told = (a.begin.graph, a.begin.request, a.begin.context)
    told_now = (b.begin.graph, b.begin.request, b.begin.context)
    names = ("graph", "request", "context")
    settings = [
        change
        for name, was, now in zip(names, told, told_now, strict=True)
        for change in changes(was, now, name)
    ]
    return RunDiff(
        id=b.id,
        a=a,
        b=b,
        settings=settings,
        path=list(changes(_path(a), _path(b))),
        tools=[
            change
            for name, was, now in _paired(a.tools, b.tools, _tool_site)
            for change in changes(_told(was), _told(now), " ".join(name).rstrip())
        ],
        calls=list(_calls(a, b)),
        output=list(changes(_output(a), _output(b))),
        metrics=list(changes(metrics_of(a), metrics_of(b))),
        moves=list(_moves(ranking(a), ranking(b))),
    )


def changes(a: Any, b: Any, where: str = "") -> Iterator[Change]:
    """Every value of JSON that is not the same, by its path; rows that name an item are paired by it."""
    if a == b or (a != a and b != b):  # NaN is not itself
        return
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in dict.fromkeys([*a, *b]):
            dot = "." if where and not name.startswith("[") else ""
            yield from changes(a.get(name), b.get(name), f"{where}{dot}{name}")
    elif _are_rows(a) and _are_rows(b):
        yield from changes(_named(a), _named(b), where)
    else:
        yield Change(where, a, b)


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, Mapping) for row in value)


def _named(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows by what they are about, such as "[nli i7]" of a board; else, or the second time, by number."""
    found: dict[str, Any] = {}
    for place, row in enumerate(rows):
        payload = row.get("payload")
        item = row.get("item") or (payload.get("item") if isinstance(payload, Mapping) else None)
        name = " ".join(str(part) for part in (row.get("role"), item) if part)
        found[f"[#{place}]" if not name or f"[{name}]" in found else f"[{name}]"] = row
    return found


def _path(run: Run) -> dict[str, str]:
    """Node and lane -> how it ended; the run's own error too."""
    found: dict[str, str] = {"run": run.end.error} if run.end.error else {}
    for node in sorted(run.nodes, key=lambda node: node.started_s):
        name = f"{node.node} {node.lane}".rstrip()
        found[name] = node.error or "ran"
    return found


def _output(run: Run) -> Any:
    told = outcome(run)
    if not isinstance(told, Mapping):
        return {"output": told}
    return {name: value for name, value in told.items() if name not in TOLD_ELSEWHERE}


def _calls(a: Run, b: Run) -> Iterator[CallChange]:
    for (agent, node, lane), was, now in _paired(a.calls, b.calls, _call_site):
        pair = CallChange(agent, node, lane, was, now)
        if pair.request or pair.answer:
            yield pair


def _paired(
    a: Sequence[L], b: Sequence[L], site: Callable[[L], tuple[str, ...]]
) -> Iterator[tuple[tuple[str, ...], L | None, L | None]]:
    """(site, line of A, line of B), sites in the order of A, then those of B alone."""
    sites: dict[tuple[str, ...], tuple[list[L], list[L]]] = defaultdict(lambda: ([], []))
    for side, lines in enumerate((a, b)):
        for line in sorted(lines, key=lambda line: line.at_s):
            if not (isinstance(line, ToolLine) and line.name in CHANCE):
                sites[site(line)][side].append(line)
    for name, (before, after) in sites.items():
        for number in range(max(len(before), len(after))):
            was = before[number] if number < len(before) else None
            now = after[number] if number < len(after) else None
            yield name, was, now


def _call_site(call: CallLine) -> tuple[str, ...]:
    return call.agent, call.node, call.lane


def _tool_site(tool: ToolLine) -> tuple[str, ...]:
    return tool.name, tool.lane


def _told(tool: ToolLine | None) -> Any:
    if tool is None:
        return None
    fault = tool.fault.model_dump() if tool.fault else None
    return {"args": tool.args, "answer": tool.value, "fault": fault}


def _said(call: CallLine) -> Any:
    return call.fault, reply(call), odds(call)


def _moves(a: Sequence[str], b: Sequence[str]) -> Iterator[Move]:
    was = {item: place for place, item in enumerate(a, start=1)}
    now = {item: place for place, item in enumerate(b, start=1)}
    for item in dict.fromkeys([*b, *a]):
        if was.get(item) != now.get(item):
            yield Move(item, was.get(item), now.get(item))
