"""What pilots cost and how often they err: means with intervals, for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from merchgraph.evals.metrics.bootstrap import Estimate, estimates
from merchgraph.evals.report_text import NONE, SHOWN, interval, setting

if TYPE_CHECKING:
    from rich.table import Table

POLICIES = ("Thompson sampling", "even split", "epsilon-greedy")
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
TITLES = {True: "stopped at P(best)", False: "to the last show"}


class Columns(NamedTuple):
    """One policy with one rule of stopping: measure -> a value per test, NaN where there is none."""

    policy: str
    stops: bool
    values: dict[str, list[float]]


class Row(BaseModel):
    """The means of one policy, and its regret minus that of an even split with the same rule."""

    model_config = ConfigDict(frozen=True)

    policy: str
    stops: bool
    means: dict[str, Estimate]
    difference: Estimate | None


class PilotReport(BaseModel):
    """All policies over `n` tests; the intervals are paired bootstraps over tests."""

    model_config = ConfigDict(frozen=True)

    n: int
    params: dict[str, Any]
    rows: list[Row]

    def table(self) -> Table:
        """One row per policy, for the terminal."""
        from rich.table import Table

        shown = Table(title=self._title())
        for head in self._heads():
            shown.add_column(head, justify="left" if head == "pilot" else "right")
        for row in self.rows:
            shown.add_row(*self._cells(row), end_section=row is self.rows[len(POLICIES) - 1])
        return shown

    def markdown(self) -> str:
        """The same table, with how to read it."""
        heads = self._heads()
        lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *map(self._cells, self.rows)]
        table = [f"| {' | '.join(cells)} |" for cells in lines]
        return "\n".join([*table, "", f"{self._title()}. {LEGEND}"]) + "\n"

    def _title(self) -> str:
        values = {**self.params, **self.params.get("stop", {})}
        told = (f"{name} {setting(value)}" for name, value in values.items() if name != "stop")
        return f"Pilots on real headlines, simulated: n = {self.n:,} tests, {', '.join(told)}"

    def _heads(self) -> list[str]:
        return ["pilot", *MEASURES.values(), f"lost, minus {REFERENCE}", "shown"]

    def _cells(self, row: Row) -> list[str]:
        cells = [f"{row.policy}, {TITLES[row.stops]}"]
        for measure in MEASURES:
            found = row.means.get(measure)
            if measure == "shows":
                cells.append(f"{found.mean:,.0f}" if found else NONE)
            else:
                cells.append(interval(found, self.n))
        if row.difference is None:
            return [*cells, NONE, NONE]
        # fewer lost clicks are better
        verdict = {"better": "worse", "worse": "better"}.get(row.difference.verdict, "unclear")
        return [*cells, interval(row.difference, self.n), SHOWN[verdict]]


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
        pairs = zip(each.values["regret"], reference[each.stops].values["regret"], strict=True)
        table.append([mine - theirs for mine, theirs in pairs])
    found = iter(estimates(table))
    means = [{measure: next(found) for measure in MEASURES} for _ in columns]
    rows = [
        Row(
            policy=each.policy,
            stops=each.stops,
            means={measure: mean for measure, mean in row.items() if mean is not None},
            difference=None if each.policy == REFERENCE else difference,
        )
        for each, row, difference in zip(columns, means, found, strict=True)
    ]
    return PilotReport(n=len(table[0]), params=params, rows=rows)
