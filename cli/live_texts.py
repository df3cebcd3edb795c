"""Drafts in a terminal while the loop checks and revises them, with verdicts and rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from merchgraph.cli.ledger_view import ledger_table
from merchgraph.cli.plain import plain

if TYPE_CHECKING:
    from merchgraph.graphs.carts import Result as Titled
    from merchgraph.graphs.copywriting import Result as Written
    from merchgraph.graphs.versions import Round

LONGEST = 72
"""Characters of a part of a draft that are shown."""
CANDIDATES: dict[str, JustifyMethod] = {
    "title": "left", "coverage": "right", "points": "right", "rounds": "right", "checks": "left",
    "ended": "left",
}  # fmt: skip
MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "dim")}


@dataclass
class Drafts:
    """The newest version of every draft, in the order in which they came."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def take(self, event: dict[str, Any]) -> None:
        """Take the `round` event of a draft; others are somebody else's."""
        if event["event"] == "round":
            self.rows[event["lane"]] = event

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for event in self.rows.values():
            table.add_row(
                "", plain(event["lane"], "dim"), Text(f"round {event['round']}", "dim"),
                words(event["text"]), verdicts(event["checks"]), Text(event["stopped"] or "", "dim"),
            )  # fmt: skip
        return table


def words(text: Mapping[str, str]) -> Text:
    """A text, its parts one below the other."""
    shown = [part if len(part) <= LONGEST else part[: LONGEST - 1] + "…" for part in text.values()]
    return Text("\n").join(plain(part) for part in shown)


def verdicts(checks: Mapping[str, bool | None]) -> Text:
    """A mark for each check, and the names of those that failed."""
    marks = Text.assemble(*(MARKS[passed] for passed in checks.values()))
    failed = ", ".join(rule for rule, passed in checks.items() if passed is False)
    return Text.assemble(marks, " ", (failed, "dim"))


def show_carts(result: Titled, console: Console) -> None:
    """Print the title, the candidates that it won against, and the ledger."""
    how = "" if result.feasible else " (trimmed, breaks a rule)" if result.trimmed else ""
    covered = "" if result.coverage is None else f"  covers {result.coverage:.0%} by the judge"
    console.print(Text.assemble("\n", plain(result.title, "bold green"), how, (covered, "dim")))
    table = Table(title="Candidates", title_justify="left", box=SIMPLE_HEAD)
    for heading, justify in CANDIDATES.items():
        table.add_column(heading, justify=justify)
    for one in result.candidates:
        coverage = "-" if one.coverage is None else f"{one.coverage:.2f}"
        table.add_row(
            plain(one.text), coverage, "-" if one.points is None else f"{one.points:g}",
            str(len(one.rounds)), verdicts(_checks(one.rounds[-1])), one.stopped,
        )  # fmt: skip
    console.print(table)
    _end(result, console)


def show_copies(result: Written, console: Console) -> None:
    """Print the accepted copies, what failed of the others, and the ledger."""
    table = Table(title=plain(result.use_case), title_justify="left", box=SIMPLE_HEAD)
    for heading in ("copy", "revisions", "why not"):
        table.add_column(heading)
    for copy in result.accepted:
        table.add_row(Text.assemble(("✓ ", "green"), words(copy.text)), str(copy.rounds), "")
    for double in result.duplicates:
        table.add_row(words(double.text), str(double.rounds), "like another")
    for one in result.rejected:
        failed = "; ".join(line or f"{rule}: no answer" for rule, line in one.failed.items())
        table.add_row(words(one.text), str(one.rounds), plain(failed, "dim"))
    console.print(table)
    by_round = ", ".join(f"{share:.0%}" for share in result.success)
    console.print(f"passed by round 0, 1, ...: {by_round}", highlight=False)
    _end(result, console)


def _end(result: Titled | Written, console: Console) -> None:
    for error in result.errors:
        where = f"{error.node} {error.lane}".strip()
        console.print(plain(f"  {where}: {error.message}", "yellow"))
    console.print(ledger_table(result.usage_by_agent, result.usage))


def _checks(version: Round) -> dict[str, bool | None]:
    return {found.rule: found.passed for found in version.findings}
