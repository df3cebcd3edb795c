"""A history as a scatter plot (arXiv 2511.03845): x = r(event), y = r(item), r the rank in time.

x is the order of purchases and no elapsed time; y the items by first purchase, the first one below.
Variants: a real axis of dates, on which the purchases of one day stand side by side inside it; colours
by department.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date
from itertools import cycle
from typing import TYPE_CHECKING, Any

from merchgraph.tools.charts.events import EventTable
from merchgraph.tools.charts.sheet import HEIGHT, INK, LINE, SHADES, WIDTH, Pen, blank, line_px, pen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = 14.0
CLOSE = 1.15  # height of a line of a name, in heights of the font
MARGIN = 16
NARROWEST, WIDEST = 150, 330  # pixels of a name; more where its two lines need it
TICK = 8  # pixels from an axis to its labels
SHAPES = ("o", "s", "^")


def scatter(table: EventTable, variants: Collection[str] = ()) -> Figure:
    """Draw it.

    Args:
        table: the events.
        variants: "dates" for a real axis of dates, "colour" by department.

    Raises:
        SetupError: as `pen`.
    """
    writer = pen(*table.items, *table.categories)
    figure = blank()
    below = MARGIN + TICK + 2 * line_px(SIZE)
    if "dates" in variants:
        below = MARGIN + TICK + writer.width("2026-12-30", SIZE)
    above = float(MARGIN)
    if "colour" in variants:
        above += _legend(figure, writer, table.categories)
    size = _fitting((HEIGHT - below - above) / len(table.items))
    labels = _labels(writer, table.items, size)
    left = MARGIN + TICK + max(writer.width(line, size) for text in labels for line in text)
    axes = figure.add_axes((
        left / WIDTH, below / HEIGHT, 1 - (left + MARGIN) / WIDTH, 1 - (below + above) / HEIGHT,
    ))  # fmt: skip
    _items(axes, labels, _font(writer) | {"size": size})
    if "dates" in variants:
        places = _dates(axes, table, writer, WIDTH - left - MARGIN)
    else:
        places = _order(axes, table, writer)
    _marks(axes, table, places, coloured="colour" in variants)
    axes.set_axisbelow(True)
    return figure


def _fitting(row: float) -> float:
    """The largest size at which two lines stay apart from those of the next row, in points."""
    return min(SIZE, row / (2 * CLOSE * line_px(1) / LINE))


def _labels(writer: Pen, items: Sequence[str], size: float) -> list[list[str]]:
    """The names in at most two lines, as narrow as words allow, so that the plot keeps its room."""
    word = max(writer.widest_word(item, size) for item in items)
    width = min(max(word, NARROWEST), WIDEST)
    while True:
        labels = [writer.wrap(item, width, size) for item in items]
        if max(map(len, labels)) <= 2:
            return labels
        width += 4


def _items(axes: Axes, labels: Sequence[Sequence[str]], font: dict[str, Any]) -> None:
    ticks = range(1, len(labels) + 1)
    axes.set_yticks(ticks, ["\n".join(label) for label in labels], **font)
    for label in axes.get_yticklabels():
        label.set_linespacing(1.0)
    axes.set_ylim(0.4, len(labels) + 0.6)
    axes.grid(color="#d9d9d9", linewidth=0.8, which="major")
    axes.grid(color="#eeeeee", linewidth=0.6, which="minor")
    axes.tick_params(length=4, pad=TICK - 4, color=INK, labelcolor=INK)


def _order(axes: Axes, table: EventTable, writer: Pen) -> list[float]:
    """x by rank: a line for each event, a number at every fifth and at both ends."""
    last = len(table.rows)
    fifths = [step for step in range(5, last, 5) if last - step > 1]
    numbered = sorted({1, *fifths, last})
    axes.set_xticks(numbered, [str(step) for step in numbered], **_font(writer))
    axes.set_xticks(range(1, last + 1), minor=True)
    axes.set_xlim(0.3, last + 0.7)
    axes.set_xlabel(
        "purchases in their order, the latest on the right", labelpad=4, **_font(writer)
    )
    return [float(row.step) for row in table.rows]


def _dates(axes: Axes, table: EventTable, writer: Pen, width: float) -> list[float]:
    """x by day; the purchases of one day follow each other inside it."""
    days = [row.when for row in table.rows]
    per_day, nth = Counter(days), Counter[date]()
    places = []
    for day in days:
        nth[day] += 1
        places.append(day.toordinal() + nth[day] / (per_day[day] + 1))
    first, last = min(days).toordinal(), max(days).toordinal() + 1
    pixels = width / (last - first)
    shown: list[date] = []
    for day in sorted(per_day):
        if not shown or (day - shown[-1]).days * pixels > line_px(SIZE):
            shown.append(day)
    axes.set_xticks([day.toordinal() + 0.5 for day in shown], [str(day) for day in shown],
                    rotation=90, **_font(writer))  # fmt: skip
    axes.set_xticks([day.toordinal() + 0.5 for day in sorted(per_day)], minor=True)
    room = 10 / pixels
    axes.set_xlim(first - room, last + room)
    return places


def _marks(axes: Axes, table: EventTable, places: Sequence[float], *, coloured: bool) -> None:
    heights = [table.items.index(row.item) + 1 for row in table.rows]
    styles = _styles(table.categories)
    for n, (row, x, y) in enumerate(zip(table.rows, places, heights, strict=True), start=1):
        colour, shape = styles[row.category] if coloured else (SHADES[0], "o")
        axes.scatter([x], [y], s=95, c=colour, marker=shape, linewidths=0, gid=str(n), zorder=3)


def _styles(categories: Sequence[str]) -> dict[str, tuple[str, str]]:
    styles = [(shade, shape) for shape in SHAPES for shade in SHADES]
    return dict(zip(categories, cycle(styles), strict=False))


def _legend(figure: Figure, writer: Pen, categories: Sequence[str]) -> float:
    """Write which colour is which department; gives the height in pixels."""
    from matplotlib.lines import Line2D

    x, y, styles = float(MARGIN), 0.0, _styles(categories)
    for category in categories:
        wide = 26 + writer.width(category, SIZE) + 20
        if x > MARGIN and x + wide > WIDTH:
            x, y = float(MARGIN), y + line_px(SIZE)
        colour, shape = styles[category]
        top = 1 - (MARGIN + y + line_px(SIZE) / 2) / HEIGHT
        figure.add_artist(
            Line2D([(x + 8) / WIDTH], [top], color=colour, marker=shape, markersize=9, linestyle="")
        )
        figure.text(
            (x + 22) / WIDTH, top, category, va="center_baseline", color=INK, **_font(writer)
        )
        x += wide
    return y + line_px(SIZE) + MARGIN / 2


def _font(writer: Pen) -> dict[str, Any]:
    return {"size": SIZE, "family": list(writer.family), "parse_math": False}
