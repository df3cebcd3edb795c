"""A trace in a terminal: what the file holds, and one run from its path to its output.

All text of shops, models and files goes through the function `plain` that the caller gives, which takes
from it what a terminal would obey.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.bar import Bar
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from merchgraph.runtime.calls_text import CallsText
from merchgraph.runtime.ledger import Usage, usage_by
from merchgraph.runtime.page_data import by_case, status
from merchgraph.runtime.recorded import ranking, strings
from merchgraph.runtime.trace import JsonObject, NodeLine, Run, Trace

MOST_RUNS = 200
MOST_ITEMS = 10
LONGEST_ID = 28
BAR = 32
STYLES = {"ok": "green", "degraded": "yellow", "failed": "red"}
MARGIN = (0, 0, 0, 2)


@dataclass(frozen=True)
class TraceText:
    """What there is to print of a trace.

    Attributes:
        plain: (text, style) -> the text on one line, fit for a terminal.
        full: whole prompts, answers and rankings instead of their ends.
    """

    trace: Trace
    plain: Callable[[str, str], Text]
    full: bool = False

    @property
    def _calls(self) -> CallsText:
        return CallsText(self.plain, self.full)

    def overview(self) -> RenderableType:
        """The file's head and problems, and a table of its runs."""
        trace, runs = self.trace, by_case(self.trace)
        cases = f" of {_many(len(trace.cases), 'case')}" if trace.cases else ""
        about = f": {_many(len(trace.runs), 'run')}{cases}, {_many(len(trace.headers), 'sitting')}"
        parts: list[RenderableType] = [self.plain(trace.path, "bold") + Text(about)]
        if trace.headers:
            last = trace.headers[-1]
            parts += [
                self._named("recorded", {"": last.made.replace("T", " ")[:19]}),
                self._named("with", last.software),
                self._named("settings", last.params),
            ]
        parts += [self.plain(problem, "yellow") for problem in trace.problems]
        parts.append(self._runs(runs[:MOST_RUNS]))
        if len(runs) > MOST_RUNS:
            more = (
                f"and {len(runs) - MOST_RUNS:,} runs more; narrow them with --case, or use --html"
            )
            parts.append(Text(more, "dim"))
        return Group(*parts)

    def _named(self, what: str, values: JsonObject) -> Text:
        return Text(f"{what:9} ", "dim") + self.plain(_listed(values), "")

    def _runs(self, runs: Sequence[Run]) -> Table:
        names = list(dict.fromkeys(name for run in runs for name in run.end.metrics))
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        longest = max((len(run.id) for run in runs), default=0)
        table.add_column("run", overflow="fold", min_width=min(longest, LONGEST_ID))
        # an evaluation's runs are named by case and system already
        told = any(
            run.begin.case and run.id != f"{run.begin.case}/{run.begin.system}" for run in runs
        )
        for heading in ("case", "system") if told else ():
            table.add_column(heading, overflow="fold")
        for heading in ("calls", "tokens", "model s", *names):
            table.add_column(heading, justify="right")
        troubled = any(map(_trouble, runs))
        if troubled:
            table.add_column("errors", max_width=36)
        for run in runs:
            used, trouble = run.end.usage, self.plain(_trouble(run), STYLES[status(run)])
            trouble.no_wrap, trouble.overflow = True, "ellipsis"
            where = [run.id, run.begin.case, run.begin.system] if told else [run.id]
            table.add_row(
                *(self.plain(text, "") for text in where), f"{used.calls:,}",
                f"{used.prompt_tokens + used.completion_tokens:,}", f"{used.seconds:.1f}",
                *(_number(run.end.metrics.get(name)) for name in names),
                *([trouble] if troubled else []),
            )  # fmt: skip
        return table

    def run(self, run: Run) -> RenderableType:
        """One run: its path, its calls, its output and its usage."""
        return Group(*self._head(run), *self._path(run), *self._calls.of(run), *self._output(run),
                     *self._usage(run))  # fmt: skip

    def _head(self, run: Run) -> Iterator[RenderableType]:
        begin, state = run.begin, status(run)
        yield Text.assemble(self.plain(run.id, "bold"), "  ", Text(state, STYLES[state]))
        facts = [
            f"graph {begin.graph}" if begin.graph else "", begin.started.replace("T", " ")[:19],
            f"{run.end.seconds:.1f} s", _many(run.end.usage.calls, "call"),
        ]  # fmt: skip
        yield self.plain(", ".join(fact for fact in facts if fact), "dim")
        if run.end.metrics:
            scores = (f"{name} {_number(value)}" for name, value in run.end.metrics.items())
            yield self.plain("  ".join(scores), "")
        if truth := self._truth(run):
            yield self._named("truth", truth if isinstance(truth, dict) else {"": truth})
        if run.end.error:
            yield self.plain(run.end.error, "red")

    def _truth(self, run: Run) -> Any:
        return self.trace.cases.get(run.begin.case, {}).get("truth")

    def _path(self, run: Run) -> Iterator[RenderableType]:
        visits: dict[str, list[NodeLine]] = {}
        for line in sorted(run.nodes, key=lambda line: line.started_s):
            visits.setdefault(line.node, []).append(line)
        if not visits:
            return
        whole = max(line.finished_s for line in run.nodes) or 1.0
        table = _titled("Path")
        for name, lines in visits.items():
            begun, ended = lines[0].started_s, max(line.finished_s for line in lines)
            failed = sum(bool(line.error) for line in lines)
            table.add_row(
                self.plain(name, ""), f"x{len(lines)}" if len(lines) > 1 else "",
                Bar(whole, begun, ended, width=BAR, color=STYLES["degraded" if failed else "ok"]),
                f"{ended - begun:.2f} s", Text(f"{failed} failed" if failed else "", "yellow"),
            )  # fmt: skip
        yield Padding(table, (1, 0, 0, 0))
        for line in run.nodes:
            if line.error:
                where = f"{line.node} {line.lane}".strip()
                yield Padding(self.plain(f"{where}: {line.error}", "yellow"), MARGIN)

    def _output(self, run: Run) -> Iterator[RenderableType]:
        output = run.end.output if isinstance(run.end.output, dict) else {}
        for name, value in output.items():
            gist = value.get("summary") if isinstance(value, dict) else None
            if gist:
                yield Padding(self._named(name, {"": gist}), (1, 0, 0, 0))
        if items := ranking(run):
            yield from self._ranking(run, items, output.get("ranking"))
        elif run.end.output is not None and not output:
            yield from self._calls.said(str(run.end.output), "")

    def _ranking(self, run: Run, items: Sequence[str], rows: Any) -> Iterator[RenderableType]:
        """The items; with title, score and reason where the output's rows have them."""
        known = {str(row.get("item")): row for row in rows or [] if isinstance(row, dict)}
        columns = ("title", "score", "why")
        names = [name for name in columns if any(row.get(name) for row in known.values())]
        truth = set(strings(self._truth(run)))
        table = Table(title="Ranking", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for heading in ("#", "item", *names):
            table.add_column(heading, justify="right" if heading in ("#", "score") else "left")
        shown = len(items) if self.full else MOST_ITEMS
        for place, item in enumerate(items, start=1):
            if place > shown and item not in truth:
                continue
            row = known.get(item, {})
            table.add_row(
                str(place), self.plain(f"* {item}" if item in truth else item, ""),
                *(self.plain(_number(row.get(name)), "") for name in names),
                style="bold" if item in truth else "",
            )  # fmt: skip
        notes = ["* named by the case's truth"] if truth & set(items) else []
        notes += [f"{_many(len(items), 'item')} in all"] if len(items) > shown else []
        yield table
        if notes:
            yield Padding(Text("; ".join(notes), "dim"), MARGIN)

    def _usage(self, run: Run) -> Iterator[RenderableType]:
        calls = [line.call for line in run.calls if line.call]
        parts = usage_by(calls, "agent")
        if not parts:
            return
        table = Table(title="Usage", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for heading in ("agent", "calls", "prompt", "cached", "reply", "model s"):
            table.add_column(heading, justify="left" if heading == "agent" else "right")
        for name, used in [*parts.items(), ("total", Usage.of(calls))]:
            table.add_row(
                self.plain(name, ""), f"{used.calls:,}", f"{used.prompt_tokens:,}",
                f"{used.cached_tokens:,}", f"{used.completion_tokens:,}", f"{used.seconds:.1f}",
                style="bold" if name == "total" else "",
            )  # fmt: skip
        yield table


def _titled(title: str) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.title, table.title_justify, table.title_style = title, "left", "bold"
    for justify in ("left", "right", "left", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    return table


def _trouble(run: Run) -> str:
    """Why a run failed, or what it went on without."""
    if run.end.error:
        return run.end.error
    failed = [f"{line.node} {line.lane}".strip() for line in run.nodes if line.error]
    return f"without {', '.join(failed)}" if failed else ""


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _listed(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_listed(inner)}".strip() for name, inner in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _number(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
