"""Tables that a suite adds to its report, beside the one of all systems and metrics."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from merchgraph.evals.metrics.bootstrap import Estimate

Cell = str | int | float | Estimate | None
"""A name, a count, a number, a mean with its interval, or nothing."""


class Table(BaseModel):
    """One table, JSON only; the first cell of a row is its name.

    Attributes:
        about: how to read it, in a sentence or two.
    """

    model_config = ConfigDict(frozen=True)

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    about: str = ""
