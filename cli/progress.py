"""Progress bars for long work: what is done, how fast, and how long it still takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def told(console: Console) -> Iterator[Callable[[int, int, str], None]]:
    """One bar that says how far a training is, and what it tells of itself."""
    columns = (
        BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
        TimeRemainingColumn(), TextColumn("{task.description}", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=None)

        def tell(done: int, total: int, what: str) -> None:
            bars.update(task, completed=done, total=total, description=what)

        yield tell


@contextmanager
def stages(console: Console) -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """A bar per stage: the function given begins one, and gives what is told of its progress."""
    columns = (
        TextColumn("{task.description:<8}"), BarColumn(24), MofNCompleteColumn(),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bars:

        def begin(stage: str) -> Callable[[int, int], None]:
            task = None

            def tell(done: int, total: int) -> None:
                nonlocal task
                if task is None:
                    task = bars.add_task(stage, total=total)
                bars.update(task, completed=done, total=total)

            return tell

        yield begin
