"""The ledger of a run as a table."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table

from merchgraph.runtime.ledger import Usage


def ledger_table(parts: dict[str, Usage], total: Usage) -> Table:
    """Calls, tokens and model seconds by agent, with their sum; what was never needed is left out."""
    table = Table(title="Ledger", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    headings = ["agent", "calls", "prompt", "cached", "reply", "seconds"]
    mishaps = [name for name in ("retries", "repairs", "failures") if getattr(total, name)]
    for heading in headings + mishaps:
        table.add_column(heading, justify="left" if heading == "agent" else "right", no_wrap=True)
    for name, used in [*parts.items(), ("total", total)]:
        table.add_row(
            name, str(used.calls), f"{used.prompt_tokens:,}", f"{used.cached_tokens:,}",
            f"{used.completion_tokens:,}", f"{used.seconds:.1f}",
            *(str(getattr(used, mishap)) for mishap in mishaps),
            style="bold" if name == "total" else "",
        )  # fmt: skip
    if total.cost_usd:
        table.caption = f"${total.cost_usd:.4f}"
    return table
