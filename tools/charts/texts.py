"""A history as text: the paper's paragraph, and two controls that show what a scatter plot shows.

paragraph   item "Bananas" was purchased at 2017-11-09. item ...  (as arXiv 2511.03845 has it)
ranks       1. Bananas                                                (a line an event, no dates)
table       | item | 1 | 2 | 3 |  and an x where it was bought     (a line an item, no dates)

Where a picture beats the paragraph but not these, it is not for being a picture.
"""

from __future__ import annotations

from merchgraph.tools.charts.events import EventTable


def paragraph(table: EventTable) -> str:
    """Every event as a sentence, with its day."""
    return " ".join(f'item "{row.item}" was purchased at {row.when}.' for row in table.rows)


def ranks(table: EventTable) -> str:
    """Every event as a numbered line, ranks in place of times."""
    return "\n".join(f"{row.step}. {row.item}" for row in table.rows)


def grid(table: EventTable) -> str:
    """Items by time: a line for each item, a column for each event, "x" where they meet."""
    steps = [str(row.step) for row in table.rows]
    lines = [
        [item, *("x" if row.item == item else "." for row in table.rows)] for item in table.items
    ]
    # a name may hold the mark that divides the cells
    told = [" | ".join([line[0].replace("|", "/"), *line[1:]]) for line in lines]
    return "\n".join([" | ".join(["item", *steps]), *told])
