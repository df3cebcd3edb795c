"""A report in a terminal, and as Markdown.

Names and messages may come from a shop or a model: what a terminal or a Markdown reader would obey in
them is taken away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from merchgraph.evals.metrics.bootstrap import Estimate
from merchgraph.evals.results import Comparison, Results, Row
from merchgraph.evals.tables import Cell
from merchgraph.evals.tables import Table as Own

SHOWN = {"better": "better", "worse": "worse", "unclear": "not shown"}
STYLES = {"better": "green", "worse": "red", "unclear": "dim"}
NONE = "-"


def terminal(report: Results) -> RenderableType:
    """Quality, then differences and cost, the segments, the suite's own tables."""
    head = Text(f"{line(report.suite)}: {settings(report)}", "bold")
    parts: list[RenderableType] = [head, _quality(report), _cost(report)]
    if report.segments:
        parts.append(_segments(report))
    for own in report.tables:
        parts += [Text(line(own.title), "bold"), _own(own), Text(line(own.about), "dim")]
    told = [*sentences(report), *(line(note) for note in report.notes)]
    parts += [Text(f"- {sentence}") for sentence in told]
    return Group(*parts, Text(legend(report), "dim"))


def markdown(report: Results) -> str:
    """The table of all systems, with the difference in the first metric, and what it shows."""
    first = report.metrics[0]
    heads = ["system", *report.metrics, f"{first} minus {report.reference}", "shown"]
    heads += ["calls", "tokens", "s", *(["failed"] if failures(report) else [])]
    lines = [_cells(map(marked, heads)), _cells(["---", *["---:"] * (len(heads) - 1)])]
    for row in report.rows:
        cells = [marked(row.system)]
        for metric in report.metrics:
            text = interval(row.metrics.get(metric), report.n)
            cells.append(f"**{text}**" if row.system in report.best(metric) else text)
        cells += [difference(row, report), shown(row, report), *cost(row)]
        lines.append(_cells([*cells, *([str(row.failed)] if failures(report) else [])]))
    told = [*sentences(report), *report.notes]
    lines += ["", *(f"- {marked(sentence)}" for sentence in told), *([""] if told else [])]
    lines += [f"{marked(report.suite)}: {marked(settings(report))}. {marked(legend(report))}"]
    for own in report.tables:
        lines += ["", *own_markdown(own)]
    return "\n".join(lines) + "\n"


def own_markdown(own: Own) -> list[str]:
    """The lines of a suite's own table: its title, its rows, how to read it."""
    lines = [f"### {marked(own.title)}", "", _cells(map(marked, own.columns))]
    lines += [_cells(["---", *["---:"] * (len(own.columns) - 1)])]
    lines += [_cells(marked(cell(value)) for value in row) for row in own.rows]
    return [*lines, "", marked(own.about)]


def line(text: str) -> str:
    """The text on one line, without characters that a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def marked(text: str) -> str:
    """The text on one line of Markdown, as it stands."""
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", line(text))


def number(value: float) -> str:
    """Three places, no zero before the point: .412, -.031, 1.000."""
    return re.sub(r"^(-?)0\.", r"\1.", f"{round(value, 3) + 0.0:.3f}")


def interval(estimate: Estimate | None, n: int) -> str:
    """.412 [.380 .444], and its own n where that is not the report's."""
    if estimate is None:
        return NONE
    text = f"{number(estimate.mean)} [{number(estimate.low)} {number(estimate.high)}]"
    return text if estimate.n == n else f"{text} n={estimate.n:,}"


def cell(value: Cell) -> str:
    """A cell of a suite's own table."""
    if value is None:
        return NONE
    if isinstance(value, Estimate):
        return interval(value, value.n)
    if isinstance(value, float):
        return number(value) if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else line(value)


def difference(row: Row, report: Results) -> str:
    """The paired difference in the first metric."""
    return interval(row.difference.get(report.metrics[0]), report.n)


def shown(row: Row, report: Results) -> str:
    """What that difference shows."""
    found = row.difference.get(report.metrics[0])
    return SHOWN[found.verdict] if found else NONE


def cost(row: Row) -> tuple[str, str, str]:
    """Calls, tokens and model seconds per case."""
    return f"{row.calls:,.1f}", f"{row.tokens:,.0f}", f"{row.seconds:,.2f}"


def failures(report: Results) -> int:
    """Answers that are missing."""
    return sum(row.failed for row in report.rows)


def settings(report: Results) -> str:
    """n and the suite's settings on one line."""
    values = (f"{name} {setting(value)}" for name, value in report.params.items())
    return line(", ".join([f"n = {report.n:,}", *values]))


def setting(value: object) -> str:
    """A JSON value, text without its quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def sentences(report: Results) -> list[str]:
    """What each method shows against the best baseline, and what failed."""
    failed = [
        f"{line(row.system)} failed on {count:,} of {report.n:,} cases: {line(message)}"
        for row in report.rows
        for message, count in row.errors.items()
    ]
    return [_told(comparison, report.n) for comparison in report.comparisons] + failed


def legend(report: Results) -> str:
    """How to read the numbers."""
    told = (
        f"Mean with its 95 % bootstrap interval over {report.n:,} cases; differences are paired by "
        f"case, minus {line(report.reference)}; each interval holds for itself, not for all at once. "
        "The best mean of a column is marked. Calls, tokens and model seconds are means per case."
    )
    return f"{told} A failed answer counts 0." if failures(report) else told


def _told(comparison: Comparison, n: int) -> str:
    found = comparison.difference
    result = "no difference is shown" if found.verdict == "unclear" else found.verdict
    size = f", n={n:,}" if found.n == n else ""
    return (
        f"{line(comparison.system)} against {line(comparison.against)}, the best baseline on these "
        f"cases: {line(comparison.metric)} {interval(found, n)}{size}: {result}."
    )


def _quality(report: Results) -> Table:
    table = _table(report.metrics)
    for row, last in _sectioned(report):
        cells = [
            Text(
                interval(row.metrics.get(metric), report.n),
                "bold green" if row.system in report.best(metric) else "",
            )
            for metric in report.metrics
        ]
        table.add_row(_name(row), *cells, end_section=last)
    return table


def _cost(report: Results) -> Table:
    against = f"{report.metrics[0]} minus {line(report.reference)}"
    failed = ["failed"] if failures(report) else []
    table = _table([against, "shown", "calls", "tokens", "model s", *failed])
    for row, last in _sectioned(report):
        found = row.difference.get(report.metrics[0])
        verdict = Text(shown(row, report), STYLES[found.verdict] if found else "dim")
        cells = [Text(difference(row, report)), verdict, *map(Text, cost(row))]
        if failed:
            cells.append(Text(str(row.failed), "red" if row.failed else "dim"))
        table.add_row(_name(row), *cells, end_section=last)
    return table


def _segments(report: Results) -> Table:
    first = report.metrics[0]
    heads = [f"{first}: {line(part.name) or NONE} (n={part.n:,})" for part in report.segments]
    table = _table(heads)
    for row, last in _sectioned(report):
        found = ((part.n, part.systems[row.system].get(first)) for part in report.segments)
        table.add_row(_name(row), *(Text(interval(e, n)) for n, e in found), end_section=last)
    return table


def _own(own: Own) -> Table:
    first, *rest = own.columns
    table = _table(rest, first)
    for row in own.rows:
        table.add_row(*(Text(cell(value)) for value in row))
    return table


def _table(heads: list[str], first: str = "system") -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    table.add_column(Text(line(first)))
    for head in heads:
        table.add_column(Text(line(head)), justify="right")
    return table


def _sectioned(report: Results) -> list[tuple[Row, bool]]:
    following = [*(row.kind for row in report.rows[1:]), None]
    return [(row, row.kind != kind) for row, kind in zip(report.rows, following, strict=True)]


def _name(row: Row) -> Text:
    return Text(line(row.system), "bold" if row.kind == "method" else "")


def _cells(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
