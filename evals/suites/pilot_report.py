"""What pilots cost and how often they err: means with intervals, for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from merchgraph.evals.metrics.bootstrap import Estimate, estimates
from merchgraph.evals.report_text import NONE, SHOWN, interval, setting

if TYPE_CHECKING:
    from rich.console import RenderableType

POLICIES = ("Thompson", "even split", "epsilon-greedy")
REFERENCE = "even split"
MEASURES = {
    "regret": "clicks lost per 1,000 shows",
    "wrong": "wrong winner",
    "wrong_far": "by more than 5 %",
    "wrong_stopped": "wrong where stopped",
    "stopped": "stopped early",
    "shows": "shows used",
}
"""Each measure and its head: clicks lost against always showing the best arm, over all shows of the
test; share of winners with a rate below the best one's, and below 95 % of it; the former among the
pilots that stopped early; share of those; mean shows until a stop."""
DIFFERENCES = ("regret", "wrong")
"""The measures that are compared with an even split; less is better."""
NAMES = {True: "{}", False: "{}, no stop"}
"""A policy that may stop, and one that goes on to the last show."""


class Columns(NamedTuple):
    """One policy with one rule of stopping: measure -> a value per test, NaN where there is none."""

    policy: str
    stops: bool
    values: dict[str, list[float]]


class Row(BaseModel):
    """The means of one policy, and some minus those of an even split with the same rule."""

    model_config = ConfigDict(frozen=True)

    policy: str
    stops: bool
    means: dict[str, Estimate]
    difference: dict[str, Estimate]


class PilotReport(BaseModel):
    """All policies over `n` tests; the intervals are paired bootstraps over tests."""

    model_config = ConfigDict(frozen=True)

    n: int
    params: dict[str, Any]
    rows: list[Row]

    def terminal(self) -> RenderableType:
        """What is lost, who wins, and the rest; tables for rich."""
        from rich.console import Group
        from rich.text import Text

        compared = [[name, f"{name} minus", f"{name} shown"] for name in DIFFERENCES]
        rest = [name for name in MEASURES if name not in DIFFERENCES]
        tables = [self._table(names) for names in (*compared, rest)]
        return Group(Text(self._title(), "bold"), *tables, Text(LEGEND, "dim"))

    def markdown(self) -> str:
        """The same table, with how to read it."""
        names = [*MEASURES]
        for measure in DIFFERENCES:
            at = names.index(measure) + 1
            names[at:at] = [f"{measure} minus", f"{measure} shown"]
        lines = [["pilot", *map(_head, names)], ["---", *["---:"] * len(names)]]
        lines += [[_name(row), *(self._cell(row, name) for name in names)] for row in self.rows]
        table = [f"| {' | '.join(cells)} |" for cells in lines]
        return "\n".join([*table, "", f"{self._title()}. {LEGEND}"]) + "\n"

    def _title(self) -> str:
        values = {**self.params, **self.params.get("stop", {})}
        told = (
            f"{name} {setting(value)}"
            for name, value in values.items()
            if name != "stop" and value is not None
        )
        return f"Pilots on real headlines, simulated: n = {self.n:,} tests, {', '.join(told)}"

    def _table(self, names: Sequence[str]) -> RenderableType:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        table = Table(box=SIMPLE_HEAD, padding=(0, 1))
        table.add_column("pilot", no_wrap=True)
        for name in names:
            table.add_column(_head(name), justify="right")
        for row in self.rows:
            cells = (self._cell(row, name) for name in names)
            table.add_row(_name(row), *cells, end_section=row is self.rows[len(POLICIES) - 1])
        return table

    def _cell(self, row: Row, name: str) -> str:
        measure, _, what = name.partition(" ")
        if what == "minus":
            return interval(row.difference.get(measure), self.n)
        if what == "shown":
            return _shown(row.difference.get(measure))
        found = row.means.get(name)
        if name == "shows":
            return f"{found.mean:,.0f}" if found else NONE
        return interval(found, self.n)


def _head(name: str) -> str:
    heads = {"minus": f"minus {REFERENCE}", "shown": "shown"}
    return MEASURES.get(name) or heads[name.split()[1]]


def _name(row: Row) -> str:
    return NAMES[row.stops].format(row.policy)


def _shown(difference: Estimate | None) -> str:
    """Fewer lost clicks and wrong winners are better."""
    if difference is None:
        return NONE
    return SHOWN[{"better": "worse", "worse": "better"}.get(difference.verdict, "unclear")]


LEGEND = (
    "A simulation: clicks are drawn with the real click rate of each headline. Lost clicks are counted "
    "against always showing the best headline, over all shows of the real test; after a stop the winner "
    "has the rest. A winner is wrong if its rate is below the best one's. Means with 95 % bootstrap "
    "intervals over tests; differences are paired by test."
)


def summary(columns: Sequence[Columns], params: dict[str, Any]) -> PilotReport:
    """Means, paired differences and their intervals, all from the same draws of tests."""
    reference = {each.stops: each for each in columns if each.policy == REFERENCE}
    table = [each.values[measure] for each in columns for measure in MEASURES]
    for each in columns:
        for measure in DIFFERENCES:
            pairs = zip(each.values[measure], reference[each.stops].values[measure], strict=True)
            table.append([mine - theirs for mine, theirs in pairs])
    found = iter(estimates(table))
    means = [_next(found, MEASURES) for _ in columns]
    differences = [_next(found, DIFFERENCES) for _ in columns]
    rows = [
        Row(
            policy=each.policy,
            stops=each.stops,
            means=mean,
            difference={} if each.policy == REFERENCE else difference,
        )
        for each, mean, difference in zip(columns, means, differences, strict=True)
    ]
    return PilotReport(n=len(table[0]), params=params, rows=rows)


def _next(found: Iterator[Estimate | None], measures: Iterable[str]) -> dict[str, Estimate]:
    pairs = [(measure, next(found)) for measure in measures]
    return {measure: estimate for measure, estimate in pairs if estimate is not None}
