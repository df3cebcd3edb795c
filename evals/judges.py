"""Who may judge: a text's critic inside a loop is never the judge that reports on it."""

from __future__ import annotations

from merchgraph.runtime.errors import SetupError


def other_than(judge: str, model: str) -> None:
    """Refuse a judge that is the model whose texts it judges.

    The names are compared, case apart: one model that is served under two names passes.

    Args:
        judge: PROVIDER/MODEL of the held-out judge; "" where no model judges.
        model: PROVIDER/MODEL that writes, checks and revises.

    Raises:
        SetupError: both name the same model.
    """
    if judge and judge.strip().casefold() == model.strip().casefold():
        raise SetupError(
            f"The judge is {judge!r}, the model that is judged; the critic of a loop is never its "
            "judge: name another PROVIDER/MODEL, or leave the judge out."
        )
