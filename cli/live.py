"""What a run looks like in a terminal: its nodes while they work, then the result and the ledger."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from langgraph.graph.state import CompiledStateGraph
from pydantic import BaseModel
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from merchgraph.graphs.arag_state import Result
from merchgraph.runtime.ledger import Usage
from merchgraph.runtime.loop import run_sync

WIDTH = 24


@dataclass
class Row:
    """One node: how many of its branches have started, ended, failed."""

    started: int = 0
    finished: int = 0
    degraded: int = 0
    expected: int = 1
    begun_at: float = 0.0
    seconds: float = 0.0


@dataclass
class View:
    """The nodes of a run, drawn anew at each event.

    Attributes:
        nodes: in the order of the graph.
        fan_out: node -> key of the state whose length is the number of its branches.
    """

    nodes: list[str]
    fan_out: dict[str, str]
    rows: dict[str, Row] = field(default_factory=dict)
    _spinner: Spinner = field(default_factory=lambda: Spinner("dots"))

    def __post_init__(self) -> None:
        self.rows = {name: Row() for name in self.nodes}

    def take(self, event: dict[str, Any]) -> None:
        """Count a `started`, `finished` or `degraded` event of a node."""
        row = self.rows.get(event.get("node", ""))
        if row is None:
            return
        if event["event"] == "started":
            row.begun_at = row.begun_at or time.monotonic()
            row.started += 1
        else:
            row.finished += 1
            row.degraded += event["event"] == "degraded"
        row.seconds = time.monotonic() - row.begun_at

    def expect(self, state: dict[str, Any]) -> None:
        """Learn from the state how many branches a fan-out will have."""
        for name, key in self.fan_out.items():
            self.rows[name].expected = max(1, len(state.get(key, [])))

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for name, row in self.rows.items():
            table.add_row("", self._mark(row), name, self._bar(row), self._remark(row))
        return table

    def _mark(self, row: Row) -> RenderableType:
        if row.finished >= row.expected:
            return Text("!", "yellow") if row.degraded else Text("✓", "green")
        return self._spinner if row.started else Text("·", "dim")

    def _bar(self, row: Row) -> RenderableType:
        if row.expected == 1 or not row.started:
            return Text("")
        return ProgressBar(total=row.expected, completed=row.finished, width=WIDTH)

    def _remark(self, row: Row) -> Text:
        if not row.started:
            return Text("")
        running = row.finished < row.expected
        seconds = time.monotonic() - row.begun_at if running else row.seconds
        count = f"{row.finished}/{row.expected}  " if row.expected > 1 else ""
        failed = f"  {row.degraded} failed" if row.degraded else ""
        return Text(f"{count}{seconds:.1f} s{failed}", "dim")


def follow(
    graph: CompiledStateGraph[Any, Any, Any, Any],
    request: BaseModel,
    context: BaseModel,
    console: Console,
    *,
    fan_out: dict[str, str],
) -> dict[str, Any]:
    """Run a graph, draw its nodes as they work, and give its final state back."""
    nodes = [name for name in graph.builder.nodes if not name.startswith("__")]
    view = View(nodes, fan_out)
    state: dict[str, Any] = {}

    async def work() -> None:
        stream: AsyncIterator[Any] = graph.astream(
            request.model_dump(exclude_unset=True),
            context=context,
            stream_mode=["custom", "values"],
        )
        async for mode, data in stream:
            if mode == "custom":
                view.take(data)
            else:
                state.update(data)
                view.expect(state)

    if console.quiet:
        run_sync(work())
    else:
        with Live(view, console=console, refresh_per_second=8):
            run_sync(work())
    return state


def show_arag(result: Result, console: Console) -> None:
    """Print the recommendations with scores and reasons, then the ledger."""
    console.print(_about(result))
    table = Table(title=f"Recommended to user {result.user}", title_justify="left")
    for heading, options in (
        ("#", {"justify": "right"}), ("item", {"style": "dim"}), ("title", {"ratio": 3}),
        ("NLI", {"justify": "right"}), ("why", {"ratio": 4}),
    ):  # fmt: skip
        table.add_column(heading, **options)
    for row in result.recommendations:
        score = "-" if row.score is None else f"{row.score:.2f}"
        table.add_row(
            str(row.rank), row.item, escape(row.title), score + ("" if row.accepted else " *"),
            escape(row.why),
        )  # fmt: skip
    console.print(table)
    if any(not row.accepted for row in result.recommendations):
        console.print("  * below theta", style="dim")
    if result.fallback:
        console.print("  No candidate reached theta; the best scores stand in.", style="yellow")
    for error in result.errors:
        where = f"{error.node} {error.lane}".strip()
        console.print(f"  {where}: {escape(error.message)}", style="yellow")
    console.print(ledger_table(result.usage_by_agent, result.usage))


def _about(result: Result) -> RenderableType:
    lines = []
    if result.understanding:
        lines.append(Text.assemble(("\nshopper  ", "bold"), result.understanding.summary))
    if result.context:
        lines.append(Text.assemble(("products ", "bold"), result.context.summary, "\n"))
    return Group(*lines)


def ledger_table(parts: dict[str, Usage], total: Usage) -> Table:
    """Calls, tokens and seconds by agent, with their sum."""
    table = Table(title="Ledger", title_justify="left")
    headings = ("agent", "calls", "prompt", "cached", "completion", "model s", "retries", "repairs")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "agent" else "right")
    for name, used in [*parts.items(), ("total", total)]:
        table.add_row(
            name, str(used.calls), f"{used.prompt_tokens:,}", f"{used.cached_tokens:,}",
            f"{used.completion_tokens:,}", f"{used.seconds:.1f}", str(used.retries),
            str(used.repairs), style="bold" if name == "total" else "", end_section=False,
        )  # fmt: skip
    if total.cost_usd:
        table.caption = f"${total.cost_usd:.4f}"
    return table
