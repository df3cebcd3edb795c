"""A history as a flowchart (arXiv 2511.03845): a node an event, an arrow to the next one.

The chain runs from left to right and breaks after six nodes. Variants: the days between two purchases on
the arrows; merged repeats, where an item is one node with all its purchases ("1: 2017-11-09" is the first
of the history) and the arrows lead from item to item in the order of first purchase.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING

from merchgraph.runtime.errors import SetupError
from merchgraph.tools.charts.events import EventTable
from merchgraph.tools.charts.sheet import BOX, HEIGHT, INK, WIDTH, Pen, Sheet, line_px, pen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PER_ROW, MERGED_PER_ROW = 6, 5
MARGIN = 14
PADDING = 5
ARROW, LABELLED_ARROW = 26, 52  # pixels between two boxes of a row
BETWEEN_ROWS = 20
TALLEST = 150
HARD = "\u00a0"  # a space at which no line breaks
SIZES = (14, 13, 12, 11, 10, 9, 8, 7)


@dataclass(frozen=True)
class Node:
    """What is written in one box, each part on lines of its own; `wait` is on the arrow to it."""

    parts: tuple[str, ...]
    wait: str = ""


@dataclass(frozen=True)
class Grid:
    """Where the boxes stand, in pixels."""

    columns: int
    rows: int
    gap: float

    @property
    def width(self) -> float:
        """Of a box."""
        return (WIDTH - 2 * MARGIN - (self.columns - 1) * self.gap) / self.columns

    @property
    def height(self) -> float:
        """Of a box."""
        room = HEIGHT - 2 * MARGIN - (self.rows - 1) * BETWEEN_ROWS
        return min(room / self.rows, TALLEST if self.columns == PER_ROW else room)

    def corner(self, place: int) -> tuple[float, float]:
        """The upper left corner of the box at a place, counted from 0."""
        row, column = divmod(place, self.columns)
        return (
            MARGIN + column * (self.width + self.gap),
            MARGIN + row * (self.height + BETWEEN_ROWS),
        )


def flowchart(table: EventTable, variants: Collection[str] = ()) -> Figure:
    """Draw it.

    Args:
        table: the events.
        variants: "gaps" for days on the arrows, "merged" for one node an item.

    Raises:
        SetupError: as `pen`, or more text than boxes can hold.
    """
    nodes = _merged(table) if "merged" in variants else _chain(table, "gaps" in variants)
    columns = MERGED_PER_ROW if "merged" in variants else PER_ROW
    gap = LABELLED_ARROW if any(node.wait for node in nodes) else ARROW
    grid = Grid(columns, ceil(len(nodes) / columns), gap)
    writer = pen(*table.items)
    size, lines = _fitted(nodes, grid, writer)
    sheet = Sheet(writer)
    for place, (node, text) in enumerate(zip(nodes, lines, strict=True)):
        _box(sheet, grid, place, text, size)
        if place:
            _arrow(sheet, grid, place)
            _wait(sheet, grid, place, node.wait)
    return sheet.figure


def _chain(table: EventTable, gaps: bool) -> list[Node]:
    found, before = [], table.rows[0].when
    for row in table.rows:
        wait = f"{(row.when - before).days} d" if gaps and row.step > 1 else ""
        found.append(Node((f"{row.step}. {row.item}", str(row.when)), wait))
        before = row.when
    return found


def _merged(table: EventTable) -> list[Node]:
    found = []
    for item in table.items:
        times = [f"{row.step}:{HARD}{row.when}" for row in table.rows if row.item == item]
        often = "once" if len(times) == 1 else f"{len(times)} times"
        found.append(Node((item, often, ", ".join(times))))
    return found


def _fitted(nodes: Sequence[Node], grid: Grid, writer: Pen) -> tuple[float, list[list[str]]]:
    """The largest size at which every node's lines fit in its box, and these lines."""
    width, height = grid.width - 2 * PADDING, grid.height - 2 * PADDING
    texts = [part for node in nodes for part in node.parts]
    whole = [size for size in SIZES if max(writer.widest_word(t, size) for t in texts) <= width]
    for size in (*whole, *SIZES):  # smaller rather than a word broken inside
        lines = [[line for part in node.parts for line in writer.wrap(part, width, size)]
                 for node in nodes]  # fmt: skip
        if max(map(len, lines)) * line_px(size) <= height:
            return size, lines
    raise SetupError(
        "The flowchart has more text than its boxes can hold at 7 points; give fewer events."
    )


def _box(sheet: Sheet, grid: Grid, place: int, lines: Sequence[str], size: float) -> None:
    from matplotlib.patches import Rectangle

    x, y = grid.corner(place)
    sheet.axes.add_patch(
        Rectangle((x, y), grid.width, grid.height, facecolor=BOX, edgecolor=INK,
                  linewidth=1, gid=f"box {place + 1}")
    )  # fmt: skip
    top = y + (grid.height - len(lines) * line_px(size)) / 2
    for n, line in enumerate(lines):
        text = sheet.write(x + grid.width / 2, top + n * line_px(size), line, size, align="center")
        text.set_gid(f"node {place + 1}")


def _arrow(sheet: Sheet, grid: Grid, place: int) -> None:
    """From the node before to this one; to a new row it goes around by the space between the rows."""
    (x, y), (to_x, to_y) = grid.corner(place - 1), grid.corner(place)
    if to_y == y:
        middle = y + grid.height / 2
        path = [(x + grid.width, middle), (to_x, middle)]
    else:
        down, out, into = y + grid.height, x + grid.width / 2, to_x + grid.width / 2
        half = (down + to_y) / 2
        path = [(out, down), (out, half), (into, half), (into, to_y)]
    head, tail = path[-1], path[-2]
    for n, (start, end) in enumerate(pairwise(path[:-1])):
        sheet.axes.plot(*zip(start, end, strict=True), color=INK, linewidth=1.2, gid=f"bend {n}")
    sheet.axes.annotate(
        "", xy=head, xytext=tail, gid=f"arrow {place} {place + 1}",
        arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip


def _wait(sheet: Sheet, grid: Grid, place: int, wait: str) -> None:
    """The label of the arrow to a place: above it, or beside where it leaves its row."""
    (x, y), (to_x, to_y) = grid.corner(place - 1), grid.corner(place)
    if to_y == y:
        spot = ((x + grid.width + to_x) / 2, y + grid.height / 2 - 20)
    else:
        spot = (x + grid.width / 2 + 26, y + grid.height + 2)
    sheet.write(*spot, wait, 10, align="center").set_gid(f"wait {place + 1}")
