"""The ledger of a run as a table."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table

from merchgraph.runtime.ledger import Usage

MISHAPS = {"retries": "retry", "repairs": "repair", "failures": "failure"}
"""Each kind, and the word for one of it."""


def ledger_table(parts: dict[str, Usage], total: Usage) -> Table:
    """Calls, tokens and model seconds by agent, with their sum; below it what went wrong, if anything.

    Mishaps are no columns: with them the table would not fit 60 columns.
    """
    table = Table(
        title="Ledger", title_justify="left", caption_justify="left",
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for heading in ("agent", "calls", "prompt", "cached", "reply", "seconds"):
        table.add_column(heading, justify="left" if heading == "agent" else "right", no_wrap=True)
    for name, used in [*parts.items(), ("total", total)]:
        table.add_row(
            name, str(used.calls), f"{used.prompt_tokens:,}", f"{used.cached_tokens:,}",
            f"{used.completion_tokens:,}", f"{used.seconds:.1f}",
            style="bold" if name == "total" else "",
        )  # fmt: skip
    below = [_mishap(kind, parts, total) for kind in MISHAPS if getattr(total, kind)]
    if total.cost_usd:
        below.append(f"${total.cost_usd:.4f}")
    table.caption = "\n".join(below) or None
    return table


def _mishap(kind: str, parts: dict[str, Usage], total: Usage) -> str:
    """3 retries (nli 2, rank 1)."""
    by_agent = [
        f"{name} {getattr(used, kind)}" for name, used in parts.items() if getattr(used, kind)
    ]
    count = getattr(total, kind)
    return f"{count} {MISHAPS[kind] if count == 1 else kind} ({', '.join(by_agent)})"
