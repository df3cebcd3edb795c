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
from merchgraph.graphs.versions import Round, best

if TYPE_CHECKING:
    from merchgraph.graphs.carts import Result as Titled
    from merchgraph.graphs.copywriting import Result as Written
    from merchgraph.graphs.copywriting_state import Rejected

LONGEST = 200
"""Characters shown of a part of a text that is no result."""
CANDIDATES: dict[str, JustifyMethod] = {
    "title": "left", "coverage": "right", "points": "right", "revisions": "right",
}  # fmt: skip
MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "dim")}


@dataclass
class Drafts:
    """The newest version of every draft, by number; each takes the same lines at every width."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def take(self, event: dict[str, Any]) -> None:
        """Take the `round` event of a draft; others are somebody else's."""
        if event["event"] == "round":
            self.rows[event["lane"]] = event

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        lines = Text("\n", no_wrap=True, overflow="ellipsis")
        for lane in sorted(self.rows, key=lambda lane: (len(lane), lane)):
            event = self.rows[lane]
            told = verdicts(event["checks"], event["stopped"] or "")
            told = Text.assemble((f"round {event['round']} ", "dim"), told)
            table.add_row("", plain(lane, "dim"), lines.join([words(event["text"]), told]))
        return table


def words(text: Mapping[str, str], longest: int | None = LONGEST) -> Text:
    """A text, its parts one below the other; of more characters than `longest` the rest is left out."""
    cut = [
        part if longest is None or len(part) <= longest else part[: longest - 1] + "…"
        for part in text.values()
    ]
    return Text("\n").join(plain(part) for part in cut)


def verdicts(checks: Mapping[str, bool | None], stopped: str) -> Text:
    """A mark for each check, the names of those that failed, and why the draft is not revised further."""
    marks = Text.assemble(*(MARKS[passed] for passed in checks.values()))
    failed = ", ".join(rule for rule, passed in checks.items() if passed is False)
    ended = f"({stopped})" if stopped and stopped != "passed" else ""
    return Text(" ").join([marks, *(Text(told, "dim") for told in (failed, ended) if told)])


def show_carts(result: Titled, console: Console) -> None:
    """Print the title, the candidates that it won against, and the ledger."""
    how = "" if result.feasible else " (trimmed, breaks a rule)" if result.trimmed else ""
    covered = "" if result.coverage is None else f"  covers {result.coverage:.0%} by the judge"
    title = plain(result.title, "bold green")
    console.print(Text.assemble("\n", title, (how, "yellow"), (covered, "dim")))
    agree = "" if result.agreement is None else f", arbiters agree {result.agreement:.2f}"
    table = Table(title=f"Candidates{agree}", title_justify="left", box=SIMPLE_HEAD, leading=1)
    for heading, justify in CANDIDATES.items():
        table.add_column(heading, justify=justify, no_wrap=heading != "title")
    for one in result.candidates:
        told = verdicts(_checks(best(one.rounds)), one.stopped)
        by_code = Text(" by code" if one.origin == "template" else "", "dim")
        table.add_row(
            Text.assemble(words({"title": one.text}), by_code, "\n", told),
            "-" if one.coverage is None else f"{one.coverage:.2f}",
            "-" if one.points is None else f"{one.points:g}",
            str(len(one.rounds) - 1),
        )
    console.print(table)
    _end(result, console)


def show_copies(result: Written, console: Console) -> None:
    """Print the accepted copies, what failed of the others, and the ledger."""
    console.print()
    table = Table(
        title=plain(result.use_case), title_justify="left", box=SIMPLE_HEAD, leading=1, expand=True
    )
    table.add_column("copy", ratio=4)
    table.add_column("revisions", justify="right", no_wrap=True)
    table.add_column("why not", ratio=5)
    for copy in result.accepted:
        text = words(copy.text, longest=None)
        table.add_row(Text.assemble(("✓ ", "green"), text), str(copy.rounds), "")
    for double in result.duplicates:
        table.add_row(words(double.text), str(double.rounds), Text("like another", "dim"))
    for one in result.rejected:
        table.add_row(words(one.text), str(one.rounds), _faults(one))
    if table.row_count:
        console.print(table)
    else:
        console.print(plain(f"  {result.use_case}: the model wrote no copy.", "yellow"))
    by_round = ", ".join(f"{share:.0%}" for share in result.success)
    console.print(f"passed by round 0, 1, ...: {by_round}", highlight=False)
    _end(result, console)


def _faults(one: Rejected) -> Text:
    """What each failed check said, without the copy's own text, which stands beside it."""
    lines = []
    for rule, told in one.failed.items():
        for part in one.text.values():
            told = told.replace(f" '{part}'", "")
        lines.append(plain(f"{rule}: {'; '.join(told.splitlines()) or 'no answer'}", "dim"))
    return Text("\n").join(lines)


def _end(result: Titled | Written, console: Console) -> None:
    for error in result.errors:
        where = f"{error.node} {error.lane}".strip()
        console.print(plain(f"  {where}: {error.message}", "yellow"))
    console.print(ledger_table(result.usage_by_agent, result.usage))


def _checks(version: Round) -> dict[str, bool | None]:
    return {found.rule: found.passed for found in version.findings}
