"""Drafts in a terminal while the loop checks and revises them, with verdicts and rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from merchgraph.cli.plain import plain

LONGEST = 72
"""Characters of a part of a draft that are shown."""
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
