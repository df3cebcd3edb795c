"""Where the repair waits for the world: LangGraph's interrupts, in runs of a thread.

A wait is answered by `Command(resume=...)`, which LangGraph keeps: a node that failed on an answer would
fail on it for ever. So a wrong answer is no error; it is asked for once more, with what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from merchgraph.graphs.front import checked
from merchgraph.graphs.voice_repair_state import Request, Turn
from merchgraph.runtime.errors import SetupError


def waits(runtime: Runtime[Any]) -> bool:
    """Whether the run can wait: it is one of a thread, which a checkpointer keeps."""
    return runtime.execution_info is not None and runtime.execution_info.thread_id is not None


def next_turn(line: str, turns: Sequence[Turn], features: str) -> Turn | None:
    """The turn that came of a repair line; None if the answer is "", so that nothing came.

    Args:
        line: what was said.
        turns: the exchange so far; with the new turn it must be a request.
        features: CSV of the request.
    """
    fault = ""
    while True:
        came = interrupt({"wanted": "the next turn", "said": line, "fault": fault})
        if not came:
            return None
        if not isinstance(came, Mapping):
            fault = f"A turn is an object with asked and answered, not {came!r:.80}."
            continue
        try:
            turn = checked(Turn, came)
            checked(Request, {"turns": [*turns, turn], "features": features})
            return turn
        except SetupError as error:
            fault = str(error)


def person_said(turn: Turn, lines: Sequence[str]) -> str:
    """What a person answers who takes over; "" for nothing."""
    told = {"asked": turn.asked, "answered": turn.answered, "said": list(lines)}
    return str(interrupt({"wanted": "a person"} | told) or "")
