"""What a run looks like in a terminal: its nodes while they work, then the result and the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from merchgraph.cli.ledger_view import ledger_table
from merchgraph.cli.live_texts import Drafts
from merchgraph.cli.plain import plain
from merchgraph.graphs.arag_state import Result
from merchgraph.graphs.front import Watch
from merchgraph.runtime.loop import run_sync

T = TypeVar("T")

FanOut = dict[str, Callable[[dict[str, Any]], int]]
WIDTH = 24
LONGEST_ID = 14


@dataclass
class Row:
    """One node: how many of its branches have started, ended, failed.

    Attributes:
        begun_at: since when one of them is at work, if one is.
        seconds: that it was at work before; in a graph that loops it rests in between.
    """

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
        fan_out: node -> the number of its branches, read from the state.
        broken: the run has ended with an error, in the nodes that are not done.
    """

    nodes: list[str]
    fan_out: FanOut
    broken: bool = False
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
            if row.started == row.finished:
                row.begun_at = time.monotonic()
            row.started += 1
        else:
            row.finished += 1
            row.degraded += event["event"] == "degraded"
            if row.started == row.finished:
                row.seconds += time.monotonic() - row.begun_at

    def expect(self, state: dict[str, Any]) -> None:
        """Learn from the state how many branches a fan-out will have."""
        for name, branches in self.fan_out.items():
            self.rows[name].expected = max(1, branches(state))

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for justify in ("left", "left", "left", "right", "left", "left"):
            table.add_column(justify=justify, no_wrap=True)
        for name, row in self.rows.items():
            table.add_row(
                "", self._mark(row), name, self._seconds(row), self._bar(row), self._count(row)
            )
        return table

    def _mark(self, row: Row) -> RenderableType:
        if row.finished >= row.expected:
            return Text("!", "yellow") if row.degraded else Text("✓", "green")
        if not row.started:
            return Text("·", "dim")
        return Text("✗", "red") if self.broken else self._spinner

    def _bar(self, row: Row) -> RenderableType:
        if row.expected == 1 or not row.started:
            return Text("")
        return ProgressBar(total=row.expected, completed=row.finished, width=WIDTH)

    def _seconds(self, row: Row) -> Text:
        if not row.started:
            return Text("")
        working = row.finished < row.started
        seconds = row.seconds + (time.monotonic() - row.begun_at if working else 0)
        return Text(f"{seconds:.1f} s", "dim")

    def _count(self, row: Row) -> Text:
        count = f"{row.finished}/{row.expected}" if row.started and row.expected > 1 else ""
        failed = f"{row.degraded} failed" if row.degraded else ""
        return Text("  ".join(filter(None, (count, failed))), "dim")


def follow(
    graph: CompiledStateGraph[Any, Any, Any, Any],
    console: Console,
    run: Callable[[Watch], Coroutine[Any, Any, T]],
    *,
    fan_out: FanOut,
    drafts: Drafts | None = None,
) -> T:
    """Run a graph, draw its nodes as they work, and give its result.

    Args:
        graph: whose nodes are drawn.
        console: where; a quiet one gets nothing.
        run: runs the graph and tells what it is called with of every event and state.
        fan_out: node -> the number of its branches, read from the state.
        drafts: drawn below, for a graph whose loop tells of its rounds.
    """
    inner = {
        name for name, node in graph.builder.nodes.items() if isinstance(node.runnable, Pregel)
    }
    view = View([name for name in graph.builder.nodes if name not in inner], fan_out)

    def watch(mode: str, data: Any) -> None:
        if mode == "custom":
            view.take(data)
            if drafts is not None:
                drafts.take(data)
        else:
            view.expect(data)

    if console.quiet:
        return run_sync(run(watch))
    shown = Group(view, drafts) if drafts is not None else view
    with Live(shown, console=console, refresh_per_second=8):
        try:
            return run_sync(run(watch))
        except BaseException:
            view.broken = True
            raise


def show_arag(result: Result, console: Console) -> None:
    """Print the recommendations with scores and reasons, then the ledger."""
    console.print(_about(result))
    title = plain(f"Recommended to user {result.user}", "table.title")
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("item", style="dim", max_width=LONGEST_ID)
    table.add_column("title", ratio=3)
    table.add_column("NLI", justify="right", no_wrap=True)
    table.add_column("why", ratio=4)
    for row in result.recommendations:
        score = "-" if row.score is None else f"{row.score:.2f}"
        table.add_row(
            str(row.rank), plain(row.item), plain(row.title),
            score + ("" if row.accepted else " *"), plain(row.why),
        )  # fmt: skip
    console.print(table)
    if any(not row.accepted for row in result.recommendations):
        console.print("  * below theta", style="dim")
    if result.fallback:
        console.print("  No candidate reached theta; the best scores stand in.", style="yellow")
    for error in result.errors:
        where = f"{error.node} {error.lane}".strip()
        console.print(plain(f"  {where}: {error.message}", "yellow"))
    console.print(ledger_table(result.usage_by_agent, result.usage))


def _about(result: Result) -> RenderableType:
    lines = []
    if result.understanding:
        lines.append(Text.assemble(("\nshopper  ", "bold"), plain(result.understanding.summary)))
    if result.context:
        lines.append(Text.assemble(("products ", "bold"), plain(result.context.summary), "\n"))
    return Group(*lines)
