"""Who may judge, and what is left where a judge gives no answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from merchgraph.runtime.errors import EndpointError, ModelReplyError, SetupError

T = TypeVar("T")


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


async def answered(asked: Sequence[Awaitable[T]]) -> list[T] | None:
    """A judge's answers side by side; None where it gave none that can be used to one of them.

    Raises:
        BudgetError, SetupError: as the calls; no other case would be answered either.
    """
    found = await asyncio.gather(*asked, return_exceptions=True)
    answers: list[T] = []
    for answer in found:
        if not isinstance(answer, BaseException):
            answers.append(answer)
        elif not isinstance(answer, ModelReplyError | EndpointError):
            raise answer
    return answers if len(answers) == len(found) else None
