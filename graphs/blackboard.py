"""The blackboard: the append-only list of typed messages that later agents of a run read.

    board: Annotated[list[Message], post]

The reducer numbers messages as they arrive. LangGraph hands over the branches of a fan-out in the
order in which they were sent, so the numbers are the same in every run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, SerializeAsAny

P = TypeVar("P", bound=BaseModel)
M = TypeVar("M", bound="Posted")


class Posted(BaseModel):
    """A message: who wrote it and what; a graph narrows `payload` to the types that it knows.

    Attributes:
        seq: its place on the board, from 0; -1 until it is posted.
        role: the node that wrote it.
        opens: roles that begin a run. A thread that runs again, as in Studio, then starts from an empty
            board: what was found out about one shopper is never read for the next.
    """

    model_config = ConfigDict(frozen=True)

    opens: ClassVar[frozenset[str]] = frozenset()

    seq: int = -1
    role: str
    payload: SerializeAsAny[BaseModel]


def post(board: Sequence[M], new: Iterable[M]) -> list[M]:
    """The board with new messages at its end, numbered on; one that opens a run clears it first."""
    posted = list(board)
    for message in new:
        if message.role in message.opens:
            posted = []
        posted.append(message.model_copy(update={"seq": len(posted)}))
    return posted


def read(board: Iterable[Posted], kind: type[P]) -> list[P]:
    """All payloads of a type, oldest first."""
    return [message.payload for message in board if isinstance(message.payload, kind)]


def latest(board: Iterable[Posted], kind: type[P]) -> P | None:
    """The newest payload of a type, None where nobody has written one."""
    found = read(board, kind)
    return found[-1] if found else None
