"""The good answers of a trace as rows to fine-tune on: {"messages": [...], "metadata": {...}} a line.

TRL's SFTTrainer, axolotl (`chat_template`) and most others take the `messages` format as it is.

An answer is good if
- its run reached a threshold in a metric, where one is asked for;
- nothing failed in its node and lane: neither the request, nor the node, nor by the run's `errors`;
- it was usable: where an agent had to ask again, the second answer counts, to the first question;
- a `choose` (one of several labels) agrees with the case's truth. It asks about the item that names its
  lane: "Yes" must mean that the truth names the item, "No" that it does not. Other labels say neither,
  and without a truth nothing can be said: these answers are left out.

Judgements of an item for nobody (the agent `prior`, by which ARAG calibrates) are left out too, unless
they are asked for: a case's truth is about its shopper.

So a model learns from what turned out well, by rejection sampling as in STaR (arXiv 2203.14465) with the
suite's metric as the judge. It says nothing about why: measure what comes of it by the suite. Equal rows
stand once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass

from merchgraph.runtime.errors import SetupError
from merchgraph.runtime.recorded import is_choice, metrics_of, reply, strings, turns
from merchgraph.runtime.trace import CallLine, Run, Trace

LABELS = {True: "Yes", False: "No"}
"""Whether the truth names the item -> the label that agrees with it."""

FOR_NOBODY = "prior"


@dataclass(frozen=True)
class Good:
    """Which answers are wanted.

    Attributes:
        metric: "" for every run.
        at_least: least value of the metric.
        agents: empty for all but `prior`.
    """

    metric: str = ""
    at_least: float = 0.0
    agents: Collection[str] = ()

    def asks_for(self, agent: str) -> bool:
        """Whether an agent's answers are wanted."""
        return agent in self.agents if self.agents else agent != FOR_NOBODY


@dataclass(frozen=True)
class Row:
    """One example.

    Attributes:
        messages: {"role", "content"}; the last is the assistant's.
        metadata: run, case, system, agent, model; all texts, "" where there is none.
    """

    messages: list[dict[str, str]]
    metadata: dict[str, str]

    def json(self) -> str:
        """The row as a JSON line."""
        return json.dumps(asdict(self), ensure_ascii=False)


def sft(trace: Trace, good: Good) -> list[Row]:
    """The rows, in the order of the file.

    Raises:
        SetupError: a metric or an agent that the trace does not have.
    """
    _check(trace, good)
    rows: dict[str, Row] = {}
    for row in _rows(trace, good):
        rows.setdefault(json.dumps(row.messages), row)
    return list(rows.values())


def _rows(trace: Trace, good: Good) -> Iterator[Row]:
    for run in trace.runs.values():
        if not _reached(run, good):
            continue
        truth = set(strings(trace.cases.get(run.begin.case, {}).get("truth", {})))
        for asked, answered in _answers(run):
            if not good.asks_for(asked.agent):
                continue
            if is_choice(asked) and not _agrees(answered, truth):
                continue
            yield _row(run, asked, answered)


def _check(trace: Trace, good: Good) -> None:
    metrics = sorted({name for run in trace.runs.values() for name in metrics_of(run)})
    if good.metric and good.metric not in metrics:
        known = f"it has {', '.join(metrics)}" if metrics else "it is no evaluation and has none"
        raise SetupError(f"The trace has no metric {good.metric!r}; {known}.")
    agents = sorted({call.agent for run in trace.runs.values() for call in run.calls})
    if unknown := sorted(set(good.agents) - set(agents)):
        raise SetupError(
            f"No agent {unknown[0]!r} was asked in the trace; there is {', '.join(agents) or 'none'}."
        )


def _reached(run: Run, good: Good) -> bool:
    value = metrics_of(run).get(good.metric)
    return not run.end.error and (not good.metric or (value is not None and value >= good.at_least))


def _answers(run: Run) -> list[tuple[CallLine, CallLine]]:
    """(what was asked, what was answered in the end), where nothing failed."""
    failed = _failed(run)
    found: list[tuple[CallLine, CallLine]] = []
    for call in sorted(run.calls, key=lambda call: call.at_s):
        if (call.node, call.lane) in failed:
            continue
        place = _repaired(found, call) if call.call and call.call.repair else None
        if place is None:
            found.append((call, call))
        else:
            found[place] = (found[place][0], call)
    return [(asked, answered) for asked, answered in found if reply(answered).text.strip()]


def _repaired(found: list[tuple[CallLine, CallLine]], repair: CallLine) -> int | None:
    """Where the question stands that was asked again: the repair's messages go on from it."""
    for place in reversed(range(len(found))):
        asked = found[place][0]
        before = turns(asked)
        same = (asked.node, asked.lane, asked.agent) == (repair.node, repair.lane, repair.agent)
        if same and turns(repair)[: len(before)] == before:
            return place
    return None


def _failed(run: Run) -> set[tuple[str, str]]:
    """(node, lane) in which anything went wrong for good."""
    failed = {(node.node, node.lane) for node in run.nodes if node.error}
    failed |= {(call.node, call.lane) for call in run.calls if call.fault}
    errors = run.end.output.get("errors") if isinstance(run.end.output, dict) else None
    for error in errors or []:
        if isinstance(error, dict):
            failed.add((str(error.get("node", "")), str(error.get("lane", ""))))
    return failed


def _agrees(answered: CallLine, truth: set[str]) -> bool:
    if not truth:
        return False
    return reply(answered).text.strip() == LABELS[answered.lane in truth]


def _row(run: Run, asked: CallLine, answered: CallLine) -> Row:
    spoken = [turn._asdict() for turn in turns(asked)]
    told = {
        "run": run.id,
        "case": run.begin.case,
        "system": run.begin.system,
        "agent": asked.agent,
        "model": str(asked.request.get("model", "")),
    }
    answer = {"role": "assistant", "content": reply(answered).text.strip()}
    return Row([*spoken, answer], told)
